"""Bodies that are files: sent and received in blocks, so that none is ever held whole.

A transport reads from a :class:`Body` and writes to a :class:`Sink`. What goes wrong there is the file's failure and
not the server's: it is not tried again and reaches the caller as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, NoReturn, Protocol, TypeVar

T = TypeVar("T")

#: Bytes read or written at a time.
BLOCK_SIZE = 256 * 1024


class Body(Protocol):
    """What a request sends, where it is no JSON."""

    @property
    def size(self) -> int:
        """Bytes that will come."""

    @property
    def content_type(self) -> str:
        """Media type."""

    def blocks(self) -> Iterator[bytes]:
        """Give it from its beginning: once for each time the request is sent."""


class Sink(Protocol):
    """Where the file goes that a request asks for."""

    def begin(self) -> None:
        """Forget what has come so far: the file comes from its beginning, maybe not for the first time."""

    def write(self, block: bytes) -> None:
        """Take the next bytes."""


@dataclass(frozen=True)
class Work(Generic[T]):
    """Something that may wait for a disk or an object store: yielded by an operation and sent back as its result.

    An event loop's transport does it on a thread.

    :param do: the work; what it raises ends the operation.
    """

    do: Callable[[], T]


class LocalFailure(Exception):
    """Carries an error of a body or sink past the HTTP libraries and our own handling of theirs.

    :param error: what was raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error

    def reraise(self) -> NoReturn:
        """Raise what was raised."""
        raise self.error from None


class Outgoing:
    """A body as the HTTP libraries want one: sized, so that its length is announced, and iterable.

    :param body: the body.
    """

    def __init__(self, body: Body) -> None:
        self._body = body

    def __len__(self) -> int:
        return self._body.size

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body.blocks()
        except Exception as error:
            raise LocalFailure(error) from error


class Incoming:
    """A sink whose errors pass for what they are.

    :param sink: the sink.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def begin(self) -> None:
        """Forget what has come so far."""
        self._try(self._sink.begin)

    def write(self, block: bytes) -> None:
        """Take the next bytes."""
        self._try(lambda: self._sink.write(block))

    @staticmethod
    def _try(do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:
            raise LocalFailure(error) from error


def is_file(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer is a file that EspoCRM gives, and not an error or somebody's web page.

    :param status: HTTP status.
    :param headers: headers by lower-case name.
    """
    return status == 200 and "content-disposition" in headers
