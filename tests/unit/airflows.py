"""Airflows of other versions: names that are elsewhere there, and those that are missing there."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import airflow.serialization.serialized_objects
import pytest
import structlog

from airflow_provider_espo import compat

__all__ = [
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "TaskDeferred",
    "AsyncCallback",
    "DagSerialization",
    "callback_trigger",
    "encode_trigger",
    "hide_names",
    "run_in_executor",
]

if TYPE_CHECKING:
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        TaskDeferred,
    )
else:
    _exceptions = compat.airflow_exceptions()
    AirflowFailException = _exceptions.AirflowFailException
    AirflowNotFoundException = _exceptions.AirflowNotFoundException
    AirflowRescheduleException = _exceptions.AirflowRescheduleException
    AirflowSensorTimeout = _exceptions.AirflowSensorTimeout
    AirflowSkipException = _exceptions.AirflowSkipException
    TaskDeferred = _exceptions.TaskDeferred

_serialized = airflow.serialization.serialized_objects
#: ``DagSerialization`` since 3.2, before that ``SerializedDAG``.
DagSerialization: Any = getattr(
    _serialized, "DagSerialization" if hasattr(_serialized, "DagSerialization") else "SerializedDAG"
)


def _first_of(*places: tuple[str, str]) -> Any:
    """Return what has the first name that there is."""
    for module, name in places:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"There is none of {places}")


#: Makes of an event trigger what is stored.
encode_trigger: Any = _first_of(
    ("airflow.serialization.encoders", "encode_trigger"),
    # Airflow 3.1
    ("airflow.serialization.serialized_objects", "_encode_trigger"),
)

AsyncCallback: Any = _first_of(
    ("airflow.sdk", "AsyncCallback"),
    # Airflow 3.1
    ("airflow.sdk.definitions.deadline", "AsyncCallback"),
)

#: Runs the callback of a deadline.
callback_trigger: Any = _first_of(
    ("airflow.triggers.callback", "CallbackTrigger"),
    # Airflow 3.1
    ("airflow.triggers.deadline", "DeadlineCallbackTrigger"),
)


def run_in_executor(path: str, kwargs: dict[str, Any]) -> tuple[bool, str | None]:
    """Run the synchronous callback of a deadline as an executor's process does.

    :return: whether it went well, and what went wrong.
    """
    log = structlog.get_logger()
    try:
        supervisor: Any = importlib.import_module("airflow.sdk.execution_time.callback_supervisor")
    except ImportError:  # before Airflow 3.3
        try:
            workloads: Any = importlib.import_module("airflow.executors.workloads.callback")
        except ImportError:
            pytest.skip("Airflow runs callbacks of deadlines in executors since 3.2")
        done = workloads.execute_callback_workload(SimpleNamespace(data={"path": path, "kwargs": kwargs}), log)
    else:
        done = supervisor.execute_callback(path, kwargs, "dag.py", None, log)
    well, error = done
    return bool(well), error


def hide_names(monkeypatch: pytest.MonkeyPatch, module: str, names: Sequence[str] | None) -> None:
    """Make our imports of a module (or of names in it) fail as on an Airflow that does not have them."""
    real_import: Callable[..., ModuleType] = builtins.__import__

    def older_airflow(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        ours = (globals or {}).get("__name__", "").startswith("airflow_provider_espo")
        if ours and name == module and (names is None or set(names) & set(fromlist or ())):
            raise ImportError(f"cannot import {fromlist} from {name}")
        return real_import(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", older_airflow)
