"""Files of text, compressed or not: what NDJSON and CSV have in common."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod

from airflow_provider_espo.client.dataset.formats import Compression, Writable
from airflow_provider_espo.client.extraction import Page


class GzipStream:
    """Compresses what is written to it. The same content gives the same bytes: no time and no name go in.

    :param stream: where the compressed bytes go; it stays open.
    """

    def __init__(self, stream: Writable) -> None:
        self._stream = stream
        # Not gzip.GzipFile: one that was broken off writes its end when it is collected.
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, wbits=31)

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""
        return self._stream.write(self._deflate.compress(data))

    def close(self) -> None:
        """Write what was held back, and the checksum."""
        self._stream.write(self._deflate.flush())


class TextWriter(ABC):
    """Writes pages as lines, any number of files one after the other.

    :param compression: ``gzip`` or ``None``.
    """

    def __init__(self, compression: Compression | None = None) -> None:
        self._compression = compression
        self._out: GzipStream | Writable | None = None

    @abstractmethod
    def lines_of(self, page: Page) -> bytes:
        """Return the lines of a page.

        :param page: records in order; there may be none.
        """

    def header(self) -> bytes:
        """Return what a file begins with."""
        return b""

    def begin(self, stream: Writable) -> None:
        """Begin a file.

        :param stream: where its bytes go; it stays open.
        """
        self._out = GzipStream(stream) if self._compression == "gzip" else stream
        self._put(self.header())

    def write(self, page: Page) -> None:
        """Write the records of a page."""
        self._put(self.lines_of(page))

    def close(self) -> None:
        """End the file."""
        out, self._out = self._out, None
        if isinstance(out, GzipStream):
            out.close()

    def discard(self) -> None:
        """Forget the file."""
        self._out = None

    def _put(self, data: bytes) -> None:
        if self._out is None:
            raise ValueError("no file was begun")
        if data:
            self._out.write(data)
