from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.bulk.limits import FailureLimit
from airflow_provider_espo.client.errors import EspoInputError


@pytest.mark.parametrize(
    ("given", "failed", "rows", "stops", "exceeded"),
    [
        (0, 0, 10, False, False),
        (0, 1, 10, True, True),
        (3, 3, 10, False, False),
        (3, 4, 10, True, True),
        ("3", 4, 10, True, True),
        (0.5, 5, 10, False, False),
        (0.5, 6, 10, False, True),
        (" 0.1 ", 2, 10, False, True),
        (0.0, 1, 10, False, True),
        (None, 10, 10, False, False),
    ],
)
def test_a_number_stops_at_once_and_a_share_is_judged_at_the_end(
    given: Any, failed: int, rows: int, stops: bool, exceeded: bool
) -> None:
    limit = FailureLimit.of(given)
    assert limit.stops(failed) == stops
    assert limit.exceeded(failed, rows) == exceeded


def test_nothing_at_all_exceeds_nothing() -> None:
    assert not FailureLimit.of(0.1).exceeded(0, 0)


@pytest.mark.parametrize("given", [-1, 1.0, 1.5, -0.1, "many", "", True, [1], float("nan"), "nan"])
def test_what_is_no_limit_is_refused(given: Any) -> None:
    with pytest.raises(EspoInputError, match="max_failures"):
        FailureLimit.of(given)
