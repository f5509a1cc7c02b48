from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.budget import RequestBudget

WALL = 1_800_000_000.0


def test_without_a_limit_nobody_waits() -> None:
    budget = RequestBudget(None)
    assert [budget.reserve(10.0) for _ in range(100)] == [0.0] * 100


def test_requests_are_spaced_evenly_from_the_first_on() -> None:
    budget = RequestBudget(4)
    assert [budget.reserve(10.0) for _ in range(4)] == [0, 0.25, 0.5, 0.75]
    assert budget.reserve(10.5) == pytest.approx(0.5)


def test_time_that_passed_unused_is_not_saved_up() -> None:
    budget = RequestBudget(2)
    budget.reserve(0.0)
    assert [budget.reserve(100.0) for _ in range(3)] == [0, 0.5, 1.0]


@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_no_two_requests_are_ever_closer_than_the_limit_allows(rate: float, pauses: list[float]) -> None:
    budget = RequestBudget(rate)
    now, starts = 0.0, []
    for pause in pauses:
        now += pause
        wait = budget.reserve(now)
        assert wait >= 0
        starts.append(now + wait)
    assert all(later - earlier >= 1 / rate - 1e-9 for earlier, later in pairwise(starts))


def test_threads_share_one_budget() -> None:
    budget = RequestBudget(10)
    waits: list[float] = []
    threads = [threading.Thread(target=lambda: waits.append(budget.reserve(0.0))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([n / 10 for n in range(20)])


@pytest.mark.parametrize("reset", ["7", "7.0", str(WALL + 7)])
def test_a_limit_that_is_used_up_holds_all_further_requests_back_until_its_reset(reset: str) -> None:
    budget = RequestBudget(None)
    budget.observe({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, 100.0, WALL)
    assert budget.reserve(100.0) == pytest.approx(7)
    assert budget.reserve(103.0) == pytest.approx(4)
    assert budget.reserve(108.0) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "7"},
        {"x-ratelimit-remaining": "0"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"},
        {"x-ratelimit-remaining": "none", "x-ratelimit-reset": "7"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(WALL - 50)},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "-3"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "nan"},
    ],
)
def test_other_rate_limit_headers_hold_nobody_back(headers: dict[str, str]) -> None:
    budget = RequestBudget(None)
    budget.observe(headers, 100.0, WALL)
    assert budget.reserve(100.0) == 0


@pytest.mark.parametrize("reset", ["3600", "inf", str(WALL + 99999)])
def test_a_far_reset_is_followed_for_a_while_only(reset: str) -> None:
    budget = RequestBudget(None, longest_wait=120)
    budget.observe({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, 0.0, WALL)
    assert budget.reserve(0.0) == 120


def test_a_shorter_reset_does_not_let_anybody_go_earlier() -> None:
    budget = RequestBudget(None)
    for reset in ("9", "2"):
        budget.observe({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, 0.0, WALL)
    assert budget.reserve(0.0) == 9
