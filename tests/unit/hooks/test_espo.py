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
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker

from airflow_provider_espo.client.config import secrets_of
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import EspoConfigError, EspoInputError, EspoNotFoundError
from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from tests.unit.airflows import AirflowNotFoundException
from tests.unit.crm import (
    API_KEY,
    LEAD,
    USER,
    Crm,
    Sent,
    page,
    refusal,
)


@pytest.fixture(autouse=True)
def _fresh_masker() -> Iterator[None]:
    reset_secrets_masker()
    yield
    reset_secrets_masker()


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


def test_bounds_of_the_caller_hold_whatever_the_connection_says(connect: Callable[..., str]) -> None:
    connect(extra={"timeout": 5, "max_retries": 9})
    hook = EspoHook(at_most={"timeout": 10, "max_retries": 1, "requests_per_second": 3})
    for one in (hook, pickle.loads(pickle.dumps(hook))):
        config = one.config
        assert (config.timeout, config.max_retries, config.requests_per_second) == (5, 1, 3)
    assert EspoHook().config.max_retries == 9


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
