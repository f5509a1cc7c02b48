"""Scenarios of one request, each told once and run through both transports."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoConnectionError,
    EspoDuplicateError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoNotFoundError,
    EspoRateLimitError,
    EspoServerError,
    EspoTimeoutError,
    EspoValidationError,
    EspoVersionConflictError,
)
from airflow_provider_espo.client.exchange import Send, Wait, exchange, perform_stream
from airflow_provider_espo.client.retry import RetryPolicy
from airflow_provider_espo.client.state import new_state
from airflow_provider_espo.client.wire import Emit, Request, Response, Stream, build_request
from tests.unit.client.transports import (
    BROKEN,
    EPOCH,
    PASSING,
    SITE,
    Item,
    Reply,
    Sent,
    Transport,
    Wire,
    ask,
    empty,
    page,
    play,
    redirect,
    reply,
)

GET = build_request("GET", "Lead", query=(("searchParams", "{}"),))
POST = build_request("POST", "Lead", json={"lastName": "x"})
PUT = build_request("PUT", "Lead/id1", json={"lastName": "x"})
OK = reply(json={"id": "id1"})
CONFIG = ClientConfig(site_url=SITE, secret="key")


def outcome(transport: Transport, request: Request, *script: Item, config: ClientConfig = CONFIG) -> tuple[Wire, Any]:
    """Send a request; return what the wire saw, and the answer or the error."""
    wire = transport.wire(config, *script)
    try:
        return wire, transport.run(wire, ask(request))
    except EspoError as error:
        return wire, error


def test_an_answer_comes_back_as_it_is(transport: Transport) -> None:
    wire, answer = outcome(transport, GET, reply(json={"total": 0}, X_App_Timestamp="5", X_Name="Größe"))
    assert answer.status == 200
    assert answer.json() == {"total": 0}
    assert answer.headers["x-app-timestamp"] == "5"
    sent = wire.sent[0]
    assert sent.url == f"{SITE}/api/v1/Lead?searchParams=%7B%7D"
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["x-api-key"] == "key"
    assert "content-type" not in sent.headers


def test_a_body_is_sent_as_json_with_the_type_that_espocrm_needs(transport: Transport) -> None:
    wire, _ = outcome(transport, build_request("DELETE", "Lead/id1/teams", json={"id": "ü"}), OK)
    assert wire.sent[0].headers["content-type"] == "application/json"
    assert wire.sent[0].body == '{"id":"ü"}'.encode()


def test_the_connections_user_agent_headers_and_portal_are_sent(transport: Transport) -> None:
    config = replace(CONFIG, user_agent="provider/1", headers={"X-Gate": "1"}, portal_id="p1")
    wire, _ = outcome(transport, GET, OK, config=config)
    assert wire.sent[0].headers["user-agent"] == "provider/1"
    assert wire.sent[0].headers["x-gate"] == "1"
    assert wire.sent[0].url.startswith(f"{SITE}/api/v1/portal-access/p1/Lead")


# -- retries --------------------

NOT_TAKEN = ["503", "429", "maintenance", "refused", "no connection in time"]


@pytest.mark.parametrize("request_", [GET, PUT], ids=["GET", "PUT"])
@pytest.mark.parametrize("trouble", PASSING)
def test_what_passes_is_waited_out_where_sending_twice_does_no_harm(
    transport: Transport, request_: Request, trouble: str
) -> None:
    wire, answer = outcome(transport, request_, PASSING[trouble], PASSING[trouble], OK)
    assert answer.status == 200
    assert len(wire.sent) == 3
    assert len(wire.waits) == 2


@pytest.mark.parametrize("trouble", PASSING)
def test_a_create_is_sent_again_only_if_the_server_did_not_take_it(transport: Transport, trouble: str) -> None:
    wire, answer = outcome(transport, POST, PASSING[trouble], OK)
    if trouble in NOT_TAKEN:
        assert answer.status == 200
        assert len(wire.sent) == 2
    else:
        assert len(wire.sent) == 1
        assert answer.outcome_unknown
        assert wire.waits == []


def test_a_create_said_to_be_repeatable_is_repeated(transport: Transport) -> None:
    wire, answer = outcome(transport, replace(POST, repeatable=True), BROKEN, OK)
    assert answer.status == 200
    assert len(wire.sent) == 2


def test_a_500_is_tried_once_more_for_a_read_and_not_for_a_create(transport: Transport) -> None:
    wire, answer = outcome(transport, GET, empty(500), OK)
    assert answer.status == 200
    wire, answer = outcome(transport, GET, empty(500))
    assert isinstance(answer, EspoServerError)
    assert len(wire.sent) == 2
    wire, answer = outcome(transport, POST, empty(500), OK)
    assert isinstance(answer, EspoServerError)
    assert answer.outcome_unknown
    assert len(wire.sent) == 1


GIVEN_UP: list[tuple[str, type[EspoError], int | None]] = [
    ("502", EspoServerError, 502),
    ("503", EspoServerError, 503),
    ("429", EspoRateLimitError, 429),
    ("maintenance", EspoMaintenanceError, 503),
    ("refused", EspoConnectionError, None),
    ("no connection in time", EspoTimeoutError, None),
    ("no answer in time", EspoTimeoutError, None),
    ("broken", EspoConnectionError, None),
]


@pytest.mark.parametrize(("trouble", "kind", "status"), GIVEN_UP)
@pytest.mark.parametrize("max_retries", [0, 2])
def test_in_the_end_it_gives_up_with_the_error_that_it_is(
    transport: Transport, trouble: str, kind: type[EspoError], status: int | None, max_retries: int
) -> None:
    wire, error = outcome(transport, GET, PASSING[trouble], config=replace(CONFIG, max_retries=max_retries))
    assert type(error) is kind
    assert (error.status, error.method, error.path) == (status, "GET", "Lead")
    assert len(wire.sent) == max_retries + 1
    assert len(wire.waits) == max_retries


def test_waits_grow_within_their_bounds(transport: Transport) -> None:
    wire = transport.wire(CONFIG, empty(503))
    wire.state.retry = RetryPolicy(max_retries=4, uniform=lambda low, high: high)
    with pytest.raises(EspoServerError):
        transport.run(wire, ask(GET))
    assert wire.waits == [0.5, 1, 2, 4]


REFUSALS: list[tuple[Reply, type[EspoError]]] = [
    (empty(401), EspoAuthenticationError),
    (empty(403), EspoLoginThrottledError),
    (empty(403, X_Status_Reason=""), EspoForbiddenError),
    (reply(404, X_Status_Reason="Record id1 does not exist."), EspoNotFoundError),
    (reply(400, X_Status_Reason="Field validation failure; entityType: Lead, field: a, type: b."), EspoValidationError),
    (reply(409, [{"id": "i"}], X_Status_Reason="duplicate"), EspoDuplicateError),
    (reply(409, {"values": {}, "versionNumber": 2}, X_Status_Reason="modified"), EspoVersionConflictError),
    (page(), EspoBadAnswerError),
    (page(403), EspoBadAnswerError),
]


@pytest.mark.parametrize(("refusal", "kind"), REFUSALS)
def test_a_refusal_is_not_tried_again(transport: Transport, refusal: Reply, kind: type[EspoError]) -> None:
    wire, error = outcome(transport, GET, refusal, OK)
    assert type(error) is kind
    assert len(wire.sent) == 1
    assert wire.waits == []
    assert error.status == refusal.status
    assert error.reason == (refusal.headers.get("X-Status-Reason") or None)


# -- waits that the server asks for, and our own limit --------------------


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_kept(transport: Transport, status: int) -> None:
    wire, answer = outcome(transport, POST, empty(status, Retry_After="7"), OK)
    assert answer.status == 200
    assert len(wire.waits) == 1
    assert 7 <= wire.waits[0] <= 8


def test_retry_after_as_a_date_is_kept(transport: Transport) -> None:
    def busy(_sent: Sent) -> Reply:
        return empty(503, Retry_After=formatdate(EPOCH + 1000 + 42, usegmt=True))

    wire, answer = outcome(transport, GET, busy, OK)
    assert answer.status == 200
    assert 42 <= wire.waits[0] <= 43


@pytest.mark.parametrize("value", ["3600", formatdate(EPOCH + 1000 + 3600, usegmt=True)])
def test_a_wait_of_an_hour_is_left_to_airflow(transport: Transport, value: str) -> None:
    wire, error = outcome(transport, GET, empty(429, Retry_After=value), OK)
    assert isinstance(error, EspoRateLimitError)
    assert len(wire.sent) == 1
    assert wire.waits == []


@pytest.mark.parametrize("reset", ["9", str(EPOCH + 1000 + 9)])
def test_a_used_up_rate_limit_holds_back_the_next_request(transport: Transport, reset: str) -> None:
    wire = transport.wire(CONFIG, reply(json={}, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset), OK)
    transport.run(wire, ask(GET), ask(GET))
    assert wire.waits == [pytest.approx(9)]
    assert len(wire.sent) == 2


def test_requests_per_second_are_kept_over_all_requests_retries_and_logins(transport: Transport) -> None:
    config = ClientConfig(
        site_url=SITE, auth_method=AuthMethod.TOKEN, login="u", secret="p", requests_per_second=2.0, max_retries=1
    )
    times: list[float] = []

    def answer(sent: Sent) -> Reply:
        times.append(wire.now)
        return reply(json={"token": "t"}) if sent.url.endswith("App/user") else OK

    def busy(sent: Sent) -> Reply:
        times.append(wire.now)
        return empty(503)

    wire = transport.wire(config, answer, answer, busy, answer, answer)
    transport.run(wire, ask(GET), ask(GET), ask(GET))
    assert len(times) == 6  # login, work, busy, work again, work, logout
    assert all(later - earlier >= 0.5 - 1e-9 for earlier, later in pairwise(times))


# -- redirects --------------------


PLAIN = replace(CONFIG, site_url="http://crm.example.com")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_read_follows_to_https_of_the_same_host_with_its_filter(transport: Transport, status: int) -> None:
    wire, answer = outcome(transport, GET, redirect(f"{SITE}/api/v1/Lead", status), OK, config=PLAIN)
    assert answer.status == 200
    assert [sent.url for sent in wire.sent] == [
        "http://crm.example.com/api/v1/Lead?searchParams=%7B%7D",
        "https://crm.example.com/api/v1/Lead?searchParams=%7B%7D",
    ]
    assert wire.sent[1].headers["x-api-key"] == "key"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", [f"{SITE}/api/v1/Lead", "/other/api/v1/Lead"])
def test_a_write_does_not_follow(transport: Transport, status: int, location: str) -> None:
    wire, error = outcome(transport, POST, redirect(location, status), OK, config=PLAIN)
    assert isinstance(error, EspoBadAnswerError)
    assert error.status == status
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    "location",
    ["https://evil.example/api/v1/Lead", "//evil.example/api/v1/Lead", "https://crm.example.com.evil.example/api/v1/Lead",
     "https://crm.example.com:8443/api/v1/Lead", "http://crm.example.com:8080/api/v1/Lead",
     "https://crm.example.com@evil.example/api/v1/Lead"],
)  # fmt: skip
def test_nobody_else_gets_a_request_with_our_key(transport: Transport, location: str) -> None:
    wire, error = outcome(transport, GET, redirect(location), OK)
    assert isinstance(error, EspoBadAnswerError)
    assert "redirects to http" in str(error)
    assert [sent.url for sent in wire.sent] == [f"{SITE}/api/v1/Lead?searchParams=%7B%7D"]


@pytest.mark.parametrize("location", ["/login", "https://[::1", "", "https://h:99999/api/v1/Lead", "javascript:x"])
def test_a_redirect_that_leads_nowhere_useful_is_a_bad_answer_in_both(transport: Transport, location: str) -> None:
    wire, error = outcome(transport, GET, redirect(location), OK)
    assert type(error) is EspoBadAnswerError
    assert len(wire.sent) == 1


def test_a_circle_of_redirects_ends(transport: Transport) -> None:
    wire, error = outcome(transport, GET, redirect("/api/v1/Lead"))
    assert isinstance(error, EspoBadAnswerError)
    assert "again and again" in str(error)
    assert len(wire.sent) == 4


def test_a_redirect_and_a_retry_go_together(transport: Transport) -> None:
    wire, answer = outcome(transport, GET, redirect(f"{SITE}/api/v1/Lead"), empty(503), OK, config=PLAIN)
    assert answer.status == 200
    assert [sent.url.partition(":")[0] for sent in wire.sent] == ["http", "https", "https"]


# -- nothing kept, nothing added --------------------


def test_netrc_is_not_used(transport: Transport, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine crm.example.com login jane password MARKER\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    wire, _ = outcome(transport, GET, OK)
    assert "authorization" not in wire.sent[0].headers


def test_a_bad_request_is_refused_before_anything_is_sent(transport: Transport) -> None:
    for bad in (
        build_request("POST", "Lead", json={"a": {1}}),
        build_request("GET", "Lead", headers={"X-A": "a\r\nB: c"}),
    ):
        wire, error = outcome(transport, bad, OK)
        assert isinstance(error, EspoInputError)
        assert wire.sent == []


# -- driven by hand --------------------


def test_the_steps_are_nothing_but_sends_and_waits() -> None:
    state = new_state(CONFIG)
    yielded, answer = play(exchange(GET, state), Response(503, {}, b""), None, Response(200, {}, b"{}"))
    assert [type(step) for step in yielded] == [Send, Wait, Send]
    assert answer.status == 200


def test_an_error_carries_the_method_and_path_of_the_request_that_failed() -> None:
    steps = exchange(POST, new_state(CONFIG))
    next(steps)
    with pytest.raises(EspoConnectionError) as caught:
        steps.send(EspoConnectionError("broken", outcome_unknown=True))
    assert "(POST Lead)" in str(caught.value)


def test_a_stream_passes_on_what_it_emits() -> None:
    def stream() -> Stream[int]:
        answer = yield GET
        yield Emit(answer.status)

    steps = perform_stream(stream(), new_state(CONFIG))
    assert isinstance(next(steps), Send)
    assert steps.send(Response(200, {}, b"")) == Emit(200)
