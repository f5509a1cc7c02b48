"""Settings of an Airflow connection, as the hooks take them: read, bounded, and their secrets masked.

Nothing is kept: what somebody changes in Airflow holds from the next hook on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_espo import __version__, compat

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Hashable, Mapping

    from airflow.sdk import Connection

    from airflow_provider_espo.client.config import ClientConfig


class _OnLoop:
    """Readings under way on an event loop, and whose turn it is to go on."""

    def __init__(self) -> None:
        import asyncio

        self.readings: dict[Hashable, asyncio.Task[ClientConfig]] = {}
        self.turn = asyncio.Lock()


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _OnLoop] = WeakKeyDictionary()


def config_of(conn_id: str, at_most: Mapping[str, float]) -> ClientConfig:
    """Read a connection.

    :param conn_id: its id.
    :param at_most: settings that are not to be exceeded.
    :raises EspoConfigError: the connection is incomplete or contradicts itself.
    """
    config, secrets = _checked(*compat.get_connection(conn_id), at_most)
    compat.mask(list(secrets))
    return config


async def aconfig_of(conn_id: str, at_most: Mapping[str, float]) -> ClientConfig:
    """Do the same from an event loop, and load off it what the hook needs; who asks meanwhile gets the same answer.

    A triggerer that starts has a thousand triggers ask at once. Each reading is some messages to its supervisor, which
    carries one after the other to the API server: all would wait for a minute.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    here = _loops.get(loop) or _loops.setdefault(loop, _OnLoop())
    key = (conn_id, tuple(sorted(at_most.items())))
    reading = here.readings.get(key)
    if reading is None:
        # A task of its own: it goes on for the others if the one who asked first is cancelled.
        reading = here.readings[key] = asyncio.create_task(_aread(conn_id, at_most))
        reading.add_done_callback(lambda ended: _forget(here.readings, key, ended))
    config = await asyncio.shield(reading)
    # All wake up at once. A thousand requests sent in one go would hold the loop for half a second: one a round.
    async with here.turn:
        await asyncio.sleep(0)
    return config


async def _aread(conn_id: str, at_most: Mapping[str, float]) -> ClientConfig:
    import asyncio

    config, secrets = _checked(*await compat.aget_connection(conn_id), at_most)
    await compat.amask(list(secrets))
    await asyncio.to_thread(_prepare, config)
    return config


def _prepare(config: ClientConfig) -> None:
    """Do what takes longer than an event loop may be held up."""
    # The HTTP library and what else a hook loads when it is first used.
    import airflow_provider_espo.client.aio_shared
    import airflow_provider_espo.hooks.lineage  # noqa: F401

    config.check_files()


def _forget(
    readings: dict[Hashable, asyncio.Task[ClientConfig]], key: Hashable, ended: asyncio.Task[ClientConfig]
) -> None:
    del readings[key]
    # All who waited for it may be gone: an error that nobody saw would be logged as a mistake of the program.
    if not ended.cancelled():
        ended.exception()


def _checked(
    connection: Connection, extra: dict[str, Any], at_most: Mapping[str, float]
) -> tuple[ClientConfig, list[str]]:
    """Settings of a connection, and the secrets in them."""
    from airflow_provider_espo.client.config import ClientConfig, secrets_of

    config = ClientConfig.from_connection(
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=extra,
        user_agent=f"airflow-provider-espo/{__version__} apache-airflow/{compat.airflow_version()}",
    )
    bounded: dict[str, Any] = {}
    for name, bound in at_most.items():
        value = getattr(config, name)
        bounded[name] = bound if value is None else min(value, bound)
    return replace(config, **bounded), secrets_of(config)
