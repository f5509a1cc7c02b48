"""Airflow's supervisor, faked for hooks on a triggerer's event loop."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from airflow.sdk.execution_time.comms import ConnectionResult, GetConnection, MaskSecret
from asgiref.sync import async_to_sync

from tests.unit.crm import API_KEY, Crm


class Supervisor:
    """Airflow's supervisor as a triggerer's loop sees it.

    To wait for it without ``await`` would be a deadlock, and another loop than the triggerer's reads its answers out of
    order: Airflow 3.1 then ends the triggerer.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        #: Ids of the connections that it was asked for.
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        #: Until it is set, nobody gets an answer.
        self.answers = asyncio.Event()
        self.answers.set()
        #: What it says connections have instead of its own.
        self.changed: dict[str, Any] = {}
        self.masked: list[Any] = []
        self.blocked: list[str] = []
        self.other_loops: list[Any] = []

    def send(self, message: Any) -> Any:
        """Do as the triggerer of Airflow 3.1 does."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return async_to_sync(self.asend)(message)
        self.blocked.append(_who_masks())
        raise RuntimeError("a blocking call on the loop")

    async def asend(self, message: Any) -> Any:
        if asyncio.get_running_loop() is not self._loop:
            self.other_loops.append(message)
            raise RuntimeError("a response read out of order")
        if isinstance(message, MaskSecret):
            self.masked.append(message.value)
            return None
        assert isinstance(message, GetConnection)
        self.asked.append(message.conn_id)
        self.was_asked.set()
        await self.answers.wait()
        return ConnectionResult.model_validate(
            {
                "conn_id": message.conn_id,
                "conn_type": "espo",
                "host": Crm.url,
                "schema": None,
                "login": None,
                "password": API_KEY,
                "port": None,
                "extra": '{"headers": {"X-Gateway-Token": "gateway-s3cret"}}',
                **self.changed,
            }
        )


def _who_masks() -> str:
    """Name of the module that called Airflow's ``mask_secret``."""
    callers = inspect.stack(context=0)
    masking = next(place for place, caller in enumerate(callers) if caller.function == "mask_secret")
    return str(callers[masking + 1].frame.f_globals["__name__"])
