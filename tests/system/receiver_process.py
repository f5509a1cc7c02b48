"""A webhook receiver in a process of its own, which dies at a moment that is chosen."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from typing import Any

import uvicorn
from airflow import settings
from airflow.assets.manager import asset_manager  # noqa: F401 - so that a process that is forked off has it
from sqlalchemy import event
from sqlalchemy.orm import Session

from airflow_provider_espo.plugins.webhook_receiver_app import build_app
from airflow_provider_espo.plugins.webhook_receiver_settings import ReceiverSettings


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Connection) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._started.send(self.servers[0].sockets[0].getsockname()[1])


def serve(started: Connection, die_at: int) -> None:
    """Serve until the process dies of SIGKILL.

    :param started: is sent the port.
    :param die_at: moments are counted from 1: before each statement, before and after each commit.
    """
    passed = 0

    def moment(*_args: Any) -> None:
        nonlocal passed
        passed += 1
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(settings.engine, "before_cursor_execute", moment)
    event.listen(Session, "before_commit", moment)
    event.listen(settings.engine, "commit", moment)
    event.listen(Session, "after_commit", moment)
    app = build_app(ReceiverSettings(enabled=True))
    _Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none"), started).run()
