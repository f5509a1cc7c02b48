"""From an Airflow connection to EspoCRM and back, over both hooks."""

from __future__ import annotations

import copy
import json
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import requests
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker
from airflow.sdk.exceptions import AirflowNotFoundException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.config import secrets_of
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import EspoConfigError, EspoInputError, EspoNotFoundError
from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from tests.unit.crm import (
    API_KEY,
    LEAD,
    USER,
    Crm,
    Lost,
    Refused,
    Reply,
    Sent,
    TooLate,
    Untrusted,
    answering,
    page,
    refusal,
)


@pytest.fixture(autouse=True)
def _fresh_masker() -> Iterator[None]:
    reset_secrets_masker()
    yield
    reset_secrets_masker()


# --- the Test button


def test_the_test_says_in_one_sentence_who_one_is_where_and_how_fast(crm: Crm) -> None:
    works, sentence = EspoHook().test_connection()
    assert works
    assert re.fullmatch(
        r"Connected to EspoCRM 10\.0\.0 at https://crm\.example\.com as airflow \(api user\), answered in \d+ ms\.",
        sentence,
    )


def test_a_server_that_does_not_tell_its_version_is_connected_all_the_same(crm: Crm) -> None:
    crm.on("GET", "App/about", refusal(404))
    works, sentence = EspoHook().test_connection()
    assert works
    assert "EspoCRM (which does not tell its version)" in sentence


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(401), ["did not accept the credentials", "method api_key", "inactive"]),
        (refusal(403), ["failed logins", "wait a minute"]),
        (
            Reply(200, "<!DOCTYPE html><html></html>", {"Content-Type": "text/html"}),
            ["HTML page", "site URL", "sub-path"],
        ),
        (Reply(404, "<html>nginx</html>", {"Content-Type": "text/html"}), ["HTML page", "site URL"]),
        (Reply(404, '{"detail": "no"}', {"Content-Type": "application/json"}), ["no EspoCRM API", "check host"]),
        (Reply(200, '{"hello": 1}', {"Content-Type": "application/json"}), ["not of EspoCRM", "site URL"]),
        (refusal(503, "Maintenance mode"), ["maintenance", "Try again"]),
        (refusal(500), ["The server failed", "log"]),
        (Reply(302, b"", {"Location": "https://login.example.org/"}), ["redirects", "login.example.org"]),
        (TooLate, ["No answer within timeout", "did not answer", "check host and port"]),
        (Refused, ["No connection within connect_timeout", "firewall"]),
        (Lost, ["Check host and port"]),
        (Untrusted, ["certificate is not trusted", "self-signed", "ca_file"]),
        (
            Reply(401, b"{}", {"X-Status-Reason": "second-step-required"}),
            ["two-factor", "Use an API user"],
        ),
    ],
)
def test_a_failed_test_says_what_to_do(crm: Crm, answer: Any, words: list[str]) -> None:
    crm.on("GET", "App/user", answer)
    works, sentence = EspoHook().test_connection()
    assert not works
    assert [word for word in words if word not in sentence] == []
    assert len(crm.sent) == 1, "a test does not try again"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"auth_method": "hmac"}, "secret key"),
        ({"auth_method": "basic"}, "User name or password is wrong"),
        ({"auth_method": "token"}, "User name or password is wrong"),
    ],
)
def test_refused_credentials_are_explained_by_their_method(
    crm: Crm, connect: Callable[..., str], fields: dict[str, str], words: str
) -> None:
    connect(login="k3y-or-name", password="f00t-print", extra=fields)
    crm.on("GET", "App/user", refusal(401))
    works, sentence = EspoHook().test_connection()
    assert not works
    assert words in sentence


def test_a_proxy_that_refuses_is_named(connect: Callable[..., str], requests_mock: Any) -> None:
    connect()
    requests_mock.get(f"{Crm.url}/api/v1/App/user", exc=requests.exceptions.ProxyError("no"))
    works, sentence = EspoHook().test_connection()
    assert not works
    assert "proxy" in sentence


