"""An API server that is killed at any moment of a delivery loses nothing, and what comes again is no second event."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from airflow_provider_espo.plugins.webhook_receiver_app import build_app
from airflow_provider_espo.plugins.webhook_receiver_settings import ReceiverSettings
from tests.system import receiver_process
from tests.system.receiver import Known, Listening, body_of, client_of, known_webhook, listen

SITE = "https://crm.killed.test"
#: There are fewer. A process that never dies would never end the test.
MOST_MOMENTS = 60


@pytest.fixture(scope="module")
def listening(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Listening:
    return listen(tmp_path_factory.mktemp("dags"), "hears_of_leads_of_the_killed", SITE)


@pytest.fixture
def webhook(listening: Listening) -> Iterator[Known]:
    with known_webhook("6b02a8856c38fff9f", SITE) as known:
        yield known


@contextmanager
def dying_server(die_at: int) -> Iterator[tuple[str, multiprocessing.process.BaseProcess]]:
    """A receiver in a process of its own; ends with it."""
    # Not forked off this process, which has threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([receiver_process.__name__])
    started, other_end = context.Pipe(duplex=False)
    process = context.Process(target=receiver_process.serve, args=(other_end, die_at), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{started.recv()}", process
    finally:
        process.kill()
        process.join()


async def test_killed_at_each_moment_the_delivery_is_one_event_after_it_came_again(
    webhook: Known, listening: Listening, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    again: list[str] = []
    next_app = build_app(ReceiverSettings(enabled=True))
    async with client_of(next_app) as next_server, httpx.AsyncClient() as caller:
        for die_at in range(1, MOST_MOMENTS):
            body = body_of(f"lead{die_at}")
            with dying_server(die_at) as (url, process):
                try:
                    answer = await caller.post(f"{url}/webhooks", content=body, headers=webhook.headers(body))
                except httpx.TransportError:
                    process.join()
                    assert process.exitcode == -signal.SIGKILL
                else:
                    assert answer.json() == {"outcome": "recorded"}
                    break
            answer = await next_server.post("/espo/webhooks", content=body, headers=webhook.headers(body))
            assert answer.status_code == 200
            again.append(answer.json()["outcome"])
            assert [event["ids"] for event in listening.events()].count([f"lead{die_at}"]) == 1
    with capsys.disabled():
        print(f"\nkilled at {len(again)} moments: {again.count('recorded')} before the event was stored, ", end="")
        print(f"{again.count('repeat')} after it; {len(listening.events())} deliveries, as many events")
    # It died in between, and not only at one end.
    assert again == sorted(again)
    assert {"recorded", "repeat"} == set(again)
    assert len(listening.events()) == len(again) + 1
