"""Global search, labels, and the web form's way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoNothingDoneError
from airflow_provider_espo.client.operations.records import check_attributes
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_json,
    expect_object,
    record_id_segment,
)

_NO_MORE = -2


def global_search(state: ClientState, text: str, *, limit: int = 100) -> Operation[list[Record]]:
    """Search accounts, contacts, leads and opportunities (or what the administrator chose) by a text.

    :param text: what to search for.
    :param limit: records at most.
    :return: records with ``id``, ``name`` and ``_scope``, the entity type.
    """
    if not isinstance(text, str) or not text.strip():
        raise EspoInputError("There is no text to search for")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise EspoInputError("limit is not a whole number of 0 or more")
    found: list[Record] = []
    while len(found) < limit:
        size = min(state.config.page_size, limit - len(found))
        outgoing = build_request(
            "GET", "GlobalSearch", query=(("q", text), ("maxSize", str(size)), ("offset", str(len(found))))
        )
        answer = expect_object(outgoing, (yield outgoing))
        rows = answer.get("list") or []
        found += rows
        if not rows or answer.get("total") == _NO_MORE:
            break
    return found


def i18n(state: ClientState, *, default: bool = False) -> Operation[Record]:
    """Return EspoCRM's labels: names of fields, options and entity types as people see them.

    :param default: in the server's language instead of the user's.
    :return: labels by entity type, such as ``labels["Lead"]["fields"]["accountName"]``.
    """
    outgoing = build_request("GET", "I18n", query=(("default", "true"),) if default else ())
    return expect_object(outgoing, (yield outgoing))


def capture_lead(state: ClientState, capture_key: str, attributes: Mapping[str, Any]) -> Operation[None]:
    """Hand a lead in as a web form does (EspoCRM's *Lead Capture*), without the connection's credentials.

    EspoCRM does not say which record it made, and a second call is a second entry: prefer ``upsert_record`` where the
    connection may write leads.

    :param capture_key: API key of the lead capture entry.
    :param attributes: values of the form's fields.
    :return: nothing.
    :raises EspoNotFoundError: no such entry, or it is not active.
    """
    wire = to_wire(check_attributes(attributes))
    if not wire:
        raise EspoInputError("There is nothing to hand in")
    outgoing = build_request("POST", f"LeadCapture/{record_id_segment(capture_key)}", json=wire, proof="none")
    try:
        answer = expect_json(outgoing, (yield outgoing))
    except EspoError as error:
        # The key is a secret, and stands in the path.
        error.path = "LeadCapture/…"
        raise
    if answer is not True:
        raise EspoNothingDoneError("EspoCRM did not take the lead", method="POST", path="LeadCapture/…")
