"""The sandbox answers what a real EspoCRM answered: every recorded step is sent to it and compared."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_espo.sandbox.server import SandboxServer

FOLDER = Path(__file__).parent
KNOWN_MISSES: dict[str, str] = json.loads((FOLDER / "known_misses.json").read_text(encoding="utf-8"))
#: Share of the steps of a group that have to match, in per cent.
SHARES = defaultdict(lambda: 97.0, search=85.0)


def load_replay() -> Any:
    """The replay tool is a program; here it is used as a module."""
    spec = importlib.util.spec_from_file_location("espo_contract_replay", FOLDER / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


replay = load_replay()
SCENARIOS = {f"{s['group']}/{s['scenario']}": s for s in replay.load_scenarios([FOLDER / "recordings"])}
GROUPS = sorted({scenario["group"] for scenario in SCENARIOS.values()})


class Clock:
    """The sandbox's time: that of the machine, and what was skipped instead of slept."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.skipped)

    def skip(self, seconds: float) -> None:
        self.skipped += seconds


class Replayer:
    """Replays scenarios, each once."""

    def __init__(self, server: SandboxServer, credentials_file: Path) -> None:
        credentials_file.write_text(json.dumps(server.credentials), encoding="utf-8")
        self._options = replay.Options(server.url, replay.Credentials.load(credentials_file))
        self._outcomes: dict[str, dict[str, list[str]]] = {}

    def outcome(self, label: str) -> dict[str, list[str]]:
        """Mismatches of every step of a scenario, by ``group/scenario/step``."""
        if label not in self._outcomes:
            found: dict[str, list[str]] = {}

            def report(step: dict[str, Any], mismatches: list[Any]) -> None:
                found[f"{label}/{step['name']}"] = [str(mismatch) for mismatch in mismatches]

            replay.run_scenario(SCENARIOS[label], self._options, report)
            self._outcomes[label] = found
        return self._outcomes[label]


@pytest.fixture(scope="session")
def replayer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayer]:
    clock = Clock()
    patch = pytest.MonkeyPatch()
    # the pauses of the recordings are there so that time stamps differ
    patch.setattr(replay, "time", SimpleNamespace(sleep=clock.skip, monotonic=time.monotonic))
    # some searches look for a digit or two, which a tag of hex digits may have by chance
    patch.setattr(replay, "new_run_tag", lambda: "r" + "".join(random.choices("ghkmpqvwxz", k=8)))
    with SandboxServer(clock=clock) as server:
        yield Replayer(server, tmp_path_factory.mktemp("contract") / "credentials.json")
    patch.undo()


@pytest.mark.parametrize("label", SCENARIOS)
def test_scenario_is_answered_as_recorded(replayer: Replayer, label: str) -> None:
    outcome = replayer.outcome(label)
    unlisted = [m for step, ms in outcome.items() if step not in KNOWN_MISSES for m in [f"{step}: {x}" for x in ms]]
    assert not unlisted, "\n".join(unlisted)
    healed = [step for step, mismatches in outcome.items() if step in KNOWN_MISSES and not mismatches]
    assert not healed, f"these match now: take them out of known_misses.json: {healed}"


@pytest.mark.parametrize("group", GROUPS)
def test_share_of_matching_steps(replayer: Replayer, group: str) -> None:
    outcomes = [replayer.outcome(label) for label in SCENARIOS if SCENARIOS[label]["group"] == group]
    steps = [mismatches for outcome in outcomes for mismatches in outcome.values()]
    share = 100 * sum(not mismatches for mismatches in steps) / len(steps)
    assert share >= SHARES[group], f"{group}: {share:.1f} %"


def test_known_misses_are_steps_of_recordings() -> None:
    steps = {f"{label}/{step['name']}" for label, scenario in SCENARIOS.items() for step in scenario["steps"]}
    assert KNOWN_MISSES.keys() <= steps


def test_every_known_miss_is_told_in_the_docs() -> None:
    text = (FOLDER.parent.parent / "docs" / "sandbox.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_]+/[a-z_]+/\w+)` \|", text, re.MULTILINE))
    assert listed == KNOWN_MISSES.keys()
