"""Rows in chunks, with a checksum that tells a later try whether it is given the same rows again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from airflow_provider_espo.client.errors import EspoInputError

#: Rows in a chunk at most: a chunk is held in memory, and done again after a death.
MOST_ROWS = 10_000

_ENCODER = msgspec.json.Encoder(order="sorted", enc_hook=str)


@dataclass(frozen=True)
class Chunk:
    """Some rows that are written before the next ones are read.

    :param number: place among the chunks, from 0.
    :param first: place of its first row among all rows, from 0.
    :param rows: the rows as they were given.
    :param sha256: checksum of all rows from the first one to the last of this chunk.
    """

    number: int
    first: int
    rows: list[Any]
    sha256: str

    @property
    def end(self) -> int:
        """Place after its last row."""
        return self.first + len(self.rows)


def check_chunk_size(size: object) -> int:
    """Return a chunk's size, or refuse what is none."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_ROWS:
        raise EspoInputError(f"chunk_size is not a whole number from 1 to {MOST_ROWS}")
    return size


def chunks_of(rows: Iterable[Any], size: int) -> Iterator[Chunk]:
    """Cut rows into chunks. No more than one is held.

    :param rows: the rows.
    :param size: rows in each but the last.
    """
    source = iter(rows)
    number = first = 0
    sha256 = ""
    while taken := list(islice(source, size)):
        digest = hashlib.sha256(sha256.encode())
        for row in taken:
            digest.update(encoded(row))
            digest.update(b"\n")
        sha256 = digest.hexdigest()
        yield Chunk(number, first, taken, sha256)
        number, first = number + 1, first + len(taken)


def encoded(row: object) -> bytes:
    """Return a row as JSON, always the same for the same row; what JSON does not have as text."""
    try:
        return _ENCODER.encode(row)
    except (msgspec.MsgspecError, TypeError, ValueError, UnicodeError, RecursionError):
        # Nothing that could be sent, but it is still the same row or another one.
        return _ENCODER.encode(repr(row).encode("utf-8", "replace").decode())
