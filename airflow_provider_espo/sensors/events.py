"""From a trigger's event back to a result or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowSensorTimeout

from airflow_provider_espo import exceptions
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
        raise AirflowSensorTimeout(f"Nothing came within {timeout:g} seconds")
    kind = getattr(exceptions, str(event.get("kind")), EspoError)
    raise kind(str(event.get("error")))
