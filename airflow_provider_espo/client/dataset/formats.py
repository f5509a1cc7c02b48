"""The formats of part files, and which file is of which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, get_args

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page

FormatName = Literal["ndjson", "csv", "parquet"]
Compression = Literal["gzip"]

#: Suffixes by which files are known that have no manifest.
_SUFFIXES: dict[str, FormatName] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".parquet": "parquet",
}


class Writable(Protocol):
    """Where bytes are written to."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""


class PageWriter(Protocol):
    """Writes the pages of one file at a time, any number of files one after the other."""

    def begin(self, stream: Any) -> None:
        """Begin a file.

        :param stream: binary stream; it stays open.
        """

    def write(self, page: Page) -> None:
        """Write the records of a page."""

    def close(self) -> None:
        """End the file: write what was held back."""

    def discard(self) -> None:
        """Forget the file: nothing more is written to its stream."""


@dataclass(frozen=True)
class FileFormat:
    """How files are written.

    :param name: ``ndjson``, ``csv`` or ``parquet``.
    :param compression: ``gzip`` or ``None``. A Parquet file compresses within: by gzip, or else by Snappy as usual.
    """

    name: FormatName
    compression: Compression | None = None

    @classmethod
    def of(cls, name: object, compression: object = None, *, to_write: bool = True) -> Self:
        """Check what somebody asked for.

        :param name: of the format.
        :param compression: ``gzip``, or ``None`` or ``"none"`` for none.
        :param to_write: look whether what it needs is installed.
        :raises EspoInputError: there is no such format or compression, or what it needs is not installed.
        """
        if name not in get_args(FormatName):
            raise EspoInputError(
                f"There is no file format {_shown(name)}", hint=f"Give one of {', '.join(get_args(FormatName))}"
            )
        if compression not in (None, "none", "gzip"):
            raise EspoInputError(f"There is no compression {_shown(compression)}", hint="Give gzip, or None for none")
        if name == "parquet" and to_write:
            from airflow_provider_espo.client.dataset.parquet import check_installed

            check_installed()
        return cls(name, "gzip" if compression == "gzip" else None)  # type: ignore[arg-type]  # checked above

    @property
    def extension(self) -> str:
        """What the names of such files end with, without the first dot."""
        return f"{self.name}.gz" if self.compression == "gzip" and self.name != "parquet" else self.name

    @classmethod
    def of_file(cls, name: str) -> Self | None:
        """Tell a file's format by its name; ``None`` if it does not tell."""
        stem, compression = (name[:-3], "gzip") if name.lower().endswith(".gz") else (name, None)
        dot = stem.rfind(".")
        known = _SUFFIXES.get(stem[dot:].lower()) if dot > 0 else None
        if known is None or (known == "parquet" and compression):
            return None
        return cls(known, compression)  # type: ignore[arg-type]  # gzip or None


def writer_for(file_format: FileFormat, columns: Sequence[Column]) -> PageWriter:
    """Return a writer of files.

    :param file_format: format and compression.
    :param columns: attributes of the records, in order. NDJSON does not need them: it takes records as they came.
    """
    if file_format.name == "parquet":
        from airflow_provider_espo.client.dataset.parquet import ParquetWriter

        return ParquetWriter(columns, file_format.compression)
    if file_format.name == "csv":
        from airflow_provider_espo.client.dataset.csv_rows import CsvWriter

        return CsvWriter(columns, file_format.compression)
    from airflow_provider_espo.client.dataset.ndjson import NdjsonWriter

    return NdjsonWriter(file_format.compression)


def _shown(value: object) -> str:
    return value[:40] if isinstance(value, str) else f"of type {type(value).__name__}"
