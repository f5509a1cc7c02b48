"""Newline-delimited JSON: a record a line, as it came from the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from airflow_provider_espo.client.dataset.formats import Compression, GzipStream, Writable, compressed
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page

#: Bytes of a line at most: what is longer is no record, and would fill the memory.
_LONGEST_LINE = 64 * 1024 * 1024


class NdjsonWriter:
    """Writes records without taking them apart.

    :param compression: ``gzip`` or ``None``.
    """

    def __init__(self, compression: Compression | None = None) -> None:
        self._compression = compression
        self._out: GzipStream | Writable | None = None

    def begin(self, stream: Writable) -> None:
        """Begin a file."""
        self._out = compressed(stream, self._compression)

    def write(self, page: Page) -> None:
        """Write the records of a page."""
        if self._out is None:
            raise ValueError("no file was begun")
        if len(page):
            self._out.write(page.lines())

    def close(self) -> None:
        """End the file."""
        out, self._out = self._out, None
        if isinstance(out, GzipStream):
            out.close()

    def discard(self) -> None:
        """Forget the file."""
        self._out = None


def read_ndjson(stream: BinaryIO, name: str) -> Iterator[dict[str, Any]]:
    """Give the records of a file; empty lines are left out.

    :param stream: not compressed, with lines.
    :param name: the file's, for errors.
    :raises EspoInputError: a line is no JSON object; with its number.
    """
    decoder = msgspec.json.Decoder(dict[str, Any])
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise EspoInputError(f"{name} is no NDJSON: line {number} has no end")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            yield decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # The decoder's own words may hold a value.
            raise EspoInputError(f"{name} is no NDJSON: line {number} is no JSON object in UTF-8") from None
