"""A DAG that listens to the leads of a site, a webhook that Airflow knows, and the receiver."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from airflow_provider_espo.plugins.webhook_receiver_app import build_app
from tests.system.receiver import SETTINGS, SITE, Known, Listening, client_of, known_webhook, listen


@pytest.fixture(scope="session")
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
