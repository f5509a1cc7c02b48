from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoConnectionError,
    EspoDuplicateError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoNotFoundError,
    EspoRateLimitError,
    EspoServerError,
    EspoTimeoutError,
    EspoTLSError,
)
from airflow_provider_espo.client.retry import RetryPolicy, is_worth_a_retry, outcome_is_unknown


def down(status: int) -> EspoServerError:
    return EspoServerError("x", status=status, outcome_unknown=status != 503)


UNREACHED: list[EspoError] = [EspoConnectionError("refused"), EspoTimeoutError("connect"), EspoRateLimitError("429"),
                              EspoMaintenanceError("503", status=503), down(503)]  # fmt: skip
UNKNOWN: list[EspoError] = [
    EspoConnectionError("reset", outcome_unknown=True), EspoTimeoutError("read", outcome_unknown=True),
    down(502), down(504), down(524),
]  # fmt: skip
HOPELESS: list[EspoError] = [
    EspoTLSError("x"), EspoTLSError("x", outcome_unknown=True), EspoBadAnswerError("x"), EspoAuthenticationError("x"),
    EspoForbiddenError("x"), EspoLoginThrottledError("x"), EspoNotFoundError("x"), EspoBadRequestError("x"),
    EspoDuplicateError("x"), EspoInputError("x"), down(501), down(505),
]  # fmt: skip


def named(error: EspoError) -> str:
    return f"{type(error).__name__}-{error.status or error.message}"


@pytest.mark.parametrize("error", UNREACHED, ids=named)
@pytest.mark.parametrize("repeatable", [True, False])
def test_what_the_server_did_not_take_is_always_sent_again(error: EspoError, repeatable: bool) -> None:
    assert is_worth_a_retry(error, repeatable=repeatable, retries=3)
    assert not outcome_is_unknown(error)


@pytest.mark.parametrize("error", UNKNOWN, ids=named)
def test_what_the_server_may_have_done_is_sent_again_only_if_that_does_no_harm(error: EspoError) -> None:
    assert is_worth_a_retry(error, repeatable=True, retries=3)
    assert not is_worth_a_retry(error, repeatable=False, retries=0)
    assert outcome_is_unknown(error)


@pytest.mark.parametrize("error", HOPELESS, ids=named)
def test_what_would_fail_again_is_not_sent_again(error: EspoError) -> None:
    assert not is_worth_a_retry(error, repeatable=True, retries=0)


def test_a_500_is_tried_once_more_and_only_where_that_does_no_harm() -> None:
    assert is_worth_a_retry(down(500), repeatable=True, retries=0)
    assert not is_worth_a_retry(down(500), repeatable=True, retries=1)
    assert not is_worth_a_retry(down(500), repeatable=False, retries=0)


@given(
    retries=st.integers(0, 20),
    base=st.floats(0.01, 10),
    cap=st.floats(0.01, 100),
    seed=st.integers(),
)
def test_full_jitter_lies_between_nothing_and_a_bound_that_doubles_up_to_the_cap(
    retries: int, base: float, cap: float, seed: int
) -> None:
    policy = RetryPolicy(max_retries=21, base=base, cap=cap, uniform=random.Random(seed).uniform)
    wait = policy.wait_before_retry(EspoConnectionError("x"), repeatable=True, retries=retries)
    assert wait is not None
    assert 0 <= wait <= min(cap, base * 2**retries) * (1 + 1e-9)


def test_the_whole_range_is_used() -> None:
    spans: list[tuple[float, float]] = []

    def note(low: float, high: float) -> float:
        spans.append((low, high))
        return high

    policy = RetryPolicy(max_retries=20, base=0.5, cap=30, uniform=note)
    waits = [policy.wait_before_retry(EspoConnectionError("x"), repeatable=True, retries=n) for n in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert spans == [(0.0, wait) for wait in waits]


@given(asked=st.floats(0, 120), seed=st.integers())
def test_a_wait_that_the_server_asks_for_is_kept_and_little_is_added(asked: float, seed: int) -> None:
    policy = RetryPolicy(uniform=random.Random(seed).uniform)
    wait = policy.wait_before_retry(EspoRateLimitError("x"), repeatable=False, retries=0, asked_to_wait=asked)
    assert wait is not None
    assert asked <= wait <= asked + 1


@pytest.mark.parametrize("asked", [120.1, 86400.0, math.inf])
def test_a_worker_is_not_held_for_a_long_wait(asked: float) -> None:
    policy = RetryPolicy(max_server_wait=120)
    assert policy.wait_before_retry(EspoRateLimitError("x"), repeatable=True, retries=0, asked_to_wait=asked) is None


@pytest.mark.parametrize("max_retries", [0, 1, 4])
def test_after_max_retries_it_gives_up(max_retries: int) -> None:
    policy = RetryPolicy(max_retries=max_retries)

    def again(retries: int) -> Any:
        return policy.wait_before_retry(EspoConnectionError("x"), repeatable=True, retries=retries)

    assert again(max_retries) is None
    if max_retries:
        assert again(max_retries - 1) is not None
