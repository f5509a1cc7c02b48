from __future__ import annotations

import base64
import gc
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.auth import TokenHolder, auth_headers, hmac_header
from airflow_provider_espo.client.config import AuthMethod, ClientConfig, HmacDigest
from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoConnectionError,
    EspoError,
    EspoLoginThrottledError,
    EspoSecondFactorError,
    EspoServerError,
)
from airflow_provider_espo.client.exchange import Send, Wait, exchange, farewell, perform
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.client.wire import Proof, Response, build_request, free_path
from tests.unit.client.transports import BROKEN, Reply, Sent, Transport, ask, empty, play, reply

VECTORS = json.loads((Path(__file__).parent / "data" / "hmac_vectors.json").read_text())
TOKEN_CONFIG = ClientConfig(
    site_url="https://crm.example.com", auth_method=AuthMethod.TOKEN, login="sales", secret="pass:wörd", max_retries=2
)
AUTH_HEADERS = {"authorization", "x-api-key", "x-hmac-authorization", "espo-authorization"}


def config_of(method: AuthMethod, **changes: Any) -> ClientConfig:
    return ClientConfig(site_url="https://crm.example.com", auth_method=method, login="who", secret="s3cret", **changes)


def decoded(header: str) -> str:
    return base64.b64decode(header).decode()


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["vectors"] if v["accepted"]], ids=lambda v: f"{v['request']}-{v['digest']}"
)
def test_a_request_is_signed_as_a_real_server_accepted_it(vector: dict[str, Any]) -> None:
    method, target = vector["request"].split(" ", 1)
    path, _, query = target.partition("?")
    request = build_request(
        method, free_path(path), query=tuple(pair.split("=") for pair in query.split("&")) if query else ()
    )
    config = ClientConfig(
        site_url="https://crm.example.com/sub/path",
        auth_method=AuthMethod.HMAC,
        login=VECTORS["api_key"],
        secret=VECTORS["secret_key"],
        hmac_digest=HmacDigest(vector["digest"]),
    )
    assert auth_headers(request, config, None) == {"X-Hmac-Authorization": vector["header"]}


@pytest.mark.parametrize("vector", [v for v in VECTORS["vectors"] if not v["accepted"]], ids=lambda v: v["signed"])
def test_no_signature_is_one_that_a_real_server_refused(vector: dict[str, Any]) -> None:
    method, target = vector["request"].split(" ", 1)
    for digest in HmacDigest:
        signed = hmac_header(VECTORS["api_key"], VECTORS["secret_key"], method, target.partition("?")[0], digest)
        assert signed != vector["header"]


def test_the_path_is_signed_in_the_percent_encoded_form_in_which_it_is_sent() -> None:
    path = free_path("Contact/no such id")
    assert path == "Contact/no%20such%20id"
    vector = next(v for v in VECTORS["vectors"] if "%20" in v["signed"])
    key, secret = VECTORS["api_key"], VECTORS["secret_key"]
    assert hmac_header(key, secret, "GET", path, "hex") == vector["header"]


@pytest.mark.parametrize("method", AuthMethod)
@pytest.mark.parametrize("proof", ["connection", "password", "token", "none"])
def test_a_request_never_carries_two_proofs(method: AuthMethod, proof: Proof) -> None:
    headers = auth_headers(build_request("GET", "Lead", proof=proof), config_of(method), "t0ken")
    proofs = AUTH_HEADERS & {name.lower() for name in headers}
    assert len(proofs) == (0 if proof == "none" else 1)


def test_each_method_sends_the_header_that_espocrm_documents() -> None:
    request = build_request("GET", "Lead")
    assert auth_headers(request, config_of(AuthMethod.API_KEY), None) == {"X-Api-Key": "s3cret"}
    basic = auth_headers(request, config_of(AuthMethod.BASIC), None)
    assert basic["Authorization"].startswith("Basic ")
    assert decoded(basic["Authorization"].removeprefix("Basic ")) == "who:s3cret"
    token = auth_headers(request, config_of(AuthMethod.TOKEN), "t0ken")
    assert token["Espo-Authorization-By-Token"] == "true"
    assert decoded(token["Espo-Authorization"]) == "who:t0ken"


@pytest.mark.parametrize("method", [AuthMethod.BASIC, AuthMethod.TOKEN])
def test_act_as_goes_with_the_work_and_not_with_login_and_logout(method: AuthMethod) -> None:
    config = config_of(method, act_as="sales")
    assert auth_headers(build_request("GET", "Lead"), config, "t")["X-Another-User"] == "sales"
    for proof in ("password", "token", "none"):
        assert "X-Another-User" not in auth_headers(build_request("GET", "App/user", proof=proof), config, "t")


