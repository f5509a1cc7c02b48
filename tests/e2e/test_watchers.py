"""The CRM starts DAGs, in a running Airflow."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime

import pytest

from tests.e2e.dags.watching import SOURCES
from tests.e2e.processes import wait_for
from tests.e2e.stack import Stack
from tests.e2e.traffic import Asked

#: Seconds between polls of ``many``, and polls that are counted.
INTERVAL, POLLS = 4, 6


def test_a_new_lead_has_a_run_queued_within_fifteen_seconds(stack: Stack) -> None:
    stack.unpause("on_call")
    wait_for("The watcher's place", lambda: stack.places("calls"), 120)
    began = time.monotonic()
    made_at = datetime.now(UTC)
    lead = stack.new_lead(source="Call")
    (run,) = wait_for("A run", lambda: stack.runs("on_call"), 60)
    took = (datetime.fromisoformat(run["queued_at"] or run["start_date"]) - made_at).total_seconds()
    print(f"\nfrom the lead to the queued run: {took:.1f} s (seen after {time.monotonic() - began:.1f} s)")
    assert stack.finished("on_call", run["dag_run_id"]) == "success"
    assert stack.xcom("on_call", run["dag_run_id"], "ids") == [lead]
    assert took <= 15
    stack.pause("on_call")


def test_a_post_starts_a_run_that_is_told_its_id(stack: Stack) -> None:
    lead = stack.new_lead()
    stack.unpause("on_post")
    wait_for("The watcher's place", lambda: stack.places("posts"), 120)
    note = stack.new_post(lead, "Call them")
    (run,) = wait_for("A run", lambda: stack.runs("on_post"), 60)
    assert stack.finished("on_post", run["dag_run_id"]) == "success"
    assert stack.xcom("on_post", run["dag_run_id"], "ids") == [note]
    (event,) = stack.asset_events("posts")
    assert "Call them" not in str(event)
    stack.pause("on_post")


@pytest.fixture
def many(stack: Stack) -> None:
    began = time.time()
    stack.unpause("on_many")
    wait_for("Places of 25 assets", lambda: stack.places(r"many\_%") == 25, 120)
    # They may be there from an earlier test: each of the watchers begins with a look.
    wait_for("A look with each filter", lambda: len(_looks(stack, began)) >= len(SOURCES), 120)


def test_twenty_five_assets_with_five_filters_cost_one_poll_an_interval(stack: Stack, many: None) -> None:
    wait_for("A time without news", lambda: _is_quiet(stack), 120)
    polls = _several_polls(stack)

    assert {tuple(sorted(poll.attributes)) for poll in polls} == {("createdAt",)}
    gaps = [after.at - before.at for before, after in itertools.pairwise(polls)]
    print(f"\n25 assets, 5 filters: {len(polls)} requests in {polls[-1].at - polls[0].at:.1f} s; gaps", end=" ")
    print(", ".join(f"{gap:.1f}" for gap in gaps))
    # Each waits for the interval, less a twentieth, after the one before.
    assert min(gaps) > INTERVAL * 0.9

    asked_from = time.time()
    before = {number: _ids(stack, f"many_{number}_0") for number in range(len(SOURCES))}
    lead = stack.new_lead(source=SOURCES[2])
    arrived = [f"many_2_{copy}" for copy in range(5)]
    wait_for("Five events", lambda: all(lead in _ids(stack, name) for name in arrived), 60)
    looks = [asked for asked in _polls(stack, asked_from) if _source(asked)]
    print(f"a lead: {len(looks)} requests with a filter, {len(_looks(stack, asked_from))} filters")
    assert _ids(stack, "many_2_0") == [*before[2], lead]
    assert all(_ids(stack, f"many_{other}_0") == before[other] for other in (0, 1, 3, 4))
    # Each filter looks at the tick, and again when the second is over in which the lead came.
    assert len(looks) <= 3 * len(SOURCES)


def _ids(stack: Stack, asset: str) -> list[str]:
    return [one for event in stack.asset_events(asset) for one in event["extra"]["payload"]["ids"]]


def _polls(stack: Stack, moment: float) -> list[Asked]:
    return [asked for asked in stack.traffic.since(moment, path="/Lead") if "createdAt" in asked.attributes]


def _source(asked: Asked) -> str:
    """Source that was asked for, empty if none was."""
    return next((item["value"] for item in asked.where if item.get("attribute") == "source"), "")


def _looks(stack: Stack, moment: float) -> set[str]:
    """Sources that watchers asked for."""
    return {source for asked in _polls(stack, moment) if (source := _source(asked)) in SOURCES}


def _is_quiet(stack: Stack) -> bool:
    """Whether the last polls found nothing new, so that nobody looked with a filter."""
    last = _polls(stack, time.time() - 2.5 * INTERVAL)
    return len(last) >= 2 and all(asked.attributes == {"createdAt"} for asked in last)


def _several_polls(stack: Stack) -> list[Asked]:
    began = time.time()
    return wait_for(
        "Polls", lambda: polls if len(polls := _polls(stack, began)) >= POLLS else None, POLLS * INTERVAL * 2
    )
