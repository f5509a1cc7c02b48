"""The waker of a feed: who asked is woken when the time has come, once, and nothing piles up."""

from __future__ import annotations

import asyncio
import gc

import pytest

from airflow_provider_espo.triggers import waker
from airflow_provider_espo.triggers.waker import Waker, waker_of
from tests.unit.triggers.triggerer import in_its_own_time


def now() -> float:
    return asyncio.get_running_loop().time()


def test_whoever_asked_is_due_when_the_time_has_come_and_only_once() -> None:
    async def scene() -> None:
        bell = Waker()
        bell.ask("early", after=2)
        bell.ask("late", after=5)
        await bell.wait(now() + 60)
        assert now() == 2
        assert bell.take_due() == {"early"}
        await bell.wait(now() + 60)
        assert now() == 5
        assert bell.take_due() == {"late"}
        await bell.wait(now() + 60)
        assert now() == 65
        assert bell.take_due() == frozenset()

    in_its_own_time(scene())


def test_a_wish_ends_a_wait_that_has_begun() -> None:
    async def scene() -> None:
        bell = Waker()
        waiting = asyncio.create_task(bell.wait(100))
        await asyncio.sleep(3)
        bell.ask("one", after=4)
        await waiting
        assert now() == 7
        assert bell.take_due() == {"one"}

    in_its_own_time(scene())


def test_of_several_wishes_the_earliest_counts() -> None:
    async def scene() -> None:
        bell = Waker()
        for after in (30, 1, 300):
            bell.ask("one", after=after)
        await bell.wait(100)
        assert now() == 1
        assert bell.take_due() == {"one"}
        await bell.wait(100)
        assert now() == 100

    in_its_own_time(scene())


def test_who_is_forgotten_wakes_nobody() -> None:
    async def scene() -> None:
        bell = Waker()
        bell.ask("gone", after=1)
        bell.forget("gone")
        bell.forget("never there")
        await bell.wait(10)
        assert now() == 10

    in_its_own_time(scene())


def test_a_feed_has_one_waker_and_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waker, "_wakers", type(waker._wakers)())
    one, other = waker_of("leads"), waker_of("posts")
    assert waker_of("leads") is one
    assert one is not other
    del one, other
    gc.collect()
    assert not waker._wakers
