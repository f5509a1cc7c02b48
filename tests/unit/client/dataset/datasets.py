"""Pages and datasets to test with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.dataset.entries import FileEntry
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.formats import FileFormat, writer_for
from airflow_provider_espo.client.dataset.manifest import Manifest
from airflow_provider_espo.client.dataset.names import FileNames
from airflow_provider_espo.client.dataset.part_files import PartFiles
from airflow_provider_espo.client.extraction import Page, Part

NAMES = FileNames("Lead", "0123456789ab")
COLUMNS = (
    Column("id", "id", nullable=False),
    Column("name", "string"),
    Column("amount", "float"),
    Column("active", "bool"),
    Column("tags", "list", items="string"),
)
NDJSON = FileFormat("ndjson")
FORMATS = [
    NDJSON,
    FileFormat("ndjson", "gzip"),
    FileFormat("csv"),
    FileFormat("csv", "gzip"),
    FileFormat("parquet"),
    FileFormat("parquet", "gzip"),
]


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{number:017d}",
            "name": f'Mårten\n"{number}", Ltd',
            "amount": number / 4,
            "active": bool(number % 2),
            "tags": ["a", "b,c"] if number % 3 else None,
        }
        for number in range(first, first + count)
    ]


def page_of(records: Sequence[dict[str, Any]]) -> Page:
    """A page as it comes from the server."""
    return Page([json.dumps(record).encode() for record in records], [{"id": it["id"]} for it in records])


def pages_of(records: Sequence[dict[str, Any]], size: int) -> Iterator[Page]:
    for start in range(0, len(records), size):
        yield page_of(records[start : start + size])


def files_in(
    folder: Folder, file_format: FileFormat = NDJSON, *, part: Part | None = None, **options: Any
) -> PartFiles:
    part = part or Part()
    return PartFiles(
        folder,
        writer_for(file_format, COLUMNS),
        lambda number: NAMES.data(part.number, number, file_format.extension),
        part,
        **options,
    )


def store(
    folder: Folder,
    records: Sequence[dict[str, Any]],
    file_format: FileFormat = NDJSON,
    *,
    page_size: int = 10,
    **options: Any,
) -> list[FileEntry]:
    files = files_in(folder, file_format, **options)
    for page in pages_of(records, page_size):
        files.write(page)
    files.finish()
    return files.files


def manifest_of(files: Sequence[FileEntry], file_format: FileFormat = NDJSON, **more: Any) -> Manifest:
    return Manifest(
        entity_type="Lead",
        file_format=file_format,
        columns=COLUMNS,
        fingerprint="f" * 64,
        run=NAMES.tag,
        files=tuple(files),
        **more,
    )
