"""DAGs of the live test that watch the CRM."""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_espo.triggers.record_event import EspoRecordEventTrigger
from airflow_provider_espo.triggers.stream_event import EspoStreamEventTrigger
from airflow_provider_espo.where import equals

START = pendulum.datetime(2026, 1, 1, tz="UTC")


def watched(name: str, source: str) -> Asset:
    """An asset that is updated when a lead of a source comes in."""
    trigger = EspoRecordEventTrigger(entity_type="Lead", where=[equals("source", source)], poll_interval=5)
    return Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])


calls = watched("calls", "Call")

#: Five assets with each of five filters: five triggers, one poll.
many = [watched(f"many_{number}_{copy}", f"Source {number}") for number in range(5) for copy in range(5)]

notes = Asset(
    "posts",
    watchers=[
        AssetWatcher(name="posts", trigger=EspoStreamEventTrigger(note_types=["Post"], poll_interval=5)),
    ],
)


@dag(schedule=calls, start_date=START, max_active_runs=4)
def on_call() -> None:
    """Runs when somebody called."""

    @task
    def ids(triggering_asset_events=None) -> list[str]:  # type: ignore[no-untyped-def]
        return [one for event in triggering_asset_events[calls] for one in event.extra["payload"]["ids"]]

    ids()


@dag(schedule=notes, start_date=START)
def on_post() -> None:
    """Runs when somebody posts."""

    @task
    def ids(triggering_asset_events=None) -> list[str]:  # type: ignore[no-untyped-def]
        return [one for event in triggering_asset_events[notes] for one in event.extra["payload"]["ids"]]

    ids()


@dag(schedule=many, start_date=START)
def on_many() -> None:
    """Keeps the watchers of many assets awake."""

    @task
    def nothing() -> None:
        return None

    nothing()


on_call()
on_post()
on_many()
