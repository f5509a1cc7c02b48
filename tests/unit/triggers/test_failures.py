"""Failures in a row: pauses grow, every tenth is raised, and a new trigger with the same key goes on counting."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

import pytest

from airflow_provider_espo.client.errors import EspoAuthenticationError, EspoConnectionError, EspoError, EspoServerError
from airflow_provider_espo.triggers import failures
from airflow_provider_espo.triggers.failures import MAX_FAILURES, Failures
from tests.unit.triggers.triggerer import in_its_own_time


@pytest.fixture(autouse=True)
def none_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_rows", {})


def test_pauses_grow_up_to_five_minutes() -> None:
    async def scene() -> None:
        pauses = [Failures("a").failed("It", EspoError("no"), bearable=True) for _ in range(20)]
        assert 1.9 <= pauses[0] <= 2.1
        assert 250 <= pauses[-1] <= 315
        assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses[:7]))

    in_its_own_time(scene())


def test_every_tenth_is_raised_and_whoever_comes_next_waits_as_long_as_the_last_would_have() -> None:
    async def scene() -> None:
        raised = []
        for number in range(1, 3 * MAX_FAILURES + 1):
            try:
                Failures("a").failed("It", EspoError("no"))
            except EspoError:
                raised.append(number)
        assert raised == [MAX_FAILURES, 2 * MAX_FAILURES, 3 * MAX_FAILURES]
        assert Failures("a").pause_left() > 250

    in_its_own_time(scene())


def test_keys_are_counted_apart_and_a_success_forgets_its_own_only() -> None:
    async def scene() -> None:
        Failures("a").failed("It", EspoError("no"))
        Failures("b").failed("It", EspoError("no"))
        Failures("b").succeeded()
        Failures("never failed").succeeded()
        assert Failures("a").pause_left() > 0
        assert Failures("b").pause_left() == 0
        Failures("a").succeeded()
        assert not failures._rows, "what does not fail leaves nothing behind"

    in_its_own_time(scene())


def test_the_time_left_passes() -> None:
    async def scene() -> None:
        pause = Failures("a").failed("It", EspoError("no"))
        await asyncio.sleep(1)
        assert Failures("a").pause_left() == pytest.approx(pause - 1)
        await asyncio.sleep(5)
        assert Failures("a").pause_left() == 0

    in_its_own_time(scene())


@pytest.mark.parametrize(
    ("error", "level", "with_trace"),
    [
        (EspoConnectionError("refused"), logging.WARNING, False),
        (EspoServerError("busy", status=503), logging.WARNING, False),
        (EspoAuthenticationError("wrong key", status=401), logging.ERROR, False),
        (KeyError("surprise"), logging.ERROR, True),
    ],
)
def test_what_passes_by_itself_is_a_warning_and_what_needs_somebody_an_error(
    caplog: pytest.LogCaptureFixture, error: Exception, level: int, with_trace: bool
) -> None:
    async def scene() -> None:
        Failures("a").failed("The poll", error)
        await asyncio.sleep(90)
        Failures("a").failed("The poll", error)

    in_its_own_time(scene())
    first, second = caplog.records
    assert first.levelno == second.levelno == level
    assert "The poll failed 2 times in a row, for 90 s: " in second.getMessage()
    assert bool(first.exc_info) is with_trace
    assert not second.exc_info
