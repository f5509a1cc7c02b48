"""The triggerer is killed at random moments: no change is lost, and what comes twice comes from around a death."""

from __future__ import annotations

import os

import pytest

from tests.e2e.chaos import SEED, Kills, Writer, arrivals, kill_at_random
from tests.e2e.dags.watching import SOURCES
from tests.e2e.processes import wait_for
from tests.e2e.stack import Stack

KILLS = int(os.environ.get("ESPO_E2E_KILLS", "20"))


@pytest.fixture
def many(stack: Stack) -> None:
    stack.unpause("on_many")
    wait_for("Places of 25 assets", lambda: stack.places(r"many\_%") == 25, 120)


def test_no_lead_is_lost_however_often_the_triggerer_dies(stack: Stack, many: None) -> None:
    def polls(since: float) -> bool:
        return bool(stack.traffic.since(since, path="/Lead"))

    with Writer(stack, 0.5, SOURCES) as writer:
        kills = kill_at_random(stack, "triggerer", KILLS, polls)
    stack.wait_until_healthy()

    for number, source in enumerate(SOURCES):
        made = set(writer.made[source])
        wait_for(f"Leads from {source}", lambda n=number, m=made: m <= _ids(stack, n, 0), 120)  # type: ignore[misc]
    print(f"\n{KILLS} deaths (seed {SEED}), {sum(map(len, writer.made.values()))} leads, repeats: ", end="")
    repeats = 0
    for number, source in enumerate(SOURCES):
        for copy in range(5):
            found = arrivals(writer.made[source], _events(stack, number, copy), kills)
            assert found.lost == set()
            assert found.unexplained == set()
            repeats += len(found.repeated) if copy == 0 else 0
    print(repeats)
    stack.pause("on_many")


def test_a_repeat_is_told_by_id_and_stamp(stack: Stack) -> None:
    stamps: dict[str, set[str]] = {}
    for number in range(len(SOURCES)):
        for event in stack.asset_events(f"many_{number}_0"):
            payload = event["extra"]["payload"]
            assert payload["count"] == len(payload["ids"]) == len(payload["stamps"])
            for lead, stamp in zip(payload["ids"], payload["stamps"], strict=True):
                stamps.setdefault(lead, set()).add(stamp)
    assert stamps
    assert [lead for lead, told in stamps.items() if len(told) > 1] == []


def _events(stack: Stack, number: int, copy: int) -> list[tuple[float, list[str]]]:
    events = stack.asset_events(f"many_{number}_{copy}")
    return [(event["timestamp"].timestamp(), event["extra"]["payload"]["ids"]) for event in events]


def _ids(stack: Stack, number: int, copy: int) -> set[str]:
    return {one for _, ids in _events(stack, number, copy) for one in ids}


def test_a_repeat_without_a_death_between_would_be_noticed() -> None:
    kills = Kills([10.0])
    found = arrivals(["a", "b", "c"], [(9.0, ["a", "b"]), (11.0, ["a"]), (12.0, ["a"])], kills)
    assert (found.lost, found.repeated, found.unexplained) == ({"c"}, {"a"}, {"a"})
    assert arrivals(["a"], [(9.0, ["a"]), (11.0, ["a"])], kills).unexplained == set()
