"""The manifest of a dataset: what it holds, file by file. It is written last and at once.

Whoever reads a dataset by its manifest sees the whole result of one run: the files of the next run have other names,
and those of the last are there until the next manifest is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.dataset.entries import FileEntry
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.formats import FileFormat
from airflow_provider_espo.client.dataset.names import MANIFEST
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Part

VERSION = 1

#: What a tombstone says: which record is gone, and when that was found.
TOMBSTONE_COLUMNS = (
    Column("id", "id", nullable=False),
    Column("deleted", "bool", nullable=False),
    Column("detectedAt", "datetime", nullable=False),
)

_TO_MEND = "Restore the file, or extract anew with overwrite=True"


class BrokenManifestError(EspoInputError):
    """A manifest of ours that cannot be read any more, so that nobody knows which files were the dataset's."""


@dataclass(frozen=True, kw_only=True)
class PartEntry:
    """A part of an extraction and what came of it.

    :param part: range of ids.
    :param records: how many were stored.
    """

    part: Part
    records: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {**self.part.as_dict(), "records": self.records}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` returned.

        :raises EspoInputError: it is something else.
        """
        records = given.get("records")
        if not isinstance(records, int) or isinstance(records, bool) or records < 0:
            raise EspoInputError("The entry of a part in a manifest is malformed")
        return cls(part=Part.from_dict(given), records=records)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a dataset holds. It tells nothing of the server and of the time: equal data give equal manifests.

    :param entity_type: such as ``Lead``.
    :param file_format: format and compression of the files.
    :param columns: of the records, in order.
    :param json_schema: JSON Schema of a record.
    :param fingerprint: checksum of the question that the records answer.
    :param run: tag of the run that wrote it.
    :param files: with the records, in order.
    :param parts: that the extraction was cut into.
    :param deleted: files with tombstones.
    :param sidecars: files that the next run needs, by purpose.
    :param window: what part of the time or of the numbers the records are from; empty for all.
    :param watermark: up to where the data are complete; ``None`` where nothing is incremental.
    """

    entity_type: str
    file_format: FileFormat
    columns: tuple[Column, ...]
    fingerprint: str
    run: str
    json_schema: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[FileEntry, ...] = ()
    parts: tuple[PartEntry, ...] = ()
    deleted: tuple[FileEntry, ...] = ()
    sidecars: Mapping[str, tuple[FileEntry, ...]] = field(default_factory=dict)
    window: Mapping[str, Any] = field(default_factory=dict)
    watermark: str | int | None = None

    @property
    def records(self) -> int:
        """How many records the dataset holds; tombstones are not counted."""
        return sum(file.records for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of the records' files, as they are stored."""
        return sum(file.bytes for file in self.files)

    @property
    def all_files(self) -> list[FileEntry]:
        """Every file that belongs to the dataset."""
        return [*self.files, *self.deleted, *(file for files in self.sidecars.values() for file in files)]

    @property
    def names(self) -> set[str]:
        """Names of all files that belong to the dataset, its own among them."""
        return {MANIFEST, *(file.name for file in self.all_files)}

    def check_files(self, folder: Folder) -> None:
        """Look whether all files are there in their size; contents are not read.

        :param folder: of the dataset.
        :raises EspoInputError: one is missing, or has another size.
        """
        sizes = folder.sizes()
        for file in self.all_files:
            check_size(folder, file, sizes.get(file.name))

    def write(self, folder: Folder) -> None:
        """Make this what the folder's dataset is.

        :raises EspoInputError: one of its files is not there: what wrote them was cleaned up after meanwhile.
        :raises EspoStorageError: it cannot be written; the dataset that was there before stays.
        """
        self.check_files(folder)
        folder.write_bytes(MANIFEST, self.to_json())

    @classmethod
    def read(cls, folder: Folder) -> Self | None:
        """Return the manifest of a folder; ``None`` if it has none.

        :raises BrokenManifestError: it is malformed.
        :raises EspoInputError: it is somebody else's, or from a newer version.
        """
        if not folder.exists(MANIFEST):
            return None
        return cls.from_json(folder.read_bytes(MANIFEST), where=f"{folder}/{MANIFEST}")

    def to_json(self) -> bytes:
        """Return it as it is stored."""
        content = {
            "version": VERSION,
            "complete": True,
            "entity_type": self.entity_type,
            "format": self.file_format.name,
            "compression": self.file_format.compression,
            "records": self.records,
            "bytes": self.size,
            "run": self.run,
            "fingerprint": self.fingerprint,
            "window": dict(self.window),
            "watermark": self.watermark,
            "columns": [column.to_dict() for column in self.columns],
            "json_schema": dict(self.json_schema),
            "parts": [part.as_dict() for part in self.parts],
            "files": _dicts(self.files),
            "deleted": _dicts(self.deleted),
            "sidecars": {purpose: _dicts(files) for purpose, files in self.sidecars.items()},
        }
        return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str = MANIFEST) -> Self:
        """Read what :meth:`to_json` returned.

        :param data: the file's content.
        :param where: the file, for errors.
        :raises BrokenManifestError: it is malformed.
        :raises EspoInputError: it is somebody else's, or from a newer version.
        """
        try:
            content = json.loads(data)
        except ValueError:
            raise BrokenManifestError(f"{where} is no JSON", hint=_TO_MEND) from None
        if not isinstance(content, dict) or not isinstance(content.get("version"), int):
            raise EspoInputError(f"{where} is not one of this provider", hint="Give another folder")
        if content["version"] > VERSION:
            raise EspoInputError(f"{where} is from a newer version of the provider", hint="Install that one")
        try:
            found = cls._from_dict(content)
        except (KeyError, TypeError, AttributeError):
            raise BrokenManifestError(f"{where} is malformed", hint=_TO_MEND) from None
        except EspoInputError as error:
            raise BrokenManifestError(f"{where}: {error.message}", hint=_TO_MEND) from None
        if content.get("complete") is not True or content.get("records") != found.records:
            raise BrokenManifestError(f"{where} contradicts itself", hint=_TO_MEND)
        return found

    @classmethod
    def _from_dict(cls, content: Mapping[str, Any]) -> Self:
        return cls(
            entity_type=str(content["entity_type"]),
            file_format=FileFormat.of(content["format"], content["compression"], to_write=False),
            columns=tuple(Column.from_dict(column) for column in content["columns"]),
            json_schema=dict(content["json_schema"]),
            fingerprint=str(content["fingerprint"]),
            run=str(content["run"]),
            files=_entries(content["files"]),
            parts=tuple(PartEntry.from_dict(part) for part in content["parts"]),
            deleted=_entries(content["deleted"]),
            sidecars={str(purpose): _entries(files) for purpose, files in content["sidecars"].items()},
            window=dict(content["window"]),
            watermark=content["watermark"],
        )


def check_size(folder: Folder, file: FileEntry, size: int | None) -> None:
    """Compare a file's size with what its entry says.

    :param folder: the dataset's, for the error.
    :param file: the entry.
    :param size: in bytes; ``None`` if there is no such file.
    :raises EspoInputError: it is another one, or there is no such file.
    """
    if size is None:
        raise EspoInputError(f"{folder}/{file.name} is not there, and the manifest names it", hint=_TO_MEND)
    if size != file.bytes:
        raise EspoInputError(f"{folder}/{file.name} has {size} bytes, and not {file.bytes} as stored", hint=_TO_MEND)


def _dicts(files: Sequence[FileEntry]) -> list[dict[str, Any]]:
    return [file.as_dict() for file in files]


def _entries(given: Sequence[Mapping[str, Any]]) -> tuple[FileEntry, ...]:
    return tuple(FileEntry.from_dict(file) for file in given)
