"""From an Airflow connection to EspoCRM: a blocking hook for tasks, an asynchronous one for triggers.

What the methods do stands in ``airflow_provider_espo.client.operations``; both hooks have all of them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow.sdk import BaseHook

from airflow_provider_espo import __version__, compat, connection_form
from airflow_provider_espo.client.config import ClientConfig, secrets_of, token_secrets
from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.client.methods import AsyncMethods, BlockingMethods
from airflow_provider_espo.client.operations.system import server_version, whoami
from airflow_provider_espo.client.state import ClientState, new_state, shared_state
from airflow_provider_espo.client.wire import Operation, Stream, record_id_segment, record_path

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_espo.client.aio import EspoAsyncClient
    from airflow_provider_espo.client.sync import EspoClient

T = TypeVar("T")

# A test must answer soon: Airflow ends one that takes a minute.
_TEST_TIMEOUT = 15.0


class _Named:
    """What both hooks have in common."""

    conn_name_attr = "espo_conn_id"
    default_conn_name = "espo_default"
    conn_type = "espo"
    hook_name = "EspoCRM"

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels and placeholders of the connection form, for Airflow 3.1."""
        return connection_form.ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Extra fields of the connection form, for Airflow 3.1."""
        return connection_form.widgets()


class EspoHook(_Named, BlockingMethods, BaseHook):
    """Talks to EspoCRM over an Airflow connection, and waits for the answers.

    May be used from several threads. As a context manager it closes its sockets, and logs out where it logged in.

    :param espo_conn_id: id of the Airflow connection, of type *EspoCRM*.
    """

    def __init__(self, espo_conn_id: str = _Named.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.espo_conn_id = espo_conn_id
        self._masked_token: str | None = None

    @cached_property
    def config(self) -> ClientConfig:
        """Settings of the connection, checked.

        :raises EspoConfigError: the connection is incomplete or contradicts itself.
        """
        connection, extra = compat.get_connection(self.espo_conn_id)
        config = _config(connection, extra)
        compat.mask(list(secrets_of(config)))
        if hint := config.unknown_extras_hint():
            self.log.warning("%s", hint)
        return config

    @cached_property
    def client(self) -> EspoClient:
        """The client that does the work; what it learns is shared with all hooks of the connection."""
        from airflow_provider_espo.client.sync import EspoClient

        self.config.check_files()
        return EspoClient(self.config, shared_state(self.config))

    @property
    def state(self) -> ClientState:
        """What operations work with."""
        return self.client.state

    def get_conn(self) -> EspoClient:
        """Return the client."""
        return self.client

    def run(self, operation: Operation[T]) -> T:
        """Carry out one of the client's operations and return its result."""
        try:
            return self.client.run(operation)
        finally:
            self._mask_token()

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out one of the client's streams and yield what it emits."""
        try:
            yield from self.client.iterate(stream)
        finally:
            self._mask_token()

    def run_many(self, operations: Iterable[Operation[T]], max_workers: int | None = None) -> Iterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        :param max_workers: how many at a time; by default the connection's.
        """
        return self.client.run_many(operations, max_workers)

    def record_url(self, entity_type: str, record_id: str) -> str:
        """Return the address of a record in EspoCRM's user interface."""
        return f"{self.config.site_url}/#{record_path(entity_type)}/view/{record_id_segment(record_id)}"

    def test_connection(self) -> tuple[bool, str]:
        """Say who one is on which EspoCRM, or what to do about it; for the form's *Test* button.

        :return: whether it works, and one sentence without any secret.
        """
        from airflow_provider_espo.client.sync import EspoClient

        try:
            self.config.check_files()
            config = replace(
                self.config,
                max_retries=0,
                timeout=min(self.config.timeout, _TEST_TIMEOUT),
                connect_timeout=min(self.config.connect_timeout, _TEST_TIMEOUT),
            )
            state = new_state(config)
            with EspoClient(config, state) as client:
                started = time.monotonic()
                user = client.run(whoami(state))
                took = time.monotonic() - started
                version = client.run(server_version(state))
        except EspoError as error:
            return False, str(error)
        on = f"EspoCRM {version}" if version else "EspoCRM (before 8.1, which does not tell its version)"
        return True, (
            f"Connected to {on} at {config.site_url} as {user['user_name']} ({user['type']} user), "
            f"answered in {took * 1000:.0f} ms."
        )

    def close(self) -> None:
        """Close the sockets, and log out where the connection logs in."""
        if "client" in vars(self):
            self.client.close()
            del self.client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mask_token(self) -> None:
        token = self.state.token.token
        if token is not None and token != self._masked_token:
            compat.mask(list(token_secrets(self.config, token)))
            self._masked_token = token


class EspoAsyncHook(_Named, AsyncMethods, BaseHook):
    """Talks to EspoCRM over an Airflow connection from an event loop: for triggers and asynchronous tasks.

    Use it as ``async with EspoAsyncHook(conn_id) as hook``: all hooks of a connection on one loop share one HTTP client,
    which the last one closes.

    :param espo_conn_id: id of the Airflow connection, of type *EspoCRM*.
    """

    def __init__(self, espo_conn_id: str = _Named.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.espo_conn_id = espo_conn_id
        self._client: EspoAsyncClient | None = None
        self._masked_token: str | None = None

    async def get_async_conn(self) -> EspoAsyncClient:
        """Return the client.

        :raises EspoConfigError: the connection is incomplete or contradicts itself.
        """
        if self._client is None:
            import asyncio

            # The HTTP library is imported off the loop: it takes longer than a loop may be held up.
            aio_shared = await asyncio.to_thread(_aio_shared)
            connection, extra = await compat.aget_connection(self.espo_conn_id)
            config = _config(connection, extra)
            await compat.amask(list(secrets_of(config)))
            await asyncio.to_thread(config.check_files)
            if self._client is None:
                self._client = aio_shared.acquire(config)
        return self._client

    async def ready(self) -> ClientState:
        """Return what operations work with."""
        return (await self.get_async_conn()).state

    async def run(self, operation: Operation[T]) -> T:
        """Carry out one of the client's operations and return its result."""
        client = await self.get_async_conn()
        try:
            return await client.run(operation)
        finally:
            await self._mask_token(client)

    async def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out one of the client's streams and yield what it emits."""
        client = await self.get_async_conn()
        try:
            async for item in client.iterate(stream):
                yield item
        finally:
            await self._mask_token(client)

    async def run_many(
        self, operations: Iterable[Operation[T]], max_workers: int | None = None
    ) -> AsyncIterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        :param max_workers: how many at a time; by default the connection's.
        """
        client = await self.get_async_conn()
        async for result in client.run_many(operations, max_workers):
            yield result

    async def close(self) -> None:
        """Give the client back; the last hook of the connection on this loop closes it."""
        client, self._client = self._client, None
        if client is not None:
            await _aio_shared().release(client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _mask_token(self, client: EspoAsyncClient) -> None:
        token = client.state.token.token
        if token is not None and token != self._masked_token:
            await compat.amask(list(token_secrets(client.state.config, token)))
            self._masked_token = token


def _config(connection: Connection, extra: dict[str, Any]) -> ClientConfig:
    return ClientConfig.from_connection(
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=extra,
        user_agent=f"airflow-provider-espo/{__version__} apache-airflow/{compat.airflow_version()}",
    )


def _aio_shared() -> Any:
    from airflow_provider_espo.client import aio_shared

    return aio_shared
