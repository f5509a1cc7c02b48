"""A triggerer in small: runs event triggers as Airflow's does, over its own shared streams where it has them, in time
of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import pytest
from airflow.sdk import Variable
from airflow.triggers.base import BaseEventTrigger

from tests.unit.sandbox_crm import stored

shared_stream: Any
try:
    from airflow.triggers import shared_stream
except ImportError:
    shared_stream = None

#: The method by which Airflow offers acknowledged shared streams; it has state stores of assets since the same version.
_OFFER = "create_shared_stream_producer"

_ALONE = pytest.param(False, id="alone")
_SHARED = pytest.param(
    True,
    id="shared",
    marks=pytest.mark.skipif(
        shared_stream is None, reason="Airflow has shared streams and asset state stores since 3.3"
    ),
)
#: What the triggers of a test run on, with shared streams or without.
WAYS = [_SHARED, _ALONE]
#: Marks tests of what only an Airflow with shared streams and state stores has, or only one without.
shared_only = pytest.mark.parametrize("airflow", [_SHARED], indirect=True)
alone_only = pytest.mark.parametrize("airflow", [_ALONE], indirect=True)

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Does not wait for time to pass: it passes at once when nothing else is to be done, on no thread either."""

    passed = 0.0
    threads = 0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0.01 if self.threads else 0 if timeout else timeout)
        if not ready and timeout and not self.threads:
            self.passed += timeout
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on by itself."""

    def __init__(self) -> None:
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self) -> float:
        return self._passing.passed

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._passing.threads += 1
        future.add_done_callback(self._thread_is_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as it is there
        # Python 3.12 and later wait for it on a thread of their own, for a time that would pass at once.
        self._passing.threads += 1
        await super().shutdown_default_executor()

    def _thread_is_done(self, _future: Any) -> None:
        self._passing.threads -= 1


def in_its_own_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of that kind."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)


class Airflow:
    """What an Airflow offers to event triggers, and its variables.

    :param monkeypatch: takes back what is changed here.
    :param shares: whether it has shared streams and state stores.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, shares: bool) -> None:
        self.shares = shares
        self.variables: dict[str, str] = {}
        if not shares:
            monkeypatch.delattr(BaseEventTrigger, _OFFER, raising=False)
        monkeypatch.setattr(Variable, "get", lambda key, default=None: self.variables.get(key, default))
        monkeypatch.setattr(Variable, "set", self.variables.__setitem__)


class Store:
    """State stores of assets, as the API server keeps them: they outlive triggerers."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}
        self.before_set: Callable[[], None] = lambda: None
        #: Assets that are not there.
        self.failing: set[str] = set()

    def _before_set(self, asset: str) -> None:
        if asset in self.failing:
            raise RuntimeError("there is no such asset")
        self.before_set()

    def accessors(self, *assets: str) -> Any:
        class Accessor:
            def __init__(self, values: dict[str, Any], before_set: Callable[[], None]) -> None:
                self._values, self._before_set = values, before_set

            async def aget(self, key: str, default: Any = None) -> Any:
                return self._values.get(key, default)

            async def aset(self, key: str, value: Any) -> None:
                self._before_set()
                self._values[key] = stored(value)

        class Accessors:
            _by_name = {
                name: Accessor(self.values.setdefault(name, {}), partial(self._before_set, name)) for name in assets
            }
            _by_uri: dict[str, Any] = {}

            async def aget(self, key: str, default: Any = None) -> Any:
                if len(self._by_name) != 1:
                    raise ValueError("Task has several concrete inlets and outlets")
                return await next(iter(self._by_name.values())).aget(key, default)

        return Accessors()


class Triggerer:
    """Runs triggers, takes their events, and has them persisted when a test says so.

    :param store: where the triggers' places are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        #: Seconds that Airflow's clock is ahead of the loop's.
        self.late = 0.0
        self.shares = hasattr(BaseEventTrigger, _OFFER)
        if self.shares:
            self.streams = shared_stream.SharedStreamManager(_now=lambda: asyncio.get_running_loop().time() + self.late)
        self.database: list[tuple[int, Any]] = []
        self.failed: list[tuple[int, BaseException]] = []
        self._events: list[tuple[int, Any, int | None]] = []
        self._ids = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, trigger: Any, *assets: str) -> int:
        """Run a trigger of assets, made anew of what Airflow stored."""
        number = next(self._ids)
        _, arguments = trigger.serialize()
        trigger = type(trigger)(**stored(arguments))
        if self.shares:
            trigger.asset_state_store = self.store.accessors(*assets) if assets else None
        self._tasks.append(asyncio.create_task(self._run(number, trigger)))
        return number

    async def _run(self, number: int, trigger: Any) -> None:
        key = trigger.shared_stream_key()
        try:
            if key is None:
                stream = trigger.run()
            else:
                stream = trigger.filter_shared_stream(
                    self.streams.subscribe(trigger_id=number, trigger=trigger, key=key)
                )
            async for event in stream:
                seq = None if key is None else self.streams.bind_pending_event(trigger_id=number, key=key)
                self._events.append((number, stored(event.payload), seq))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.failed.append((number, error))
        finally:
            if key is not None:
                await self.streams.unsubscribe(number, key)

    def persist(self, only: int | None = None) -> None:
        """Put events into the database, all or a number of them, and tell the streams so."""
        taken, self._events = self._events[:only], self._events[len(self._events) if only is None else only :]
        self.database += [(number, payload) for number, payload, _ in taken]
        if self.shares:
            self.streams.confirm_persisted([seq for *_, seq in taken if seq is not None])

    def persist_of(self, number: int) -> None:
        """Put the events of one trigger into the database; those of the others wait."""
        others = [event for event in self._events if event[0] != number]
        self._events = [event for event in self._events if event[0] == number]
        self.persist()
        self._events = others

    async def time_out(self) -> None:
        """Have so much time pass on Airflow's clock that it waits no longer for what was not persisted."""
        self.late = shared_stream.DEFAULT_ACK_TIMEOUT
        self._events.clear()
        await asyncio.sleep(shared_stream.DEFAULT_ACK_TIMEOUT / 5)
        self.late = 0.0

    async def live(self, seconds: float, *, persisting: bool = True) -> None:
        """Go on for some time, a sync of the supervisor every second."""
        for _ in range(int(seconds)):
            await asyncio.sleep(1)
            if persisting:
                self.persist()

    async def kill(self) -> None:
        """End without a word: what was not persisted is gone."""
        self._events.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.shares:
            await self.streams.stop_all()

    def ids(self, number: int | None = None) -> list[str]:
        """Ids in all events in the database, of one trigger or of all."""
        return [one for of, payload in self.database if number in (None, of) for one in payload["ids"]]


async def told_by_the_next(store: Store, trigger: Any, *assets: str, seconds: float = 10) -> list[str]:
    """Run a trigger in a triggerer that comes after others, for a time, and return the ids that it told.

    :param store: where the others left their places.
    """
    triggerer = Triggerer(store)
    triggerer.start(trigger, *assets)
    await triggerer.live(seconds)
    await triggerer.kill()
    return triggerer.ids()
