"""From an Airflow connection to EspoCRM: a blocking hook for tasks, an asynchronous one for triggers.

What the methods do stands in ``airflow_provider_espo.client.operations``; both hooks have all of them.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing, closing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow.sdk import BaseHook

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.client.methods import AsyncMethods, BlockingMethods
from airflow_provider_espo.hooks.settings import aconfig_of, config_of

# DAG files import this module all the time: of the client it loads no more than the errors.
if TYPE_CHECKING:
    from airflow_provider_espo.client.aio import EspoAsyncClient
    from airflow_provider_espo.client.config import ClientConfig
    from airflow_provider_espo.client.state import ClientState
    from airflow_provider_espo.client.sync import EspoClient
    from airflow_provider_espo.client.wire import FileOperation, Stream
    from airflow_provider_espo.hooks.lineage import HookLineage

T = TypeVar("T")


class _ConnectionType:
    """What both hooks have in common."""

    conn_name_attr = "espo_conn_id"
    default_conn_name = "espo_default"
    conn_type = "espo"
    hook_name = "EspoCRM"

    espo_conn_id: str
    at_most: Mapping[str, float]

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels and placeholders of the connection form, for Airflow 3.1."""
        from airflow_provider_espo import connection_form

        return connection_form.ui_field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Extra fields of the connection form, for Airflow 3.1."""
        from airflow_provider_espo import connection_form

        return connection_form.widgets()

    @cached_property
    def _lineage(self) -> HookLineage:
        from airflow_provider_espo.hooks.lineage import HookLineage

        return HookLineage(self)

    def __getstate__(self) -> dict[str, Any]:
        # An operator is copied and pickled with its hook: the copy connects anew, and no secret goes along.
        return {"espo_conn_id": self.espo_conn_id, "at_most": self.at_most}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class EspoHook(_ConnectionType, BlockingMethods, BaseHook):
    """Talks to EspoCRM over an Airflow connection, and waits for the answers.

    May be used from several threads. As a context manager it closes its sockets, and logs out where the connection
    logs in (``auth_method`` ``token``).

    :param espo_conn_id: id of the Airflow connection, of type *EspoCRM*.
    :param at_most: settings that are not to be exceeded, whatever the connection says, such as ``{"timeout": 10}``.
    """

    # Airflow 3.1 looks for these two in the class itself, and not in what it inherits.
    get_ui_field_behaviour = _ConnectionType.get_ui_field_behaviour
    get_connection_form_widgets = _ConnectionType.get_connection_form_widgets

    def __init__(
        self,
        espo_conn_id: str = _ConnectionType.default_conn_name,
        *,
        at_most: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.espo_conn_id = espo_conn_id
        self.at_most = at_most or {}
        self._config: ClientConfig | None = None
        self._client: EspoClient | None = None
        self._masked_token: str | None = None
        self._lock = threading.RLock()

    @property
    def config(self) -> ClientConfig:
        """Settings of the connection, checked.

        :raises EspoConfigError: the connection is incomplete or contradicts itself.
        """
        with self._lock:
            if self._config is None:
                config = config_of(self.espo_conn_id, self.at_most)
                if hint := config.unknown_extras_hint():
                    self.log.warning("%s", hint)
                self._config = config
            return self._config

    @property
    def known_config(self) -> ClientConfig | None:
        """Settings of the connection if they were read already: Airflow is not asked."""
        return self._config

    @property
    def client(self) -> EspoClient:
        """The client that does the work; what it learns is shared with all hooks of the connection in the process."""
        with self._lock:
            if self._client is None:
                from airflow_provider_espo.client.state import shared_state
                from airflow_provider_espo.client.sync import EspoClient

                self.config.check_files()
                self._client = EspoClient(self.config, shared_state(self.config))
            return self._client

    @property
    def state(self) -> ClientState:
        """What operations work with."""
        return self.client.state

    def get_conn(self) -> EspoClient:
        """Return the client.

        :raises EspoConfigError: the connection is incomplete or contradicts itself.
        """
        return self.client

    def run(self, operation: FileOperation[T]) -> T:
        """Carry out one of the client's operations and return its result.

        :param operation: what one of the functions in ``client.operations`` returned for this hook's ``state``.
        :raises EspoError: see :mod:`airflow_provider_espo.exceptions`.
        """
        client = self.client
        try:
            return client.run(self._lineage.watched(operation, client.state.config))
        finally:
            self._mask_token(client)

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out one of the client's streams and yield what it emits.

        :param stream: what one of the functions in ``client.operations`` returned for this hook's ``state``.
        :raises EspoError: see :mod:`airflow_provider_espo.exceptions`.
        """
        client = self.client
        with closing(client.iterate(self._lineage.watched(stream, client.state.config))) as items:  # type: ignore[type-var]
            for item in items:
                self._mask_token(client)
                yield item

    def run_many(
        self, operations: Iterable[FileOperation[T]], max_workers: int | None = None
    ) -> Iterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        :param operations: taken from as places get free, so that a long input is not held in memory.
        :param max_workers: how many at a time; by default the connection's.
        """
        client = self.client
        watched = (self._lineage.watched(operation, client.state.config) for operation in operations)
        with closing(client.run_many(watched, max_workers)) as results:  # type: ignore[type-var]
            for result in results:
                self._mask_token(client)
                yield result

    def record_url(self, entity_type: str, record_id: str) -> str:
        """Return the address of a record in EspoCRM's user interface.

        :param entity_type: such as ``Lead``.
        :param record_id: its id.
        :raises EspoInputError: one of them is not such a name or id.
        """
        from airflow_provider_espo.client.web_pages import record_page

        return record_page(self.config, entity_type, record_id)

    def test_connection(self) -> tuple[bool, str]:
        """Say who one is on which EspoCRM, or what to do about it; for the form's *Test* button.

        :return: whether it works, and one sentence without any secret.
        """
        from airflow_provider_espo.hooks.check import check_connection

        try:
            return True, check_connection(self.config)
        except EspoError as error:
            return False, str(error)
        except compat.airflow_exceptions().AirflowNotFoundException:
            return False, f"There is no connection {self.espo_conn_id!r}."

    def close(self) -> None:
        """Close the sockets, and log out where the connection logs in. The hook may be used again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mask_token(self, client: EspoClient) -> None:
        token = client.state.token.token
        if token is not None and token != self._masked_token:
            compat.mask(_token_secrets(client.state.config, token))
            self._masked_token = token