def test_a_header_of_the_connection_never_stands_beside_ours_in_other_letter_case(transport: Transport) -> None:
    config = config_of(AuthMethod.BASIC, headers={"x-trace": "1", "user-agent": "mine", "ACCEPT-language": "de"})
    wire = transport.wire(replace(config, user_agent="ours"), reply(json={}))
    transport.run(
        wire, ask(build_request("POST", "Lead", json={}, headers={"content-type": "text/plain", "X-Trace": "2"}))
    )
    headers = wire.sent[0].headers
    assert headers["user-agent"] == "mine"
    assert headers["x-trace"] == "2"
    assert headers["content-type"] == "application/json"
    assert headers["accept-language"] == "de"


# -- the token flow --------------------


class TokenServer:
    """Hands out tokens t1, t2, … and knows which are good."""

    def __init__(self) -> None:
        self.logins = 0
        self.good: set[str] = set()
        self.log: list[str] = []

    def __call__(self, sent: Sent) -> Reply:
        user, _, proof = decoded(sent.headers["espo-authorization"]).partition(":")
        assert user == "sales"
        by_token = sent.headers.get("espo-authorization-by-token") == "true"
        path = sent.url.partition("/api/v1/")[2]
        self.log.append(f"{sent.method} {path} by {'token ' + proof if by_token else 'password'}")
        if by_token and proof not in self.good:
            return empty(401)
        if path == "App/user" and not by_token:
            assert proof == "pass:wörd"
            self.logins += 1
            self.good.add(f"t{self.logins}")
            return reply(json={"user": {}, "token": f"t{self.logins}"})
        if path == "App/destroyAuthToken":
            self.good.discard(sent.json["token"])
            return reply(json=True)
        return reply(json={"total": 0, "list": []})


def lead() -> Any:
    return ask(build_request("GET", "Lead"))


def test_a_token_connection_logs_in_once_works_by_token_and_gives_it_back(transport: Transport) -> None:
    server = TokenServer()
    wire = transport.wire(TOKEN_CONFIG, server)
    transport.run(wire, lead(), lead())
    assert server.log == [
        "GET App/user by password",
        "GET Lead by token t1",
        "GET Lead by token t1",
        "POST App/destroyAuthToken by token t1",
    ]
    assert server.good == set()
    assert wire.state.token.token is None


def test_an_expired_token_is_renewed_once(transport: Transport) -> None:
    server = TokenServer()
    wire = transport.wire(TOKEN_CONFIG, server)
    wire.state.token.token = "old"
    transport.run(wire, lead())
    assert server.log[:3] == ["GET Lead by token old", "GET App/user by password", "GET Lead by token t1"]


def test_a_server_that_refuses_every_token_is_believed_after_one_renewal(transport: Transport) -> None:
    logins = []

    def refuse(sent: Sent) -> Reply:
        if sent.headers.get("espo-authorization-by-token"):
            return empty(401)
        logins.append(sent)
        return reply(json={"token": f"t{len(logins)}"})

    wire = transport.wire(TOKEN_CONFIG, refuse)
    wire.state.token.token = "old"
    with pytest.raises(EspoAuthenticationError):
        transport.run(wire, lead())
    assert len(logins) == 1
    assert len([sent for sent in wire.sent if sent.url.endswith("/Lead")]) == 2
    assert wire.waits == []


def test_a_wrong_password_is_tried_once(transport: Transport) -> None:
    wire = transport.wire(TOKEN_CONFIG, empty(401))
    with pytest.raises(EspoAuthenticationError, match="User name or password is wrong"):
        transport.run(wire, lead())
    assert len(wire.sent) == 1


def test_a_second_factor_is_explained(transport: Transport) -> None:
    wire = transport.wire(
        TOKEN_CONFIG, reply(401, {"message": "enterTotpCode"}, X_Status_Reason="second-step-required")
    )
    with pytest.raises(EspoSecondFactorError, match="API user") as caught:
        transport.run(wire, lead())
    assert caught.value.status == 401
    assert len(wire.sent) == 1


@pytest.mark.parametrize("token", [None, "", 5])
def test_a_login_that_gives_no_token_is_a_bad_answer(transport: Transport, token: object) -> None:
    wire = transport.wire(TOKEN_CONFIG, reply(json={"user": {}, "token": token}))
    with pytest.raises(EspoBadAnswerError, match="gave no token"):
        transport.run(wire, lead())


def test_act_as_is_named_where_it_may_be_what_was_refused(transport: Transport) -> None:
    def refuse_another_user(sent: Sent) -> Reply:
        return empty(401) if "x-another-user" in sent.headers else reply(json={"token": "t"})

    wire = transport.wire(replace(TOKEN_CONFIG, act_as="nobody"), refuse_another_user)
    with pytest.raises(EspoAuthenticationError, match="act_as must be"):
        transport.run(wire, lead())


def answered(json_body: Any = None) -> Response:
    return Response(200, {"content-type": "application/json"}, json.dumps(json_body).encode())


def test_a_token_that_somebody_else_renewed_meanwhile_is_used() -> None:
    state = new_state(TOKEN_CONFIG)
    state.token.token = "old"
    steps = exchange(build_request("GET", "Lead"), state)
    first = next(steps)
    assert isinstance(first, Send)
    state.token.token = "new"  # by another thread, while our request was under way
    second = steps.send(Response(401, {}, b""))
    assert isinstance(second, Send)
    assert decoded(second.headers["Espo-Authorization"]) == "sales:new"
    assert second.url.endswith("/Lead")


