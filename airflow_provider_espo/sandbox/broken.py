"""Answers that do not come, or not to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response

from airflow_provider_espo.sandbox.protocol import close_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from airflow_provider_espo.sandbox.http import Reply

#: How often a connection that hangs looks whether the server is to end.
LOOK_EVERY = 0.05


class BrokenResponse(Response):
    """What goes out when the connection breaks, or no answer comes.

    :param reply: says how, and has the content of which half is sent
    :param stopping: whether the server is to end
    """

    def __init__(self, reply: Reply, stopping: Callable[[], bool]) -> None:
        super().__init__(reply.content, reply.status or 200, reply.headers, reply.content_type)
        self._breakage = reply.breakage
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what of it is to be sent."""
        gone = asyncio.ensure_future(_end_of(receive))
        try:
            while self._breakage == "hang" and not gone.done() and not self._stopping():
                await asyncio.wait((gone,), timeout=LOOK_EVERY)
            if self._breakage == "cut":
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                half = bytes(self.body[: len(self.body) // 2])
                await send({"type": "http.response.body", "body": half, "more_body": True})
            close_connection(scope)
            # Until the server has noticed: it would answer in our place otherwise.
            await gone
        finally:
            gone.cancel()


async def _end_of(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
