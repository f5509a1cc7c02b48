"""The connection form's Test button: one sentence, what to do, never a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.config import secrets_of
from airflow_provider_espo.hooks.espo import EspoHook
from tests.unit.crm import (
    Crm,
    Lost,
    Refused,
    Reply,
    TooLate,
    Untrusted,
    answering,
    refusal,
)


@pytest.fixture(autouse=True)
def _fresh_masker() -> Iterator[None]:
    reset_secrets_masker()
    yield
    reset_secrets_masker()


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


def test_a_test_does_not_wait_for_the_request_budget_or_long_time_outs(crm: Crm, connect: Callable[..., str]) -> None:
    connect(extra={"requests_per_second": 0.001, "timeout": 600, "connect_timeout": 600})
    waits: list[Any] = []
    send = requests.Session.send

    def note_the_time_out(self: requests.Session, *args: Any, **kwargs: Any) -> requests.Response:
        waits.extend(kwargs["timeout"])
        return send(self, *args, **kwargs)

    # Taken back before the CRM of the fixture is: what is put back here is its own.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", waits.append)
        patch.setattr(requests.Session, "send", note_the_time_out)
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
