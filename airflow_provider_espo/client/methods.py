"""The methods of clients and hooks: the two lists of names under which operations can be called.

What a method does, takes and returns stands in ``operations/``, once. Here each operation is made a blocking and an
asynchronous method. A test holds the two lists equal.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.client.operations import bulk, listing, records, relations, system, upsert
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Stream

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Protocol):
    """What a blocking method needs of the object it stands on."""

    @property
    def state(self) -> ClientState:
        """What operations work with."""

    def run(self, operation: Operation[T]) -> T:
        """Carry out an operation."""

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out a stream."""

    def run_many(self, operations: Iterable[Operation[T]], max_workers: int | None = None) -> Iterator[T | EspoError]:
        """Carry out operations side by side; results in the order given."""


class Awaiting(Protocol):
    """What an asynchronous method needs of the object it stands on."""

    async def ready(self) -> ClientState:
        """Return what operations work with."""

    async def run(self, operation: Operation[T]) -> T:
        """Carry out an operation."""

    def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out a stream."""

    def run_many(
        self, operations: Iterable[Operation[T]], max_workers: int | None = None
    ) -> AsyncIterator[T | EspoError]:
        """Carry out operations side by side; results in the order given."""


M = TypeVar("M", bound=Callable[..., Any])


def _named_as(operation: Callable[..., Any], method: M) -> M:
    """Give a method the operation's name, text and arguments, for ``help()`` and editors."""
    functools.update_wrapper(method, operation)
    del method.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(operation)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    _state, *arguments = signature.parameters.values()
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[itself, *arguments], return_annotation=inspect.Signature.empty
    )
    return method


def blocking(operation: Callable[Concatenate[ClientState, P], Operation[T]]) -> Callable[Concatenate[Blocking, P], T]:
    """Make an operation a method that waits for the result."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(operation(self.state, *args, **kwargs))

    return _named_as(operation, method)


def blocking_stream(
    stream: Callable[Concatenate[ClientState, P], Stream[T]],
) -> Callable[Concatenate[Blocking, P], Iterator[T]]:
    """Make a stream a method that yields as things arrive."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.iterate(stream(self.state, *args, **kwargs))

    return _named_as(stream, method)


def blocking_many(
    plan: Callable[Concatenate[ClientState, P], bulk.Plan],
) -> Callable[Concatenate[Blocking, P], list[bulk.Outcome]]:
    """Make a plan of many operations a method that carries them out side by side."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> list[bulk.Outcome]:
        todo = plan(self.state, *args, **kwargs)
        for done in self.run_many(todo.operations(self.run(todo.prepare()))):
            todo.add(done)
        return todo.outcomes()

    return _named_as(plan, method)


def awaiting(
    operation: Callable[Concatenate[ClientState, P], Operation[T]],
) -> Callable[Concatenate[Awaiting, P], Awaitable[T]]:
    """Make an operation a coroutine method."""

    async def method(self: Awaiting, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(operation(await self.ready(), *args, **kwargs))

    return _named_as(operation, method)


def awaiting_stream(
    stream: Callable[Concatenate[ClientState, P], Stream[T]],
) -> Callable[Concatenate[Awaiting, P], AsyncIterator[T]]:
    """Make a stream an asynchronous generator method."""

    async def method(self: Awaiting, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        async for item in self.iterate(stream(await self.ready(), *args, **kwargs)):
            yield item

    return _named_as(stream, method)


def awaiting_many(
    plan: Callable[Concatenate[ClientState, P], bulk.Plan],
) -> Callable[Concatenate[Awaiting, P], Awaitable[list[bulk.Outcome]]]:
    """Make a plan of many operations a coroutine method that carries them out side by side."""

    async def method(self: Awaiting, /, *args: P.args, **kwargs: P.kwargs) -> list[bulk.Outcome]:
        todo = plan(await self.ready(), *args, **kwargs)
        async for done in self.run_many(todo.operations(await self.run(todo.prepare()))):
            todo.add(done)
        return todo.outcomes()

    return _named_as(plan, method)


class BlockingMethods:
    """All operations as blocking methods."""

    request = blocking(system.request)
    whoami = blocking(system.whoami)
    server_version = blocking(system.server_version)
    metadata = blocking(system.metadata)
    settings = blocking(system.settings)
    get_record = blocking(records.get_record)
    create_record = blocking(records.create_record)
    update_record = blocking(records.update_record)
    delete_record = blocking(records.delete_record)
    upsert_record = blocking(upsert.upsert_record)
    list_records = blocking(listing.list_records)
    iter_records = blocking_stream(listing.iter_records)
    count_records = blocking(listing.count_records)
    list_related = blocking(listing.list_related)
    link = blocking(relations.link)
    unlink = blocking(relations.unlink)
    write_many = blocking_many(bulk.write_many)


class AsyncMethods:
    """All operations as coroutine methods."""

    request = awaiting(system.request)
    whoami = awaiting(system.whoami)
    server_version = awaiting(system.server_version)
    metadata = awaiting(system.metadata)
    settings = awaiting(system.settings)
    get_record = awaiting(records.get_record)
    create_record = awaiting(records.create_record)
    update_record = awaiting(records.update_record)
    delete_record = awaiting(records.delete_record)
    upsert_record = awaiting(upsert.upsert_record)
    list_records = awaiting(listing.list_records)
    iter_records = awaiting_stream(listing.iter_records)
    count_records = awaiting(listing.count_records)
    list_related = awaiting(listing.list_related)
    link = awaiting(relations.link)
    unlink = awaiting(relations.unlink)
    write_many = awaiting_many(bulk.write_many)