def test_while_one_logs_in_the_others_wait_for_its_token() -> None:
    state = new_state(TOKEN_CONFIG)
    one, other = (exchange(build_request("GET", "Lead"), state) for _ in range(2))
    login = next(one)
    assert isinstance(login, Send)
    assert login.url.endswith("/App/user")
    assert isinstance(next(other), Wait)
    assert isinstance(other.send(None), Wait)
    work = one.send(answered({"token": "t1"}))
    assert isinstance(work, Send)
    own = other.send(None)
    assert isinstance(own, Send)
    assert own.url.endswith("/Lead")
    assert own.headers["Espo-Authorization"] == work.headers["Espo-Authorization"]


@pytest.mark.parametrize("end", ["failed", "abandoned"])
def test_after_a_login_that_came_to_nothing_the_next_may_try(end: str) -> None:
    state = new_state(replace(TOKEN_CONFIG, max_retries=0))
    one, other = (exchange(build_request("GET", "Lead"), state) for _ in range(2))
    next(one)
    assert isinstance(next(other), Wait)
    if end == "failed":
        with pytest.raises(EspoServerError):
            one.send(Response(503, {}, b""))
    else:
        one.close()
    login = other.send(None)
    assert isinstance(login, Send)
    assert login.url.endswith("/App/user")


@pytest.mark.parametrize(("status", "error"), [(401, EspoAuthenticationError), (403, EspoLoginThrottledError)])
def test_a_refused_login_is_refused_to_all_who_waited_for_it(status: int, error: type[EspoError]) -> None:
    state = new_state(TOKEN_CONFIG)
    one, *others = (exchange(build_request("GET", "Lead"), state) for _ in range(20))
    next(one)
    assert all(isinstance(next(other), Wait) for other in others)
    with pytest.raises(error):
        one.send(Response(status, {}, b""))
    for other in others:
        with pytest.raises(error):
            other.send(None)
    # Whoever comes later tries anew: the user may have been unlocked.
    login = next(exchange(build_request("GET", "Lead"), state))
    assert isinstance(login, Send)
    assert login.url.endswith("/App/user")


def test_a_login_that_never_ends_is_not_waited_for_for_ever() -> None:
    state = new_state(replace(TOKEN_CONFIG, timeout=1, connect_timeout=1))
    assert state.token.may_log_in()  # by a thread of the process that this one was forked from
    steps = exchange(build_request("GET", "Lead"), state)
    waited = 0.0
    while isinstance(step := next(steps), Wait):
        waited += step.seconds
        assert waited < 3
    assert step.url.endswith("/App/user")


def test_the_last_client_of_a_token_gives_it_back_and_no_other() -> None:
    state = new_state(TOKEN_CONFIG)
    first, second = EspoClient(TOKEN_CONFIG, state), EspoClient(TOKEN_CONFIG, state)
    state.token.token = "t"
    first.close()
    assert state.token.token == "t"
    assert state.token.leave(second)


def test_a_client_that_nobody_closed_does_not_keep_the_token() -> None:
    holder = TokenHolder()

    class User:
        pass

    first, second = User(), User()
    holder.join(first)
    holder.join(second)
    holder.token = "t"
    del second
    gc.collect()
    assert holder.leave(first)


def test_logging_out_is_tried_once_and_its_failure_is_none(transport: Transport) -> None:
    server = TokenServer()
    wire = transport.wire(TOKEN_CONFIG, server, server, BROKEN)
    transport.run(wire, lead())
    assert [sent.url.rpartition("/")[2] for sent in wire.sent] == ["user", "Lead", "destroyAuthToken"]
    assert wire.waits == []


def test_closing_says_what_happened_inside_and_not_that_logging_out_failed(transport: Transport) -> None:
    server = TokenServer()
    wire = transport.wire(replace(TOKEN_CONFIG, max_retries=0), server, BROKEN, empty(500))
    with pytest.raises(EspoConnectionError):
        transport.run(wire, ask(build_request("POST", "Lead", json={})))
    assert len(wire.sent) == 3


def test_the_end_of_a_task_is_not_held_up_by_a_used_up_rate_limit() -> None:
    state = new_state(TOKEN_CONFIG)
    state.token.token = "t"
    state.budget.observe({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"}, state.clock(), state.wall_clock())
    assert play(farewell(state)) == ([], None)
    assert state.token.token is None


def test_nothing_is_given_back_where_nobody_logged_in() -> None:
    state = new_state(TOKEN_CONFIG)
    assert play(farewell(state)) == ([], None)


def test_the_state_keeps_secrets_out_of_its_repr() -> None:
    state = new_state(replace(TOKEN_CONFIG, secret="MARKER-1"))
    state.token.token = "MARKER-2"
    steps = perform(lead(), state)
    send = next(steps)
    assert "MARKER" not in repr(state) + repr(state.token) + repr(send)
    assert isinstance(state, ClientState)
