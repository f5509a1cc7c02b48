"""From a trigger's event back to a result or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_espo import compat, exceptions
from airflow_provider_espo.client.errors import EspoError


def result_of(event: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Return what an event of an ``EspoPollTrigger`` found.

    :param event: the event's payload.
    :param timeout: the sensor's time-out in seconds, for the text.
    :raises AirflowSensorTimeout: the deadline was over.
    :raises EspoError: the error that stopped the trigger, of the same class as there, so that a retry policy can tell.
    """
    if event.get("status") == "success":
        return {name: value for name, value in event.items() if name != "status"}
    if event.get("status") == "timeout":
        raise timed_out(timeout, event.get("last_error"))
    name = str(event.get("kind"))
    kind: type[EspoError] = getattr(exceptions, name) if name in exceptions.__all__ else EspoError
    raise kind(**(event.get("error") or {"message": "The trigger ended without saying why"}))


def timed_out(timeout: float, last_error: str | None = None) -> Exception:
    """Return Airflow's error for a sensor that waited in vain.

    :param timeout: how long, in seconds.
    :param last_error: text of the error that the last look ended in, if it did.
    """
    text = f"Nothing came within {timeout:g} seconds"
    error: Exception = compat.airflow_exceptions().AirflowSensorTimeout(
        f"{text}; the last look failed: {last_error}" if last_error else text
    )
    return error
