"""The receiver over Airflow's real database: what it records, what it refuses, and that repeats are no second event."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine
from sqlalchemy.exc import OperationalError

from airflow_provider_espo.client.webhook_secret import variable_name
from airflow_provider_espo.plugins import webhook_receiver_app
from airflow_provider_espo.plugins.webhook_receiver_app import build_app
from airflow_provider_espo.plugins.webhook_receiver_settings import ReceiverSettings
from airflow_provider_espo.sandbox.webhook_sender import outcome_of
from tests.system.receiver import Known, Listening, body_of, client_of, known_webhook, listen

SITE = "https://crm.receiver.test/sub"
SETTINGS = ReceiverSettings(enabled=True)
URL = "/espo/webhooks"
NAME = "Zofia Wiśniewska"


@pytest.fixture(scope="module")
def listening(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Listening:
    return listen(tmp_path_factory.mktemp("dags"), "hears_of_leads", SITE)


@pytest.fixture(autouse=True)
def _no_events_of_others(listening: Listening) -> None:
    from airflow.models.asset import AssetDagRunQueue, AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(AssetEvent))
        session.execute(delete(AssetDagRunQueue))


@pytest.fixture
def webhook(listening: Listening) -> Iterator[Known]:
    with known_webhook("6b02a8856c38fff9f", SITE) as known:
        yield known


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(build_app(SETTINGS)) as one:
        yield one


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[httpx.Response], str]]:
    """Everything that is said outside: the answer and the log."""
    with caplog.at_level(logging.DEBUG):
        yield lambda response: response.text + str(response.headers) + caplog.text


async def deliver(client: httpx.AsyncClient, webhook: Known, body: bytes, **headers: str) -> httpx.Response:
    return await client.post(URL, content=body, headers=webhook.headers(body) | headers)


class TestRecorded:
    async def test_a_delivery_is_an_event_with_ids_and_counts_and_starts_the_dag(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        response = await deliver(client, webhook, body_of("a1", "b2", "a1", name=NAME))
        assert (response.status_code, response.json()) == (200, {"outcome": "recorded"})
        [event] = listening.events()
        delivery = event.pop("delivery")
        assert len(delivery) == 32
        assert event == {
            "entity_type": "Lead",
            "event": "create",
            "ids": ["a1", "b2"],
            "count": 3,
            "webhook_id": webhook.webhook_id,
        }
        assert listening.is_dag_queued()

    @pytest.mark.parametrize("header", ["Signature", "X-Signature"])
    async def test_either_signature_does(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening, header: str
    ) -> None:
        body = body_of("a1")
        response = await client.post(URL, content=body, headers={header: webhook.headers(body)[header]})
        assert response.status_code == 200
        assert len(listening.events()) == 1

    async def test_the_event_kind_is_that_of_the_webhook(self, client: httpx.AsyncClient, listening: Listening) -> None:
        with known_webhook("6b02a88b04630745a", SITE, "Lead.fieldUpdate.status") as known:
            assert (await deliver(client, known, body_of("a1"))).status_code == 200
        assert [event["event"] for event in listening.events()] == ["fieldUpdate.status"]

    async def test_nothing_of_the_records_the_key_or_the_signature_is_kept_or_said(
        self,
        client: httpx.AsyncClient,
        webhook: Known,
        listening: Listening,
        told: Callable[[httpx.Response], str],
    ) -> None:
        body = body_of("a1", name=NAME)
        response = await deliver(client, webhook, body)
        everything = told(response) + str(listening.events())
        for secret in (NAME, NAME.split(maxsplit=1)[0], webhook.secret, *webhook_signatures(webhook, body)):
            assert secret not in everything

    async def test_a_slash_at_the_end_of_the_address_makes_no_difference(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        # EspoCRM would take a redirect for done.
        body = body_of("a1")
        assert (await client.post(URL + "/", content=body, headers=webhook.headers(body))).status_code == 200
        assert len(listening.events()) == 1


def webhook_signatures(webhook: Known, body: bytes) -> list[str]:
    headers = webhook.headers(body)
    return [headers["Signature"], headers["X-Signature"]]


class TestEventLoop:
    @pytest.mark.parametrize("name", ["find_webhook", "record"])
    async def test_what_waits_for_the_database_does_not_hold_it(
        self, client: httpx.AsyncClient, webhook: Known, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        work, loop, others_went_on = getattr(webhook_receiver_app, name), asyncio.get_running_loop(), threading.Event()

        def wait_for_others(*args: Any) -> Any:
            loop.call_soon_threadsafe(others_went_on.set)
            assert others_went_on.wait(10)
            return work(*args)

        monkeypatch.setattr(webhook_receiver_app, name, wait_for_others)
        assert (await deliver(client, webhook, body_of("a1"))).status_code == 200


class TestRepeats:
    async def test_the_same_again_is_taken_and_no_second_event(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        answers = [await deliver(client, webhook, body_of("a1")) for _ in range(3)]
        assert [(one.status_code, one.json()["outcome"]) for one in answers] == [
            (200, "recorded"),
            (200, "repeat"),
            (200, "repeat"),
        ]
        assert len(listening.events()) == 1

    async def test_other_changes_and_other_webhooks_are_events_of_their_own(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        await deliver(client, webhook, body_of("a1"))
        await deliver(client, webhook, body_of("a1", status="New"))
        with known_webhook("6b02a87e2ea5c9bcd", SITE) as other:
            await deliver(client, other, body_of("a1"))
        assert len(listening.events()) == 3

    async def test_after_the_set_time_the_same_is_an_event_again(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        start = datetime.now(UTC)
        for seconds, expected in ((0, "recorded"), (SETTINGS.repeat_seconds - 1, "repeat")):
            with time_machine.travel(start + timedelta(seconds=seconds), tick=True):
                assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == expected
        with time_machine.travel(start + timedelta(seconds=SETTINGS.repeat_seconds + 5), tick=True):
            assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "recorded"
        assert len(listening.events()) == 2

    async def test_with_the_switch_at_0_every_delivery_is_an_event(self, webhook: Known, listening: Listening) -> None:
        async with client_of(build_app(replace(SETTINGS, repeat_seconds=0))) as client:
            for _ in range(2):
                assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "recorded"
        assert len(listening.events()) == 2

    async def test_a_server_that_was_started_anew_knows_what_was_recorded(
        self, webhook: Known, listening: Listening
    ) -> None:
        outcomes = []
        for _ in range(2):
            async with client_of(build_app(SETTINGS)) as client:
                outcomes.append((await deliver(client, webhook, body_of("a1"))).json()["outcome"])
        assert outcomes == ["recorded", "repeat"]

    async def test_of_equal_deliveries_at_the_same_time_one_is_an_event(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        body = body_of("a1")
        answers = await asyncio.gather(*(deliver(client, webhook, body) for _ in range(8)))
        assert sorted(one.json()["outcome"] for one in answers) == ["recorded"] + ["repeat"] * 7
        assert len(listening.events()) == 1

    async def test_a_refused_delivery_is_no_reason_to_take_a_good_one_for_a_repeat(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        body = body_of("a1")
        await client.post(URL, content=body, headers=Known(webhook.webhook_id, "wrong").headers(body))
        assert (await deliver(client, webhook, body)).json()["outcome"] == "recorded"


class TestRefused:
    @pytest.fixture(autouse=True)
    def _nothing_is_recorded(self, listening: Listening) -> Iterator[None]:
        yield
        assert listening.events() == []
        assert not listening.is_dag_queued()

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Signature": ""},
            {"Signature": "c2VjcmV0"},
            {"X-Signature": "bm90OmJhc2U2NA=="},
            {"Authorization": "Basic YWRtaW46YWRtaW4="},
        ],
    )
    async def test_without_a_signature_it_is_refused_before_the_database_is_asked(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
    ) -> None:
        monkeypatch.setattr(webhook_receiver_app, "find_webhook", None)
        response = await client.post(URL, content=body_of("a1"), headers=headers)
        assert (response.status_code, outcome_of(response.status_code)) == (401, "retry")

    async def test_a_wrong_key_an_unknown_webhook_and_a_changed_body_get_the_same_answer(
        self, client: httpx.AsyncClient, webhook: Known, told: Callable[[httpx.Response], str]
    ) -> None:
        body = body_of("a1", name=NAME)
        tries = [
            (body, Known(webhook.webhook_id, "another key").headers(body)),
            (body, Known("6b02a87e2ea5c9bcd", webhook.secret).headers(body)),
            (body.replace(b"a1", b"b2"), webhook.headers(body)),
        ]
        answers = [await client.post(URL, content=content, headers=headers) for content, headers in tries]
        assert {(one.status_code, one.text) for one in answers} == {(401, answers[0].text)}
        for answer, (_, headers) in zip(answers, tries, strict=True):
            for secret in (webhook.secret, NAME, headers["Signature"], headers["X-Signature"]):
                assert secret not in told(answer)

    async def test_of_two_signatures_both_have_to_be_right(self, client: httpx.AsyncClient, webhook: Known) -> None:
        body = body_of("a1")
        wrong = Known(webhook.webhook_id, "another key").headers(body)
        for name in ("Signature", "X-Signature"):
            response = await deliver(client, webhook, body, **{name: wrong[name]})
            assert response.status_code == 401

    async def test_10_megabytes_are_refused_by_their_length_alone(self, webhook: Known) -> None:
        async def receive() -> dict[str, Any]:
            raise AssertionError("the body was read")

        headers = webhook.headers(b"") | {"Content-Length": "10000000"}
        status = await status_of(build_app(SETTINGS), headers, receive)
        assert (status, outcome_of(status)) == (413, "failed")

    async def test_10_megabytes_with_a_right_signature_are_refused(
        self, client: httpx.AsyncClient, webhook: Known, told: Callable[[httpx.Response], str]
    ) -> None:
        response = await deliver(client, webhook, body_of("a1", description=NAME * 700_000))
        assert response.status_code == 413
        assert NAME not in told(response)

    @pytest.mark.parametrize("said", [None, "10"])
    async def test_10_megabytes_that_do_not_say_so_are_not_read_to_their_end(
        self, webhook: Known, said: str | None
    ) -> None:
        chunk, read = b" " * 65536, 0

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += len(chunk)
            return {"type": "http.request", "body": chunk, "more_body": read < 10_000_000}

        headers = webhook.headers(b"") | ({} if said is None else {"Content-Length": said})
        assert await status_of(build_app(SETTINGS), headers, receive) == 413
        assert read <= SETTINGS.max_body_bytes + len(chunk)

    async def test_a_body_as_big_as_may_be_is_not_too_big(self, webhook: Known) -> None:
        body = b"x" * 2048
        async with client_of(build_app(replace(SETTINGS, max_body_bytes=2048))) as client:
            assert (await deliver(client, webhook, body)).status_code == 400
            assert (await deliver(client, webhook, body + b"x")).status_code == 413

    async def test_nobody_who_knows_no_webhook_can_make_it_keep_a_body(self, listening: Listening) -> None:
        async def receive() -> dict[str, Any]:
            raise AssertionError("the body was read")

        stranger = Known("6b02a87e2ea5c9bcd", "key")
        assert await status_of(build_app(SETTINGS), stranger.headers(b""), receive) == 401

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 10_000 + b"]" * 10_000,
            b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
            b"no JSON",
            b"",
            b"[]",
            b"[1]",
            b"{}",
        ],
        ids=["10,000 lists", "10,000 objects", "no JSON", "empty", "no changes", "a number", "an object"],
    )
    async def test_signed_but_nothing_that_espocrm_would_send_is_refused_for_good(
        self, client: httpx.AsyncClient, webhook: Known, body: bytes
    ) -> None:
        response = await deliver(client, webhook, body)
        assert (response.status_code, outcome_of(response.status_code)) == (400, "failed")

    async def test_a_body_that_never_ends_is_given_up_and_asked_for_again(
        self, webhook: Known, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhook_receiver_app, "READ_SECONDS", 0.01)

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        status = await status_of(build_app(SETTINGS), webhook.headers(b""), receive)
        assert (status, outcome_of(status)) == (408, "retry")

    async def test_where_no_dag_names_the_asset_it_is_asked_for_again(
        self, client: httpx.AsyncClient, listening: Listening, caplog: pytest.LogCaptureFixture
    ) -> None:
        with known_webhook("6b02a88bf11b671cb", SITE, "Account.update") as known:
            response = await deliver(client, known, body_of("a1"))
        assert (response.status_code, outcome_of(response.status_code)) == (404, "retry")
        assert f"no DAG names the asset {listening.uri.replace('Lead', 'Account')}" in caplog.text

    async def test_an_asset_that_no_dag_names_any_more_counts_as_none(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening
    ) -> None:
        from airflow.models.asset import AssetActive
        from airflow.utils.session import create_session
        from sqlalchemy import delete, select

        with create_session() as session:
            [name] = session.scalars(select(AssetActive.name).where(AssetActive.uri == listening.uri))
            session.execute(delete(AssetActive).where(AssetActive.uri == listening.uri))
        try:
            assert (await deliver(client, webhook, body_of("a1"))).status_code == 404
        finally:
            with create_session() as session:
                session.add(AssetActive(name=name, uri=listening.uri))

    @pytest.mark.parametrize("value", ["", "just the key", '{"secret": "x"}'])
    async def test_a_variable_that_somebody_else_wrote_is_the_servers_fault_and_asked_for_again(
        self, client: httpx.AsyncClient, webhook: Known, value: str
    ) -> None:
        from airflow.models import Variable

        Variable.set(variable_name(webhook.webhook_id), value)
        response = await deliver(client, webhook, body_of("a1"))
        assert (response.status_code, outcome_of(response.status_code)) == (503, "retry")

    async def test_a_webhook_of_no_site_is_asked_for_again(self, client: httpx.AsyncClient) -> None:
        with known_webhook("6b02a88bf11b671cb", "no site") as known:
            assert (await deliver(client, known, body_of("a1"))).status_code == 503

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
    async def test_there_is_nothing_but_post(self, client: httpx.AsyncClient, method: str) -> None:
        assert (await client.request(method, URL)).status_code == 405

    @pytest.mark.parametrize("path", ["/espo/docs", "/espo/openapi.json", "/espo/other", "/espo/webhooks/x"])
    async def test_there_is_nothing_beside_it(self, client: httpx.AsyncClient, path: str) -> None:
        assert (await client.post(path)).status_code == 404


class TestDatabaseDown:
    async def test_without_a_database_the_delivery_is_asked_for_again_and_then_recorded(
        self,
        client: httpx.AsyncClient,
        webhook: Known,
        listening: Listening,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        told: Callable[[httpx.Response], str],
    ) -> None:
        body = body_of("a1", name=NAME)
        with monkeypatch.context() as patch:
            without_database(patch, tmp_path)
            response = await deliver(client, webhook, body)
            assert (response.status_code, outcome_of(response.status_code)) == (503, "retry")
            for secret in (NAME, webhook.secret, *webhook_signatures(webhook, body)):
                assert secret not in told(response)
        assert listening.events() == []
        assert (await deliver(client, webhook, body)).json()["outcome"] == "recorded"

    async def test_a_database_that_fails_while_the_event_is_written_leaves_nothing(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sqlalchemy.orm import Session

        def fail(_session: Session) -> None:
            raise OperationalError("INSERT", {"name": NAME}, Exception("gone"))

        with monkeypatch.context() as patch:
            patch.setattr(Session, "commit", fail)
            assert (await deliver(client, webhook, body_of("a1"))).status_code == 503
        assert listening.events() == []
        assert not listening.is_dag_queued()
        assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "recorded"

    async def test_an_answer_that_got_lost_after_the_event_was_stored_makes_no_second_event(
        self, client: httpx.AsyncClient, webhook: Known, listening: Listening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sqlalchemy.orm import Session

        commit = Session.commit

        def lose_the_answer(session: Session) -> None:
            commit(session)
            raise OperationalError("COMMIT", {}, Exception("connection lost"))

        with monkeypatch.context() as patch:
            patch.setattr(Session, "commit", lose_the_answer)
            # Of what the Variable is read with, nothing changes.
            patch.setattr(webhook_receiver_app, "find_webhook", lambda _id: kept_of(webhook))
            assert (await deliver(client, webhook, body_of("a1"))).status_code == 503
        assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "repeat"
        assert len(listening.events()) == 1


def kept_of(webhook: Known) -> Any:
    from airflow_provider_espo.client.webhook_secret import WebhookSecret

    return WebhookSecret(webhook.secret, "Lead.create", "http://127.0.0.1/", SITE)


def without_database(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have Airflow's sessions go to a database that cannot be opened."""
    from airflow import settings
    from sqlalchemy import create_engine
    from sqlalchemy.orm import scoped_session, sessionmaker

    nowhere = sessionmaker(create_engine(f"sqlite:///{folder}/missing/airflow.db"))
    patch.setattr(settings, "NonScopedSession", nowhere)
    patch.setattr(settings, "Session", scoped_session(nowhere))


async def status_of(app: Any, headers: dict[str, str], receive: Callable[[], Any]) -> int:
    """The status of a request whose body is given piece by piece."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/webhooks",
        "raw_path": b"/webhooks",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    [status] = statuses
    return status
