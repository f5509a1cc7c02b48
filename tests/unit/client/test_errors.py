"""What errors show, and that they survive the way to another process."""

from __future__ import annotations

import logging
import pickle
import traceback
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_espo.client import errors
from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.client.wire import build_request, expect_object
from tests.unit.client.transports import PASSING, SITE, Item, Reply, Transport, empty, redirect, reply

MARKED = ClientConfig(
    site_url=SITE,
    auth_method=AuthMethod.TOKEN,
    login="MARKER-login",
    secret="MARKER-secret",
    headers={"X-Gate": "MARKER-header"},
    max_retries=1,
)
MARKED_REQUEST = build_request(
    "POST",
    "Lead",
    query=(("searchParams", "MARKER-query"),),
    json={"lastName": "MARKER-body"},
    headers={"X-Own": "MARKER-own"},
)


def marked(status: int, body: Any, **headers: str) -> Reply:
    return reply(status, body, Set_Cookie="auth-token=MARKER-cookie", **headers)


LEAKS: dict[str, Item] = {
    **PASSING,
    "401": empty(401),
    "validation": marked(
        400, {"messageTranslation": {"label": "validationFailure", "data": {"field": "a", "type": "b"}}}
    ),
    "400": marked(400, {"message": "MARKER-answer"}, X_Status_Reason="Bad request."),
    "403": marked(403, {"message": "MARKER-answer"}, X_Status_Reason=""),
    "404": marked(404, {"message": "MARKER-answer"}),
    "409": marked(409, [{"id": "i", "name": "MARKER-answer"}], X_Status_Reason="duplicate"),
    "409 modified": marked(409, {"values": {"a": "MARKER-answer"}}, X_Status_Reason="modified"),
    "500": marked(500, {"message": "MARKER-answer"}),
    "page": Reply(200, b"<html>MARKER-answer</html>", {"Content-Type": "text/html"}),
    "no JSON": Reply(200, b"MARKER-answer", {"Content-Type": "application/json"}),
    "redirect": redirect("https://sso.example/MARKER-redirect?x=MARKER-redirect"),
    "redirect to a bad port": redirect("https://MARKER:99999/"),
}


def surface(error: BaseException) -> str:
    """All of an error that may end in a log."""
    return "\n".join([str(error), repr(error), repr(error.args), *traceback.format_exception(error)])


@pytest.mark.parametrize("trouble", LEAKS)
@pytest.mark.parametrize("auth", AuthMethod)
def test_no_error_shows_a_secret_or_a_value(
    transport: Transport, trouble: str, auth: AuthMethod, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(MARKED, auth_method=auth)
    wire = transport.wire(config, LEAKS[trouble])
    wire.state.token.token = "MARKER-token"

    def reading() -> Any:
        return expect_object(MARKED_REQUEST, (yield MARKED_REQUEST))

    with caplog.at_level(logging.DEBUG), pytest.raises(EspoError) as caught:
        transport.run(wire, reading())
    assert "MARKER" not in surface(caught.value)
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith("requests_mock")]
    assert "MARKER" not in "\n".join(logged)
    assert wire.sent


def examples() -> list[EspoError]:
    kinds: list[type[EspoError]] = [EspoError]
    for kind in kinds:
        kinds.extend(sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__)
    facts: dict[str, Any] = {"status": 418, "reason": "r", "method": "GET", "path": "Lead", "hint": "h"}
    own: dict[str, dict[str, Any]] = {
        "EspoValidationError": {"field": "f", "rule": "required"},
        "EspoDuplicateError": {"records": [{"id": "1"}]},
        "EspoVersionConflictError": {"current_values": {"a": 1}, "current_version": 3},
        "EspoRateLimitError": {"retry_after": 5.0},
        "EspoServerError": {"outcome_unknown": True},
        "EspoTransportError": {"outcome_unknown": True},
        "EspoAmbiguousMatchError": {"record_ids": ["1", "2"]},
    }
    made = []
    for kind in dict.fromkeys(kinds):
        more = {name: value for base in kind.__mro__ for name, value in own.get(base.__name__, {}).items()}
        made.append(kind("what happened", **facts, **more))
    return made


@pytest.mark.parametrize("error", examples(), ids=lambda error: type(error).__name__)
def test_every_error_survives_the_way_to_another_process(error: EspoError) -> None:
    error.outcomes = ({"index": 0},)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert (str(again), repr(again)) == (str(error), repr(error))


def test_all_error_classes_are_among_the_examples() -> None:
    public = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, EspoError)}
    assert {type(error).__name__ for error in examples()} == public
    assert len(public) > 20
