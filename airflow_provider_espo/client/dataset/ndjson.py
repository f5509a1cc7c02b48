"""Newline-delimited JSON: a record a line, as it came from the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from airflow_provider_espo.client.dataset.text_files import TextWriter
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page

#: Bytes of a line at most: what is longer is no record, and would fill the memory.
_LONGEST_LINE = 64 * 1024 * 1024


class NdjsonWriter(TextWriter):
    """Writes records without taking them apart.

    :param compression: ``gzip`` or ``None``.
    """

    def lines_of(self, page: Page) -> bytes:
        """Return the records as they came."""
        return page.lines() if len(page) else b""


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