def test_an_unknown_host_is_named_as_such(connect: Callable[..., str]) -> None:
    connect(host="https://crm.invalid")
    works, sentence = EspoHook().test_connection()
    assert not works
    assert "host name is not known" in sentence


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"host": None}, "host"),
        ({"host": "https://"}, "host"),
        ({"password": None}, "password is missing"),
        ({"extra": {"auth_method": "hmac"}}, "login is missing"),
        ({"extra": {"auth_method": "magic"}}, "auth_method"),
        ({"extra": {"ca_file": "/nowhere/ca.pem"}}, "ca_file cannot be read"),
    ],
)
def test_an_incomplete_connection_says_what_is_missing_and_sends_nothing(
    crm: Crm, connect: Callable[..., str], fields: dict[str, Any], word: str
) -> None:
    connect(**fields)
    works, sentence = EspoHook().test_connection()
    assert not works
    assert word in sentence
    assert crm.sent == []


def test_a_connection_that_is_not_there_is_named() -> None:
    assert EspoHook("nowhere").test_connection() == (False, "There is no connection 'nowhere'.")


def test_a_test_does_not_wait_for_the_request_budget_or_long_time_outs(
    crm: Crm, connect: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(extra={"requests_per_second": 0.001, "timeout": 600, "connect_timeout": 600})
    waits: list[Any] = []
    monkeypatch.setattr("time.sleep", waits.append)
    send = requests.Session.request

    def note_the_time_out(self: requests.Session, *args: Any, **kwargs: Any) -> requests.Response:
        waits.extend(kwargs["timeout"])
        return send(self, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "request", note_the_time_out)
    assert EspoHook().test_connection()[0]
    assert max(waits) <= 10


def test_what_a_test_learnt_of_unsaved_settings_does_not_stay(crm: Crm) -> None:
    hook = EspoHook()
    hook.test_connection()
    assert hook.state.user_id is None


TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=20).map(
    lambda text: f"qZ7{text}"
)
FAILURES = st.sampled_from([401, 403, 404, 409, 429, 500, 503, 302, 200])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["api_key", "hmac", "basic", "token"]),
    login=TEXT.map(lambda text: text.replace(":", "x")),
    secret=TEXT,
    header=TEXT,
    proxy_password=TEXT,
    status=FAILURES,
    as_page=st.booleans(),
)
def test_no_secret_is_ever_in_the_sentence(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    login: str,
    secret: str,
    header: str,
    proxy_password: str,
    status: int,
    as_page: bool,
) -> None:
    from urllib.parse import quote

    extra = {
        "auth_method": method,
        "headers": {"X-Gateway-Token": header},
        "proxies": {"https": f"http://me:{quote(proxy_password, safe='')}@proxy.example.com:3128"},
    }
    connection = {"conn_type": "espo", "host": Crm.url, "login": login, "password": secret, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ESPO_DEFAULT", json.dumps(connection))
    with answering(Crm()) as crm:
        # The server says everything back that it was told.
        echo = json.dumps([login, secret, header, proxy_password])
        body, kind = (f"<html>{echo}</html>", "text/html") if as_page else (echo, "application/json")
        crm.on("GET", "App/user", lambda sent: Reply(status, body + str(dict(sent.headers)), {"Content-Type": kind}))
        hook = EspoHook()
        works, sentence = hook.test_connection()
        assert not works
        shown = [one for one in secrets_of(hook.config) if len(one) > 4 and one in sentence]
        assert shown == []
        assert repr(hook.config).count(secret) == 0


def test_a_broken_connection_does_not_repeat_its_secret(connect: Callable[..., str]) -> None:
    connect(password="k3y with a blank and s3cret")
    works, sentence = EspoHook().test_connection()
    assert not works
    assert "s3cret" not in sentence


# --- the connection


def test_a_uri_from_the_environment_gives_the_same_as_json(crm: Crm, connect: Callable[..., str]) -> None:
    connect("as_uri", uri=f"espo://:{API_KEY}@crm.example.com:8443/crm?verify=false&timeout=30&page_size=50")
    connect("as_json", host="https://crm.example.com:8443/crm", extra={"verify": False, "timeout": 30, "page_size": 50})
    assert EspoHook("as_uri").config == EspoHook("as_json").config
    assert EspoHook("as_uri").config.timeout == 30.0
    assert EspoHook("as_uri").config.verify is False


def test_requests_tell_provider_and_airflow_version(crm: Crm) -> None:
    EspoHook().whoami()
    assert re.fullmatch(r"airflow-provider-espo/\S+ apache-airflow/\S+", crm.sent[0].headers["user-agent"])


def test_airflow_finds_the_hook_by_the_connection(connect: Callable[..., str]) -> None:
    connect("mine")
    hook = Connection.get("mine").get_hook()
    assert isinstance(hook, EspoHook)
    assert hook.espo_conn_id == "mine"


def test_unknown_extras_are_warned_of_once(
    crm: Crm, connect: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    connect(extra={"time_out": 5})
    hook = EspoHook()
    hook.whoami()
    hook.whoami()
    log = capsys.readouterr().out
    assert log.count("time_out (did you mean timeout?)") == 1


async def test_the_async_hook_warns_of_them_too(
    crm: Crm, connect: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    connect(extra={"time_out": 5})
    async with EspoAsyncHook() as hook:
        await hook.whoami()
        await hook.whoami()
    assert capsys.readouterr().out.count("time_out (did you mean timeout?)") == 1


def test_an_incomplete_connection_is_an_error_that_names_the_field(connect: Callable[..., str]) -> None:
    connect(password=None)
    with pytest.raises(EspoConfigError, match="password is missing"):
        EspoHook().get_conn()


def test_a_missing_connection_is_airflows_error() -> None:
    with pytest.raises(AirflowNotFoundException):
        EspoHook("nowhere").whoami()


def test_record_url_leads_to_the_record_in_the_user_interface(connect: Callable[..., str]) -> None:
    connect(host="crm.example.com/espo")
    assert EspoHook().record_url("Lead", LEAD) == f"https://crm.example.com/espo/#Lead/view/{LEAD}"
    connect("portal", host="crm.example.com", extra={"portal_id": "65a1"})
    assert EspoHook("portal").record_url("Case", LEAD) == f"https://crm.example.com/portal/65a1/#Case/view/{LEAD}"
    with pytest.raises(EspoInputError):
        EspoHook().record_url("Lead", "../User")


def test_get_conn_gives_the_client(crm: Crm) -> None:
    client = EspoHook().get_conn()
    assert isinstance(client, EspoClient)
    assert client.whoami()["user_name"] == "airflow"


# --- secrets in logs

SECRET_PLACES: list[dict[str, Any]] = [
    {},
    {"login": "4p1-k3y-of-hmac", "extra": {"auth_method": "hmac"}},
    {"login": "sales", "password": "pä$$ w:rd", "extra": {"auth_method": "basic"}},
    {"login": "sales", "password": "correct horse", "extra": {"auth_method": "token"}},
    {"extra": {"headers": {"X-Gateway-Token": "gateway-s3cret"}}},
    {"extra": {"proxies": {"https": "http://me:pr0xy%2Fs3cret@proxy.example.com:3128"}}},
]


@pytest.mark.parametrize("fields", SECRET_PLACES)
def test_every_form_of_a_secret_is_masked_once_the_connection_is_read(
    connect: Callable[..., str], fields: dict[str, Any]
) -> None:
    connect(**fields)
    forms = secrets_of(EspoHook().config)
    assert forms
    assert [form for form in forms if form in redact(f"x {form} y")] == []


@pytest.mark.parametrize("fields", SECRET_PLACES)
async def test_the_async_hook_masks_the_same(connect: Callable[..., str], fields: dict[str, Any]) -> None:
    connect(**fields)
    async with EspoAsyncHook() as hook:
        forms = secrets_of((await hook.ready()).config)
    assert [form for form in forms if form in redact(f"x {form} y")] == []


TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def token_crm(crm: Crm, connect: Callable[..., str]) -> Crm:
    connect(login="sales", password="correct horse", extra={"auth_method": "token"})

    def user(sent: Sent) -> dict[str, Any]:
        logs_in = "espo-authorization-by-token" not in sent.headers
        return {"user": USER, "token": TOKEN if logs_in else None}

    crm.on("GET", "App/user", user)
    crm.on("POST", "App/destroyAuthToken", True)
    crm.on("GET", "Lead", page({"id": LEAD}))
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD})
    return crm


def test_a_token_is_masked_as_soon_as_there_is_one_and_given_back_at_the_end(token_crm: Crm) -> None:
    with EspoHook() as hook:
        hook.whoami()
        assert TOKEN not in redact(f"{TOKEN}")
        assert token_crm.calls("POST") == []
    assert [sent.json for sent in token_crm.calls("POST", "App/destroyAuthToken")] == [{"token": TOKEN}]
    assert hook.state.token.token is None


def test_a_token_is_masked_before_the_first_record_is_handed_out(token_crm: Crm) -> None:
    records = EspoHook().iter_records("Lead", select=["id"], validate=False)
    next(records)
    assert TOKEN not in redact(TOKEN)


def test_a_token_is_masked_when_many_work_at_once(token_crm: Crm) -> None:
    token_crm.on("PUT", f"Lead/{LEAD}", {"id": LEAD})
    rows = [{"id": LEAD, "status": "Dead"}]
    EspoHook().write_many("Lead", rows, operation="update", validate=False)
    assert TOKEN not in redact(TOKEN)


async def test_the_async_hook_masks_its_token_and_gives_it_back(token_crm: Crm) -> None:
    async with EspoAsyncHook() as hook:
        async for _ in hook.iter_records("Lead", select=["id"], validate=False):
            assert TOKEN not in redact(TOKEN)
    assert len(token_crm.calls("POST", "App/destroyAuthToken")) == 1


def test_a_closed_hook_may_be_used_again(token_crm: Crm) -> None:
    hook = EspoHook()
    with hook:
        hook.whoami()
    assert hook.whoami()["user_name"] == "airflow"
    hook.close()
    hook.close()
    assert len(token_crm.calls("POST", "App/destroyAuthToken")) == 2


def test_closing_a_hook_that_was_never_used_asks_for_nothing(crm: Crm) -> None:
    with EspoHook("nowhere"):
        pass
    assert crm.sent == []


class KeptOpen(BaseHTTPRequestHandler):
    """Answers and keeps the connection, as EspoCRM's web server does; says when the other side has closed it."""

    protocol_version = "HTTP/1.1"
    closed: ClassVar[threading.Event]

    def do_GET(self) -> None:
        body = json.dumps({"user": USER}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        super().finish()
        type(self).closed.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def kept_open(connect: Callable[..., str]) -> Iterator[threading.Event]:
    """A server on loopback; the event is set when a connection to it has been closed."""
    KeptOpen.closed = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), KeptOpen) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connect(host=f"http://127.0.0.1:{server.server_port}")
        yield KeptOpen.closed
        server.shutdown()
        thread.join()


