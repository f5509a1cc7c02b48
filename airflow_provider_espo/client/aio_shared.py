"""One asynchronous client for each connection and event loop, shared by all that run there.

A triggerer runs hundreds of triggers on one loop. An HTTP client for each would cost 50 ms of CPU and sockets of its
own; so the first user makes it and the last one closes it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_espo.client.aio import EspoAsyncClient
from airflow_provider_espo.client.state import shared_state

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig


@dataclass
class _Shared:
    client: EspoAsyncClient
    users: int = 0


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Shared]] = WeakKeyDictionary()


def acquire(config: ClientConfig) -> EspoAsyncClient:
    """Return the running loop's client for a connection. Give it back with :func:`release`.

    :param config: settings of the connection.
    """
    state = shared_state(config)
    on_loop = _clients.setdefault(asyncio.get_running_loop(), {})
    # The client holds the state, so that the state's id stays its own for as long as it stands here.
    shared = on_loop.get(id(state))
    if shared is None:
        shared = on_loop[id(state)] = _Shared(EspoAsyncClient(config, state))
    shared.users += 1
    return shared.client


async def release(client: EspoAsyncClient) -> None:
    """Give a client back; the last user closes it.

    :param client: what :func:`acquire` returned, on the same loop.
    """
    on_loop = _clients.get(asyncio.get_running_loop(), {})
    key = id(client.state)
    shared = on_loop.get(key)
    if shared is None or shared.client is not client:
        return
    shared.users -= 1
    if shared.users <= 0:
        # Taken out before anything is awaited: who comes meanwhile gets a client of its own.
        del on_loop[key]
        await client.close()
