"""DAGs of the live test that watch the CRM."""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_espo.triggers.record_event import EspoRecordEventTrigger
from airflow_provider_espo.triggers.stream_event import EspoStreamEventTrigger
from airflow_provider_espo.where import equals

START = pendulum.datetime(2026, 1, 1, tz="UTC")
SOURCES = ("Email", "Existing Customer", "Partner", "Public Relations", "Campaign")


def watched(name: str, source: str, poll_interval: float) -> Asset:
    """An asset that is updated when a lead of a source comes in."""
    where = [equals("source", source)]
    trigger = EspoRecordEventTrigger(entity_type="Lead", where=where, poll_interval=poll_interval)
    return Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])


calls = watched("calls", "Call", 5)

#: Five assets with each of five filters: five triggers, one poll.
many = [watched(f"many_{number}_{copy}", source, 4) for number, source in enumerate(SOURCES) for copy in range(5)]

#: Never updated: whoever waits for it too has watchers, and no runs.
never = Asset("never")

posts = Asset(
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


@dag(schedule=posts, start_date=START)
def on_post() -> None:
    """Runs when somebody posts."""

    @task
    def ids(triggering_asset_events=None) -> list[str]:  # type: ignore[no-untyped-def]
        return [one for event in triggering_asset_events[posts] for one in event.extra["payload"]["ids"]]

    ids()


@dag(schedule=[*many, never], start_date=START)
def on_many() -> None:
    """Keeps the watchers of many assets awake."""

    @task
    def nothing() -> None:
        return None

    nothing()


on_call()
on_post()
on_many()
