"""Reading datasets and single files, row by row: what was extracted, and what is to be written to the CRM.

Of a dataset that is read by its manifest, each file's size and number of records is compared with it, and its checksum
on demand: half a result is never taken for a whole one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal, cast

from airflow_provider_espo.client.bodies import BLOCK_SIZE
from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.dataset.entries import FileEntry
from airflow_provider_espo.client.dataset.folder import Folder, is_folder, open_to_read, storage_errors
from airflow_provider_espo.client.dataset.formats import FileFormat
from airflow_provider_espo.client.dataset.manifest import TOMBSTONE_COLUMNS, Manifest, check_size
from airflow_provider_espo.client.dataset.names import MANIFEST
from airflow_provider_espo.client.errors import EspoInputError

Row = dict[str, Any]
#: What becomes of an empty cell of a CSV file: it is left out of the row, or is ``None``.
EmptyCells = Literal["omit", "none"]

_TO_MEND = "Restore the file, or have it written again"


class Dataset:
    """Files with rows of one kind. Made by :func:`open_dataset`.

    :param folder: where they are.
    :param manifest: what they hold; ``None`` for files without one.
    :param names: of the files, in order, where there is no manifest.
    """

    def __init__(self, folder: Folder, manifest: Manifest | None, names: Sequence[str] = ()) -> None:
        self.folder = folder
        self.manifest = manifest
        self.names = [file.name for file in manifest.files] if manifest is not None else list(names)

    def rows(self, *, verify: bool = False, empty_cells: EmptyCells = "none") -> Iterator[Row]:
        """Give all rows, file by file.

        Whether all files of the manifest are there in their size is looked at before the first row.

        :param verify: read all files of the manifest once before the first row, to compare their checksums.
        :param empty_cells: of CSV.
        :raises EspoInputError: a file is missing, damaged, or not what the manifest says.
        :raises EspoStorageError: a file cannot be read.
        """
        if self.manifest is not None:
            self.check(contents=verify)
            for file in self.manifest.files:
                yield from self.rows_of_file(file, empty_cells=empty_cells)
            return
        for name in self.names:
            yield from read_file(self.folder / name, FileFormat.of_file(name), empty_cells=empty_cells)

    def deleted(self, *, verify: bool = False) -> Iterator[Row]:
        """Give the tombstones: ``{"id", "deleted": True, "detectedAt"}``."""
        for file in self.manifest.deleted if self.manifest is not None else ():
            yield from self._rows(file, TOMBSTONE_COLUMNS, verify, "none")

    def rows_of_file(self, file: FileEntry, *, verify: bool = False, empty_cells: EmptyCells = "none") -> Iterator[Row]:
        """Give the rows of one of the manifest's files, with the checks of :meth:`rows`.

        :param file: its entry.
        """
        columns = self.manifest.columns if self.manifest is not None else ()
        return self._rows(file, columns, verify, empty_cells)

    def _rows(self, file: FileEntry, columns: Sequence[Column], verify: bool, empty_cells: EmptyCells) -> Iterator[Row]:
        if verify:
            verify_file(self.folder, file)
        else:
            check_size(self.folder, file, self.folder.size(file.name))
        found = 0
        path = self.folder / file.name
        for row in read_file(path, FileFormat.of_file(file.name), columns=columns, empty_cells=empty_cells):
            found += 1
            yield row
        if found != file.records:
            raise EspoInputError(f"{path} holds {found} records, and not {file.records} as stored", hint=_TO_MEND)

    def check(self, *, contents: bool = False) -> None:
        """Compare the files with what the manifest says; without one nothing is to be compared.

        :param contents: read all files and compare their checksums, and not only their sizes.
        :raises EspoInputError: a file is missing or is not what was stored.
        :raises EspoStorageError: one cannot be read.
        """
        if self.manifest is not None:
            self.manifest.check_files(self.folder)
            for file in self.manifest.all_files if contents else ():
                verify_file(self.folder, file)


def open_dataset(folder: Folder | Any) -> Dataset:
    """Open a folder: by its manifest, or else all its files whose names tell a known format.

    :param folder: a :class:`Folder`, or a path that one is made of.
    :raises EspoInputError: there is nothing to read, or the manifest is malformed.
    """
    folder = folder if isinstance(folder, Folder) else Folder(folder)
    names = folder.names()
    if MANIFEST in names:
        return Dataset(folder, Manifest.read(folder))
    known = [name for name in names if not name.startswith(("_", ".")) and FileFormat.of_file(name) is not None]
    if not known:
        raise EspoInputError(
            f"{folder} has no manifest and no file of a known format",
            hint="Names end with .ndjson, .jsonl, .csv or .parquet, the first three with .gz after it if compressed",
        )
    return Dataset(folder, None, known)


def rows_of(
    source: Dataset | Folder | Any,
    format: str | None = None,
    *,
    delimiter: str = ",",
    empty_cells: EmptyCells = "omit",
    verify: bool = True,
) -> Iterator[Row]:
    """Give the rows of a dataset, of a folder of files, or of a single file, without holding more than one.

    :param source: what was opened, or the path of it.
    :param format: of a single file: ``ndjson``, ``csv`` or ``parquet``; by default its name tells.
    :param delimiter: of a single CSV file.
    :param empty_cells: whether an empty cell of CSV is left out of its row or is ``None``.
    :param verify: compare the checksums of a manifest's files before the first row.
    :return: rows; cells of CSV are text, unless a manifest tells of which kind they are.
    :raises EspoInputError: there is no such file, or it is not of the format; with the number of the line or row.
    :raises EspoStorageError: it cannot be read.
    """
    if isinstance(source, Dataset):
        return source.rows(verify=verify, empty_cells=empty_cells)
    folder = source if isinstance(source, Folder) else Folder(source)
    path = folder.path
    if is_folder(path):
        return open_dataset(folder).rows(verify=verify, empty_cells=empty_cells)
    known = FileFormat.of_file(path.name)
    if format is not None:
        gz = path.name.lower().endswith(".gz") and format != "parquet"
        known = FileFormat.of(format, "gzip" if gz else None, to_write=False)
    return read_file(path, known, delimiter=delimiter, empty_cells=empty_cells)


def read_file(
    path: Any,
    file_format: FileFormat | None,
    *,
    columns: Sequence[Column] = (),
    delimiter: str = ",",
    empty_cells: EmptyCells = "none",
) -> Iterator[Row]:
    """Give the rows of one file.

    :param path: of it.
    :param file_format: of it; ``None`` is refused.
    :param columns: what is known of the columns of CSV; cells of others are text.
    :param delimiter: of CSV.
    :param empty_cells: of CSV.
    :raises EspoInputError: it is missing, damaged, or of another format; with the number of the line or row.
    :raises EspoStorageError: it cannot be read.
    """
    if file_format is None:
        with storage_errors("looked at", path):
            there = path.exists()
        if not there:
            raise EspoInputError(f"{path} is not there, neither as a file nor as a folder", hint="Was it moved?")
        raise EspoInputError(
            f"The name {path.name} does not tell the file's format",
            hint="Give file_format: ndjson, csv or parquet",
        )
    with open_to_read(path) as file, _reading(path):
        if file_format.name == "parquet":
            from airflow_provider_espo.client.dataset.parquet import read_parquet

            yield from read_parquet(file, path.name)
            return
        stream = _unpacked(file, file_format)
        if file_format.name == "ndjson":
            from airflow_provider_espo.client.dataset.ndjson import read_ndjson

            yield from read_ndjson(stream, path.name)
            return
        from airflow_provider_espo.client.dataset.csv_rows import as_json, read_csv

        for number, cells in enumerate(read_csv(stream, path.name, delimiter=delimiter), 1):
            texts = {name: cell or None for name, cell in cells.items() if cell or empty_cells == "none"}
            try:
                row = as_json(columns, texts)
            except EspoInputError as error:
                raise EspoInputError(f"{path.name}, row {number}: {error.message}", hint=error.hint) from None
            yield row


def verify_file(folder: Folder, file: FileEntry) -> None:
    """Compare a file's size and checksum with its entry.

    :raises EspoInputError: it is missing or is not what was stored.
    :raises EspoStorageError: it cannot be read.
    """
    check_size(folder, file, folder.size(file.name))
    digest = hashlib.sha256()
    with folder.open(file.name) as stream, storage_errors("read", folder, file.name):
        while block := stream.read(BLOCK_SIZE):
            digest.update(block)
    if digest.hexdigest() != file.sha256:
        raise EspoInputError(
            f"{folder}/{file.name} has another checksum than when it was stored: it was changed or is damaged",
            hint=_TO_MEND,
        )


def _unpacked(file: BinaryIO, file_format: FileFormat) -> BinaryIO:
    if file_format.compression == "gzip":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
    if isinstance(file, io.BufferedIOBase):
        return file
    # Files of object stores look for the end of a line byte by byte.
    return cast("BinaryIO", io.BufferedReader(file, BLOCK_SIZE))


@contextmanager
def _reading(path: Any) -> Iterator[None]:
    with storage_errors("read", path):
        try:
            yield
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise EspoInputError(f"{path} is no gzip file, or is damaged or broken off", hint=_TO_MEND) from None
