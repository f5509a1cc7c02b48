"""A run fails for good, at each of its points in turn: the next one leaves out nothing and repeats nothing."""

from __future__ import annotations

import itertools
import random
import shutil
from pathlib import Path

import pytest

from tests.kill.cases_incremental import IncrementalCase
from tests.kill.driver import DEATHS, Lead, Stage

#: Every so many points: every third where a thousand deaths are asked for.
STEP = max(1, 3000 // DEATHS)


class GivenUpCase(IncrementalCase):
    """Three runs, the second of which fails for good."""

    def play(self, lead: Lead) -> None:
        self.crm.add(12, moments=["2025-11-01 12:00:00"] * 12)
        self.run(lead, "first")
        for given_up in (True, False):
            self.crm.pass_time(10)
            self.crm.add(4)
            for record_id in sorted(self.crm.rows(()))[2:6]:
                self.crm.change(record_id)
            self.crm.remove(min(self.crm.rows(())))
            self.crm.pass_time(10)
            self.run(lead, "second" if given_up else "third", given_up=given_up)
        self.warehouse.compare(self.crm.rows())


@pytest.mark.parametrize("seed", ["in one place", "each in its own"])
def test_the_next_run_goes_on_from_what_counts(seed: str, tmp_path: Path) -> None:
    for point in itertools.count(1, STEP):
        folder = tmp_path / "case"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        case = GivenUpCase(random.Random(seed), folder)
        case.detects = case.warehouse.detects = True
        case.same_place = seed == "in one place"
        stage = Stage(case, random.Random(seed), tmp_path / "snapshot", given_up_at=point)
        with case.set_up():
            case.play(stage.lead)
        if not stage.ends:
            # It needed fewer points than that.
            assert point > 20
            return
