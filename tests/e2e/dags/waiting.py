"""DAGs of the live test that wait in the triggerer."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import BaseSensorOperator, dag
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_espo.client.stream_cursor import StreamCursor
from airflow_provider_espo.operators.mass_action import EspoMassUpdateOperator
from airflow_provider_espo.sensors.base import EspoSensor
from airflow_provider_espo.sensors.record import EspoRecordSensor
from airflow_provider_espo.sensors.stream import EspoStreamSensor
from airflow_provider_espo.where import equals

START = pendulum.datetime(2026, 1, 1, tz="UTC")
DAGS_OF_TWENTY = 50


@dag(schedule=None, start_date=START)
def wait_for_post() -> None:
    """Waits for a post with a word in it."""
    EspoStreamSensor(
        task_id="wait",
        stream="global",
        note_types=["Post"],
        text="awaited",
        deferrable=True,
        poll_interval=2,
        timeout=300,
    )


@dag(schedule=None, start_date=START)
def mass_update() -> None:
    """Has the CRM change leads in a background job."""
    EspoMassUpdateOperator(
        task_id="update",
        entity_type="Lead",
        where=[equals("accountName", "Background")],
        attributes={"opportunityAmount": 1000},
        background=True,
        deferrable=True,
        poll_interval=2,
    )


def begin_in_triggerer(sensor: EspoSensor) -> None:
    """Have a sensor begin where a deferred one waits, without a worker that looks once before."""
    if isinstance(sensor, EspoStreamSensor):
        # What its first look would have found.
        sensor._place = StreamCursor(0).to_json()
    trigger = sensor.trigger(espo_conn_id="espo_default", poll_interval=30, deadline=None, silent_fail=False)
    path, arguments = trigger.serialize()
    sensor.start_from_trigger = True
    sensor.start_trigger_args = StartTriggerArgs(
        trigger_cls=path,
        trigger_kwargs=arguments,
        next_method="execute_complete",
        next_kwargs=None,
        timeout=timedelta(hours=1),
    )


def twenty(number: int) -> None:
    """Twenty sensors, each with a filter of its own, that wait for what never comes.

    Where tasks begin in the triggerer, Airflow hands it the whole DAG with each, and a large one would keep it busy.
    """

    @dag(dag_id=f"twenty_{number}", schedule=None, start_date=START, is_paused_upon_creation=False)
    def sensors() -> None:
        for name in range(number * 10, number * 10 + 10):
            where = [equals("lastName", f"Nobody {name}")]
            begin_in_triggerer(EspoRecordSensor(task_id=f"record_{name}", entity_type="Lead", where=where))
            begin_in_triggerer(EspoStreamSensor(task_id=f"stream_{name}", text=f"Nothing {name}"))

    sensors()


class LoopProbe(BaseSensorOperator):
    """Measures the triggerer's event loop."""

    start_from_trigger = True
    start_trigger_args = StartTriggerArgs(
        trigger_cls="tests.e2e.probe.LoopProbeTrigger",
        trigger_kwargs={"folder": os.environ.get("ESPO_E2E_OUT", ".")},
        next_method="execute_complete",
        next_kwargs=None,
        timeout=None,
    )

    def execute_complete(self, context: Any, event: Any) -> None:
        """End."""


@dag(schedule=None, start_date=START)
def probe() -> None:
    """Measures the triggerer's event loop until the test has seen enough."""
    LoopProbe(task_id="probe")


wait_for_post()
mass_update()
probe()
for number in range(DAGS_OF_TWENTY):
    twenty(number)