class EspoAsyncHook(_ConnectionType, AsyncMethods, BaseHook):
    """Talks to EspoCRM over an Airflow connection from an event loop: for triggers and asynchronous tasks.

    Use it as ``async with EspoAsyncHook(conn_id) as hook``: all hooks of a connection on one loop share one HTTP
    client, which the last one closes.

    :param espo_conn_id: id of the Airflow connection, of type *EspoCRM*.
    :param at_most: settings that are not to be exceeded, whatever the connection says, such as ``{"timeout": 10}``.
    """

    def __init__(
        self,
        espo_conn_id: str = _ConnectionType.default_conn_name,
        *,
        at_most: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.espo_conn_id = espo_conn_id
        self.at_most = at_most or {}
        self._client: EspoAsyncClient | None = None
        self._masked_token: str | None = None

    async def get_async_conn(self) -> EspoAsyncClient:
        """Return the client.

        :raises EspoConfigError: the connection is incomplete or contradicts itself.
        """
        if self._client is None:
            config = await aconfig_of(self.espo_conn_id, self.at_most)
            # Another coroutine may have been here meanwhile.
            if self._client is None:
                if hint := config.unknown_extras_hint():
                    self.log.warning("%s", hint)
                # Loaded off the loop with the settings.
                from airflow_provider_espo.client.aio_shared import acquire

                self._client = acquire(config)
        return self._client

    async def ready(self) -> ClientState:
        """Return what operations work with."""
        return (await self.get_async_conn()).state

    async def run(self, operation: FileOperation[T]) -> T:
        """Carry out one of the client's operations and return its result.

        :param operation: what one of the functions in ``client.operations`` returned for the state of ``ready()``.
        :raises EspoError: see :mod:`airflow_provider_espo.exceptions`.
        """
        client = await self.get_async_conn()
        try:
            return await client.run(self._lineage.watched(operation, client.state.config))
        finally:
            await self._mask_token(client)

    async def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out one of the client's streams and yield what it emits.

        :param stream: what one of the functions in ``client.operations`` returned for the state of ``ready()``.
        :raises EspoError: see :mod:`airflow_provider_espo.exceptions`.
        """
        client = await self.get_async_conn()
        watched = self._lineage.watched(stream, client.state.config)
        async with aclosing(client.iterate(watched)) as items:  # type: ignore[type-var]
            async for item in items:
                await self._mask_token(client)
                yield item

    async def run_many(
        self, operations: Iterable[FileOperation[T]], max_workers: int | None = None
    ) -> AsyncIterator[T | EspoError]:
        """Carry out operations side by side and yield their results, or errors, in the order given.

        :param operations: taken from as places get free, so that a long input is not held in memory.
        :param max_workers: how many at a time; by default the connection's.
        """
        client = await self.get_async_conn()
        watched = (self._lineage.watched(operation, client.state.config) for operation in operations)
        async with aclosing(client.run_many(watched, max_workers)) as results:  # type: ignore[type-var]
            async for result in results:
                await self._mask_token(client)
                yield result

    async def close(self) -> None:
        """Give the client back; the last hook of the connection on this loop closes it. The hook may be used again."""
        client, self._client = self._client, None
        if client is not None:
            from airflow_provider_espo.client.aio_shared import release

            await release(client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _mask_token(self, client: EspoAsyncClient) -> None:
        token = client.state.token.token
        if token is not None and token != self._masked_token:
            await compat.amask(_token_secrets(client.state.config, token))
            self._masked_token = token


def _token_secrets(config: ClientConfig, token: str) -> list[Any]:
    from airflow_provider_espo.client.config import token_secrets

    return list(token_secrets(config, token))
