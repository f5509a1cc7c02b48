"""What the receiver refuses: with the right status, and nothing is recorded, kept or told."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from airflow_provider_espo.client.webhook_secret import variable_name
from airflow_provider_espo.plugins import webhook_receiver_app
from airflow_provider_espo.plugins.webhook_receiver_app import build_app
from airflow_provider_espo.sandbox.webhook_sender import outcome_of
from tests.system.receiver import (
    NAME,
    SETTINGS,
    SITE,
    URL,
    Known,
    Listening,
    Pieces,
    body_of,
    client_of,
    deliver,
    known_webhook,
    status_of,
)


@pytest.fixture(autouse=True)
def _nothing_is_recorded(listening: Listening) -> Iterator[None]:
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
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(webhook_receiver_app, "find_webhook", None)
    response = await client.post(URL, content=body_of("a1"), headers=headers)
    assert (response.status_code, outcome_of(response.status_code)) == (401, "retry")


async def test_a_wrong_key_an_unknown_webhook_and_a_changed_body_get_the_same_answer(
    client: httpx.AsyncClient, webhook: Known, told: Callable[[httpx.Response], str]
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


BIG, BIGGER = b" " * SETTINGS.max_body_bytes, b" " * (SETTINGS.max_body_bytes + 1)


@pytest.mark.parametrize(
    ("said", "content", "status"),
    [
        (None, [b"[{", b"}]"], 401),
        ("4", [b"[{", b"}]"], 401),
        (None, [BIG], 401),
        (None, [BIG, b" "], 413),
        (str(len(BIGGER)), [], 413),
        (None, [b"[", None], 408),
    ],
    ids=["small", "of a said length", "as big as may be", "bigger", "said to be bigger", "cut off"],
)
async def test_the_answer_does_not_tell_which_webhooks_are_known(
    webhook: Known, said: str | None, content: list[bytes | None], status: int
) -> None:
    from airflow.models import Variable

    app, found = build_app(SETTINGS), []
    with known_webhook("6b02a88bf11b671cb", SITE) as broken:
        Variable.set(variable_name(broken.webhook_id), "something else")
        for webhook_id in (webhook.webhook_id, broken.webhook_id, "6b02a87e2ea5c9bcd"):
            headers = Known(webhook_id, "another key").headers(b"") | ({"Content-Length": said} if said else {})
            receive = Pieces(*content)
            found.append((await status_of(app, headers, receive), receive.left))
    assert found == [(status, 0)] * 3


async def test_of_two_signatures_both_have_to_be_right(client: httpx.AsyncClient, webhook: Known) -> None:
    body = body_of("a1")
    wrong = Known(webhook.webhook_id, "another key").headers(body)
    for name in ("Signature", "X-Signature"):
        response = await deliver(client, webhook, body, **{name: wrong[name]})
        assert response.status_code == 401


async def test_10_megabytes_are_refused_by_their_length_alone(webhook: Known) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    headers = webhook.headers(b"") | {"Content-Length": "10000000"}
    status = await status_of(build_app(SETTINGS), headers, receive)
    assert (status, outcome_of(status)) == (413, "failed")


async def test_10_megabytes_with_a_right_signature_are_refused(
    client: httpx.AsyncClient, webhook: Known, told: Callable[[httpx.Response], str]
) -> None:
    response = await deliver(client, webhook, body_of("a1", description=NAME * 700_000))
    assert response.status_code == 413
    assert NAME not in told(response)


@pytest.mark.parametrize("said", [None, "10"])
async def test_10_megabytes_that_do_not_say_so_are_not_read_to_their_end(webhook: Known, said: str | None) -> None:
    chunk, read = b" " * 65536, 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": read < 10_000_000}

    headers = webhook.headers(b"") | ({} if said is None else {"Content-Length": said})
    assert await status_of(build_app(SETTINGS), headers, receive) == 413
    assert read <= SETTINGS.max_body_bytes + len(chunk)


async def test_a_body_as_big_as_may_be_is_not_too_big(webhook: Known) -> None:
    body = b"x" * 2048
    async with client_of(build_app(replace(SETTINGS, max_body_bytes=2048))) as client:
        assert (await deliver(client, webhook, body)).status_code == 400
        assert (await deliver(client, webhook, body + b"x")).status_code == 413


async def test_nobody_who_knows_no_webhook_can_make_it_keep_a_body(listening: Listening) -> None:
    app, size, chunk = build_app(SETTINGS), SETTINGS.max_body_bytes, b" " * 65536
    stranger = Known("6b02a87e2ea5c9bcd", "key").headers(b"")
    assert await status_of(app, stranger, Pieces(chunk)) == 401
    tracemalloc.start()
    try:
        assert await status_of(app, stranger, Pieces(*[chunk] * (size // len(chunk)))) == 401
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


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
        b'[{"id": 1}]',
        b'[{"id": "../x"}]',
        body_of(*(f"{number:017}" for number in range(10_000))),
        gzip.compress(body_of("a1")),
    ],
    ids=[
        "10,000 lists",
        "10,000 objects",
        "no JSON",
        "empty",
        "no changes",
        "a number",
        "an object",
        "an id that is a number",
        "an id that is a path",
        "10,000 changes",
        "compressed",
    ],
)
async def test_signed_but_nothing_that_espocrm_would_send_is_refused_for_good(
    client: httpx.AsyncClient, webhook: Known, body: bytes
) -> None:
    encoding = {"Content-Encoding": "gzip"} if body.startswith(b"\x1f\x8b") else {}
    response = await deliver(client, webhook, body, **encoding)
    assert (response.status_code, outcome_of(response.status_code)) == (400, "failed")


async def test_a_body_that_never_ends_is_given_up_and_asked_for_again(
    webhook: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_receiver_app, "READ_SECONDS", 0.01)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    status = await status_of(build_app(SETTINGS), webhook.headers(b""), receive)
    assert (status, outcome_of(status)) == (408, "retry")


async def test_where_no_dag_names_the_asset_it_is_asked_for_again(
    client: httpx.AsyncClient, listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    with known_webhook("6b02a88bf11b671cb", SITE, "Account.update") as known:
        response = await deliver(client, known, body_of("a1"))
    assert (response.status_code, outcome_of(response.status_code)) == (404, "retry")
    assert f"no DAG names the asset {listening.uri.replace('Lead', 'Account')}" in caplog.text


async def test_an_asset_that_no_dag_names_any_more_counts_as_none(
    client: httpx.AsyncClient, webhook: Known, listening: Listening
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
async def test_a_variable_that_somebody_else_wrote_is_named_in_the_log_and_the_delivery_asked_for_again(
    client: httpx.AsyncClient, webhook: Known, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.models import Variable

    name = variable_name(webhook.webhook_id)
    Variable.set(name, value)
    response = await deliver(client, webhook, body_of("a1"))
    assert (response.status_code, outcome_of(response.status_code)) == (401, "retry")
    assert f"The Variable {name} holds something else" in caplog.text


@pytest.mark.parametrize(("site", "event"), [("no site", "Lead.create"), (SITE, "Lead"), (SITE, "Lead.created")])
async def test_a_webhook_of_no_site_or_no_event_is_asked_for_again(
    client: httpx.AsyncClient, site: str, event: str
) -> None:
    with known_webhook("6b02a88bf11b671cb", site, event) as known:
        assert (await deliver(client, known, body_of("a1"))).status_code == 503


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_there_is_nothing_but_post(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, URL)).status_code == 405


@pytest.mark.parametrize("path", ["/espo/docs", "/espo/openapi.json", "/espo/other", "/espo/webhooks/x"])
async def test_there_is_nothing_beside_it(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.post(path)).status_code == 404
