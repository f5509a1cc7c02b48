"""Everything that differs between the Airflow versions this provider runs on (3.1 and later), in one place.

What is there is found by looking for it, not by comparing version numbers. Imports are inside of the
functions: DAG files import this module through every operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from airflow.sdk import Connection
    from pydantic import JsonValue


class TaskStateStore(Protocol):
    """What of Airflow's task state store is used: values that outlive a try of a task instance."""

    def get(self, key: str, default: JsonValue = None) -> JsonValue:
        """Return the value, or the default where there is none."""

    def set(self, key: str, value: JsonValue, *, retention: timedelta | None = None) -> None:
        """Store a value that is not ``None``."""

    def delete(self, key: str) -> None:
        """Forget a value."""


def airflow_version() -> str:
    """Return the version of Airflow, for the ``User-Agent``.

    A worker may have the task SDK alone (possible since 3.2): then it is the SDK's version, and says so.
    """
    import airflow

    version = getattr(airflow, "__version__", None)
    if version is None:
        import airflow.sdk

        return f"sdk-{airflow.sdk.__version__}"
    return str(version)


def airflow_exceptions() -> Any:
    """Return the module that has Airflow's exceptions for tasks, such as ``AirflowSkipException``.

    ``airflow.sdk.exceptions`` has them since 3.2; before, they were in Airflow's core only.
    """
    import airflow.sdk.exceptions

    if hasattr(airflow.sdk.exceptions, "AirflowSkipException"):
        return airflow.sdk.exceptions
    import airflow.exceptions

    return airflow.exceptions


def default_deferrable() -> bool:
    """Tell whether operators defer unless told otherwise (``[operators] default_deferrable``)."""
    return bool(_configuration().getboolean("operators", "default_deferrable", fallback=False))


def mask(secret: JsonValue) -> None:
    """Keep a text, or all texts of a list, out of the logs; of a dict, those with telling names."""
    from airflow.sdk.log import mask_secret

    if secret:
        mask_secret(secret)


async def amask(secret: JsonValue) -> None:
    """Do the same from an event loop.

    Airflow's ``mask_secret`` waits for the supervisor and must not do so on the loop; ``amask_secret`` came with
    3.3.2. Before, the waiting is done on a thread, and one that knows its loop: the triggerer of 3.1 talks to its
    supervisor on the loop alone, and a thread of ``asyncio.to_thread`` would make it read answers out of order and end.
    """
    if not secret:
        return
    try:
        from airflow.sdk.log import amask_secret
    except ImportError:
        from asgiref.sync import sync_to_async

        await sync_to_async(mask)(secret)
    else:
        await amask_secret(secret)


def get_connection(conn_id: str) -> tuple[Connection, dict[str, Any]]:
    """Get an Airflow connection and its extra.

    The extra is read here and not by ``Connection.extra_dejson``, which makes an empty one of broken JSON.

    :param conn_id: id of the connection.
    :return: the connection, and its extra as an object; sensitive values are masked in logs.
    :raises AirflowNotFoundException: there is no such connection.
    :raises EspoConfigError: the extra is not a JSON object.
    """
    from airflow.sdk import BaseHook

    from airflow_provider_espo.client.config import read_extra

    connection = BaseHook.get_connection(conn_id)
    extra = read_extra(connection.extra)
    mask(extra)
    return connection, extra


async def aget_connection(conn_id: str) -> tuple[Connection, dict[str, Any]]:
    """Do the same from an event loop, without blocking it.

    Reading the extra's text needs neither ``Connection.extra_dejson``, which blocks, nor ``aextra_dejson``,
    which came with 3.3.2. For parameters, result and errors see :func:`get_connection`.
    """
    from airflow.sdk import BaseHook

    from airflow_provider_espo.client.config import read_extra

    connection = await BaseHook.aget_connection(conn_id)
    extra = read_extra(connection.extra)
    await amask(extra)
    return connection, extra


def task_state_store(context: Mapping[str, Any]) -> TaskStateStore | None:
    """Return the store that keeps values between the tries of a task instance (3.3), where there is one.

    :param context: Airflow's context of the running task.
    """
    store: TaskStateStore | None = context.get("task_state_store")
    return store


