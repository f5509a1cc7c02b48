"""What tests of the webhook receiver share: an asset that a DAG listens to, webhooks that are known, deliveries."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from airflow_provider_espo.client.webhook_secret import WebhookSecret, variable_name
from airflow_provider_espo.plugins.webhook_receiver_settings import ReceiverSettings
from tests.webhook_signing import signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

SITE = "https://crm.receiver.test/sub"
SETTINGS = ReceiverSettings(enabled=True)
URL = "/espo/webhooks"
#: What no log and no answer may hold.
NAME = "Zofia Wiśniewska"

DAG_FILE = """
from airflow.sdk import DAG

from airflow_provider_espo.assets.espo import espo_asset

with DAG({dag_id!r}, schedule=espo_asset("Lead", host={site!r}, name={name!r})):
    pass
"""


@dataclass(frozen=True)
class Listening:
    """An asset in Airflow's database, and the DAG that is scheduled on it.

    :param dag_id: the DAG.
    :param uri: the asset.
    :param site: the EspoCRM whose leads it stands for.
    """

    dag_id: str
    uri: str
    site: str

    def events(self) -> list[dict[str, Any]]:
        """What the asset's events say, the oldest first."""
        from airflow.models.asset import AssetEvent, AssetModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        found = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        with create_session() as session:
            return list(session.scalars(found.where(AssetModel.uri == self.uri).order_by(AssetEvent.id)))

    def is_dag_queued(self) -> bool:
        """Whether the scheduler will start the DAG."""
        from airflow.models.asset import AssetDagRunQueue
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            queued = select(AssetDagRunQueue).where(AssetDagRunQueue.target_dag_id == self.dag_id)
            return session.scalars(queued).first() is not None


def listen(folder: Path, dag_id: str, site: str) -> Listening:
    """Have Airflow learn of a DAG that is scheduled on the leads of an EspoCRM.

    :param folder: where the DAG file goes; it has to be empty.
    """
    (folder / f"{dag_id}.py").write_text(
        DAG_FILE.format(dag_id=dag_id, site=site, name=f"leads of {dag_id}"), encoding="utf-8"
    )
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    environment = {
        **os.environ,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [{"name": dag_id, "classpath": local, "kwargs": {"path": str(folder)}}]
        ),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    }
    command = [sys.executable, "-m", "airflow", "dags", "reserialize"]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return Listening(dag_id, f"espo://{site.partition('://')[2]}/Lead", site)


@dataclass(frozen=True)
class Known:
    """A webhook whose key Airflow has."""

    webhook_id: str
    secret: str

    def headers(self, body: bytes) -> dict[str, str]:
        """Headers of a delivery, as EspoCRM sends them."""
        return {
            "User-Agent": "GuzzleHttp/7",
            "Content-Type": "application/json",
            **signed(self.webhook_id, self.secret, body),
        }


@contextmanager
def known_webhook(webhook_id: str, site: str, event: str = "Lead.create") -> Iterator[Known]:
    """A webhook as registering leaves it in Airflow."""
    from airflow.models import Variable

    known = Known(webhook_id, f"secret of {webhook_id}")
    kept = WebhookSecret(known.secret, event, "http://127.0.0.1/espo/webhooks", site)
    Variable.set(variable_name(webhook_id), kept.to_text())
    yield known
    Variable.delete(variable_name(webhook_id))


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application where the API server mounts it."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    transport = httpx.ASGITransport(Starlette(routes=[Mount("/espo", app)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


@contextmanager
def serving(settings: ReceiverSettings) -> Iterator[str]:
    """The receiver on a port of this machine, where the API server mounts it; gives the server's address."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from airflow_provider_espo.plugins.webhook_receiver_app import build_app

    app = Starlette(routes=[Mount("/espo", build_app(settings))])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def body_of(*ids: str, **attributes: Any) -> bytes:
    """A body as EspoCRM writes it."""
    return json.dumps([{"id": one, **attributes} for one in ids], separators=(",", ":")).encode()


def signatures(webhook: Known, body: bytes) -> list[str]:
    """What the signature headers of a delivery say."""
    headers = webhook.headers(body)
    return [headers["Signature"], headers["X-Signature"]]


async def deliver(client: httpx.AsyncClient, webhook: Known, body: bytes, **headers: str) -> httpx.Response:
    """Deliver a body as EspoCRM does, but for the headers that are given."""
    return await client.post(URL, content=body, headers=webhook.headers(body) | headers)


class Pieces:
    """A body that arrives piece by piece.

    :param content: the pieces; ``None``: the sender is gone.
    """

    def __init__(self, *content: bytes | None) -> None:
        self._content = list(content)

    @property
    def left(self) -> int:
        """How many have not been asked for."""
        return len(self._content)

    async def __call__(self) -> dict[str, Any]:
        """The next one, as ASGI has it."""
        piece = self._content.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(self._content)}


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
