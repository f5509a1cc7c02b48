"""What both transports need to carry out many operations side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from airflow_provider_espo.client.errors import EspoInputError

T = TypeVar("T")


def check_workers(max_workers: int | None, default: int) -> int:
    """Return how many may run at a time.

    :raises EspoInputError: none could.
    """
    workers = default if max_workers is None else max_workers
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise EspoInputError("max_workers must be a whole number from 1 up")
    return workers


class Source(Generic[T]):
    """An input that is taken from bit by bit.

    If it fails, what was taken before is still carried out and yielded: those results must not be lost with it.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items: Iterator[T] = iter(items)
        self._failure: Exception | None = None

    def take(self, number: int) -> list[T]:
        """Take some more, fewer at the end."""
        taken: list[T] = []
        if self._failure is None:
            try:
                taken.extend(islice(self._items, max(0, number)))
            except Exception as error:
                self._failure = error
        return taken

    def end(self) -> None:
        """Raise what stopped the input, when all results are out."""
        if self._failure is not None:
            raise self._failure
