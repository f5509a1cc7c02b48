"""Sending e-mails. The sandbox has no mail server, so one stands between it and the task here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.email import EspoSendEmailOperator
from tests.repeat.harness import Run, Scenario, Send
from tests.repeat.scenarios_records import lead

if TYPE_CHECKING:
    import requests

    from tests.repeat.crm import Crm

#: Paths of e-mails in the order in which they went out.
_WENT_OUT: list[str] = []


def mail_server() -> Callable[[Send], Send]:
    """Let the CRM have a mail account: what it is told to send goes out, and is *Sent*."""

    def between(send: Send) -> Send:
        def send_mail(request: requests.PreparedRequest) -> requests.Response:
            path = str(request.url).partition("/api/v1/")[2]
            is_order = request.method == "PUT" and path.startswith("Email/")
            if not (is_order and json.loads(request.body or b"{}") == {"status": "Sending"}):
                return send(request)
            _WENT_OUT.append(path)
            sent = request.copy()
            sent.prepare_body(None, None, json={"status": "Sent"})
            return send(sent)

        return send_mail

    return between


def _mails(crm: Crm, run: Run, _result: Any) -> Any:
    stored = crm.named("Email", run.tag)
    return {
        "stored": [mail["status"] for mail in stored],
        "went out": [_WENT_OUT.count(f"Email/{mail['id']}") for mail in stored],
    }


SCENARIOS = (
    Scenario(
        "an e-mail about a lead",
        EspoSendEmailOperator,
        lambda run: {
            "to": ["ada@example.com", "ben@example.com"],
            "from_address": "crm@example.com",
            "subject": f"Offer {run.tag}",
            "body": "<p>Hello</p>",
            "entity_type": "Lead",
            "record_id": run.made["id"],
        },
        "the draft's id in the task state store, else creator, time, all values; then its status",
        lead,
        _mails,
        through=mail_server,
    ),
)
