"""Reads a dataset as a stranger would: by its manifest, with nothing of the package."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kill.bucket import Bucket

MANIFEST = "_manifest.json"

Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """A dataset that is whole.

    :param manifest: as it is stored.
    :param rows: its records; of CSV they are texts.
    :param tombstones: ids that are gone.
    """

    manifest: dict[str, Any]
    rows: list[Row]
    tombstones: list[str]

    @property
    def ids(self) -> list[str]:
        """The records' ids."""
        return [row["id"] for row in self.rows]


def local_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a local folder."""
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def bucket_files(bucket: Bucket, prefix: str) -> dict[str, bytes]:
    """Return the objects under a prefix."""
    return {
        path.removeprefix(prefix): file.getvalue() for path, file in bucket.store.items() if path.startswith(prefix)
    }


def read(files: Mapping[str, bytes]) -> Found | None:
    """Read a dataset; ``None`` if there is none.

    Fails if anything that the manifest names is not there as it says.
    """
    if MANIFEST not in files:
        return None
    manifest = json.loads(files[MANIFEST])
    assert manifest["complete"] is True
    rows: list[Row] = []
    for entry in manifest["files"]:
        found = decoded(entry["name"], _checked(files, entry))
        assert len(found) == entry["records"], f"{entry['name']} has {len(found)} records"
        rows += found
    assert manifest["records"] == len(rows)
    tombstones: list[Row] = []
    for entry in manifest["deleted"]:
        tombstones += decoded(entry["name"], _checked(files, entry))
    for entries in manifest["sidecars"].values():
        for entry in entries:
            _checked(files, entry)
    assert all(str(row["deleted"]).lower() == "true" for row in tombstones)
    return Found(manifest, rows, [row["id"] for row in tombstones])


def named(manifest: Mapping[str, Any]) -> set[str]:
    """Return the names of all files that a manifest names, and its own."""
    entries = [*manifest["files"], *manifest["deleted"]]
    for more in manifest["sidecars"].values():
        entries += more
    return {MANIFEST, *(entry["name"] for entry in entries)}


def _checked(files: Mapping[str, bytes], entry: Mapping[str, Any]) -> bytes:
    assert entry["name"] in files, f"the manifest names {entry['name']}, which is not there"
    content = files[entry["name"]]
    assert len(content) == entry["bytes"]
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    return content


def decoded(name: str, content: bytes) -> list[Row]:
    """Read the rows of a file."""
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        rows: list[Row] = pq.read_table(io.BytesIO(content)).to_pylist()
        return rows
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    text = content.decode()
    if ".csv" in name:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    return [json.loads(line) for line in text.split("\n") if line]