def test_leaving_the_with_block_closes_the_sockets(kept_open: threading.Event) -> None:
    with EspoHook() as hook:
        hook.whoami()
        assert not kept_open.is_set()
    assert kept_open.wait(10)


async def test_the_last_async_hook_closes_the_sockets(kept_open: threading.Event) -> None:
    async with EspoAsyncHook() as hook:
        await hook.whoami()
        async with EspoAsyncHook() as other:
            await other.whoami()
        assert not kept_open.is_set()
    assert kept_open.wait(10)


# --- copies and threads


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda hook: pickle.loads(pickle.dumps(hook))])
def test_a_copy_of_a_used_hook_works_and_takes_no_secret_along(
    crm: Crm, copied: Callable[[EspoHook], EspoHook]
) -> None:
    hook = EspoHook()
    hook.whoami()
    assert API_KEY.encode() not in pickle.dumps(hook)
    twin = copied(hook)
    assert twin.espo_conn_id == "espo_default"
    assert twin.whoami()["user_name"] == "airflow"


@pytest.fixture
def _threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_threads_take_turns_often")
def test_many_threads_use_one_hook_and_one_client(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "lastName": "Nowak"})
    for _ in range(10):
        hook, together = EspoHook(), threading.Barrier(8)

        def work(_: int, hook: EspoHook = hook, together: threading.Barrier = together) -> tuple[int, str]:
            together.wait()
            return id(hook.get_conn()), hook.get_record("Lead", LEAD)["lastName"]

        with ThreadPoolExecutor(8) as pool:
            results = set(pool.map(work, range(8)))
        assert results == {(id(hook.get_conn()), "Nowak")}


def test_errors_come_out_as_they_are(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", refusal(404))
    with EspoHook() as hook, pytest.raises(EspoNotFoundError):
        hook.get_record("Lead", LEAD)


def test_a_walk_may_be_left_early(crm: Crm) -> None:
    crm.on("GET", "Lead", {"total": -1, "list": [{"id": LEAD}]})
    with EspoHook() as hook:
        for record in hook.iter_records("Lead", page_size=1):
            assert record["id"] == LEAD
            break
    assert len(crm.calls("GET", "Lead")) == 1