def asset_state_store(context: Mapping[str, Any]) -> tuple[TaskStateStore, str] | None:
    """Return the store that keeps values of an asset for good (3.3), where the task has one.

    Of several assets it is that of the first outlet, or else of the first inlet.

    :param context: Airflow's context of the running task; without concrete assets it has no such store.
    :return: the store, and the name or URI of its asset.
    """
    stores = context.get("asset_state_store")
    if stores is None:
        return None
    task = context["task"]
    for asset in [*(task.outlets or ()), *(task.inlets or ())]:
        try:
            store: TaskStateStore = stores[asset]
        except (KeyError, TypeError):
            # An alias stands for no asset of its own.
            continue
        return store, str(getattr(asset, "name", None) or getattr(asset, "uri", ""))
    return None


class VariableStore:
    """Values kept as Airflow Variables, for those who have no other store."""

    def get(self, key: str, default: JsonValue = None) -> JsonValue:
        """Return the value, or the default where there is none."""
        from airflow.sdk import Variable

        value: JsonValue = Variable.get(key, default=default, deserialize_json=True)
        return value

    def set(self, key: str, value: JsonValue, *, retention: timedelta | None = None) -> None:
        """Store a value."""
        from airflow.sdk import Variable

        Variable.set(key, value, description="Kept by airflow-provider-espo", serialize_json=True)

    def delete(self, key: str) -> None:
        """Forget a value."""
        from airflow.sdk import Variable

        Variable.delete(key)


def variable_names(prefix: str) -> list[str]:
    """Return the names of Airflow Variables that begin so; none where Airflow does not tell a task.

    :param prefix: how they begin.
    """
    from airflow.sdk import Variable

    names = getattr(Variable, "keys", None)
    return [] if names is None else [str(name) for name in names(prefix=prefix)]


def max_map_length() -> int:
    """Return how many tasks one task may be mapped to (``[core] max_map_length``)."""
    return int(_configuration().getint("core", "max_map_length", fallback=1024))


def _configuration() -> Any:
    """Airflow's configuration; ``airflow.sdk.configuration`` came with 3.2, before it was in Airflow's core only."""
    try:
        from airflow.sdk.configuration import conf
    except ImportError:
        from airflow.configuration import conf
    return conf


def stores_of_assets(accessors: Any) -> list[Any]:
    """Return the state stores of all assets that an event trigger watches (3.3), none where there are none.

    The accessors' own ``aget`` and ``aset`` refuse to work once two assets share a trigger, and nothing public tells
    which assets there are; so their table is read.

    :param accessors: ``asset_state_store`` of the trigger.
    """
    if accessors is None:
        return []
    by_name, by_uri = getattr(accessors, "_by_name", None), getattr(accessors, "_by_uri", None)
    if by_name is None and by_uri is None:
        return [accessors]
    return [store for table in (by_name, by_uri) for _, store in sorted((table or {}).items())]


async def aget_variable(key: str) -> str | None:
    """Return an Airflow variable from an event loop, ``None`` if there is none.

    ``Variable.get`` waits for the supervisor; see :func:`amask` for why it waits on such a thread.
    """
    from airflow.sdk import Variable
    from asgiref.sync import sync_to_async

    found = await sync_to_async(Variable.get)(key, default=None)
    return None if found is None else str(found)


async def aset_variable(key: str, value: str) -> None:
    """Set an Airflow variable from an event loop."""
    from airflow.sdk import Variable
    from asgiref.sync import sync_to_async

    await sync_to_async(Variable.set)(key, value)


def hook_lineage_collector() -> Any:
    """Return what collects the lineage of hooks, ``None`` where nobody reads it.

    It is read when a task ends. Elsewhere, as in a triggerer, it would only grow, and to ask for it would load all
    plugins there are. ``airflow.sdk.lineage`` came with 3.2; before, it was in Airflow's core only.
    """
    from airflow.sdk import get_current_context

    try:
        get_current_context()
    except RuntimeError:
        return None
    import importlib

    lineage: Any
    try:
        lineage = importlib.import_module("airflow.sdk.lineage")
    except ImportError:
        lineage = importlib.import_module("airflow.lineage.hook")
    collector = lineage.get_hook_lineage_collector()
    return None if isinstance(collector, lineage.NoOpCollector) else collector


def redacted(text: str) -> str:
    """Return a text with ``***`` in place of the secrets that Airflow knows of, as its logs have it."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]

    return str(redact(text))
