"""Tries die at random points, until one lives: no record is lost, none doubled, and no half result is ever seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kill import cases_bulk, cases_files, cases_incremental, cases_partitions, cases_sql
from tests.kill.cases import CrmCase
from tests.kill.driver import DEATHS, play
from tests.kill.report import PROPERTY

#: Cases, and what share of the deaths each of them has.
SHARES: dict[type[CrmCase], float] = {
    cases_files.WholeCase: 0.16,
    cases_incremental.IncrementalCase: 0.2,
    cases_incremental.NewcomersCase: 0.04,
    cases_incremental.BackfillCase: 0.06,
    cases_partitions.PartitionsCase: 0.12,
    cases_sql.UpsertCase: 0.12,
    cases_sql.ReplaceCase: 0.06,
    cases_bulk.CreateCase: 0.08,
    cases_bulk.UpsertCase: 0.06,
    cases_bulk.ImportCase: 0.05,
    cases_bulk.ChangeCase: 0.05,
}


@pytest.mark.parametrize("case", SHARES, ids=lambda case: f"{case.__module__.rpartition('_')[2]}-{case.__name__}")
def test_nothing_is_lost_or_doubled(
    case: type[CrmCase], tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    deaths = round(DEATHS * SHARES[case])
    tally = play(case, tmp_path / "play", deaths, case.title)
    found = {"title": case.title, "deaths": tally.deaths, "histories": tally.histories, "where": dict(tally.where)}
    record_property(PROPERTY, found)
    assert tally.deaths >= deaths


def test_all_shares_make_a_whole() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
