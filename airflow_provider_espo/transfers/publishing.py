"""The end of an extraction into a folder: a dataset that readers see, then the watermark, then tidying up.

In this order: a process that dies in between leaves nothing that a later try could not finish.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.errors import EspoInputError, EspoStorageError

if TYPE_CHECKING:
    from airflow_provider_espo.client.column_types.columns import Column
    from airflow_provider_espo.client.dataset.entries import FileEntry
    from airflow_provider_espo.client.dataset.folder import Folder
    from airflow_provider_espo.client.dataset.manifest import Manifest, PartEntry
    from airflow_provider_espo.client.incremental import Seen, Watermark, Window
    from airflow_provider_espo.transfers.storing import Layout
    from airflow_provider_espo.transfers.watermarks import WatermarkStore

log = logging.getLogger(__name__)

DriftMode = Literal["fail", "warn"]
DeletedMode = Literal["ignore", "detect"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder that a dataset is to be in.

    :param folder: the folder.
    :param entity_type: of the records.
    :param overwrite: whether another run's dataset may be replaced.
    """

    folder: Folder
    entity_type: str
    overwrite: bool

    def previous(self, run: str) -> Manifest | None:
        """Return the manifest that is there, if it may be replaced.

        :param run: tag of the run whose dataset is this task's own.
        :raises EspoInputError: there is another run's dataset, or there are other files, and they are not to be
            replaced; or it is a dataset of another entity type.
        """
        from airflow_provider_espo.client.dataset.formats import FileFormat
        from airflow_provider_espo.client.dataset.manifest import BrokenManifestError, Manifest
        from airflow_provider_espo.client.dataset.names import is_of_dataset

        try:
            found = Manifest.read(self.folder)
        except BrokenManifestError as error:
            if not self.overwrite:
                raise
            # Only files of this entity type are ever removed, whatever the manifest said.
            log.warning("%s, and is replaced", error.message)
            return None
        if found is None:
            strange = [
                name
                for name in self.folder.names()
                if FileFormat.of_file(name) is not None and not is_of_dataset(name, self.entity_type)
            ]
            if strange and not self.overwrite:
                raise EspoInputError(
                    f"{self.folder} holds other files, such as {strange[0]}, which readers may take for ours",
                    hint="Give a folder of its own; with overwrite=True they are left where they are",
                )
            return None
        if found.entity_type != self.entity_type:
            raise EspoInputError(
                f"{self.folder} holds a dataset of {found.entity_type}", hint="Give each entity type its own folder"
            )
        if found.run != run and not self.overwrite:
            raise EspoInputError(
                f"{self.folder} holds the dataset of another run already",
                hint="Give each run a folder of its own, such as .../{{ ds }}/, or overwrite=True to replace it",
            )
        return found

    def publish(self, manifest: Manifest, store: WatermarkStore | None, keep: Iterable[str] = ()) -> None:
        """Move the watermark to what the manifest says, and remove the files that nobody needs any more.

        :param manifest: what was written.
        :param store: keeps the watermark; ``None`` where none is kept.
        :param keep: names of more files that stay.
        """
        from airflow_provider_espo.client.dataset.names import clean_up
        from airflow_provider_espo.client.incremental import Watermark
        from airflow_provider_espo.transfers.storing import IDS, SEEN

        kept = {*manifest.names, *keep}
        if store is not None and manifest.watermark is not None:
            by = str(manifest.window["by"])
            mine = Watermark(value=manifest.watermark, dataset=str(self.folder), run=manifest.run)
            if not store.move(mine, by) and (further := store.read(by)) is not None and further.run:
                kept |= {sidecar(self.entity_type, further.run, purpose) for purpose in (SEEN, IDS)}
        clean_up(self.folder, self.entity_type, kept)


@contextmanager
def lost_meanwhile(folder: Folder) -> Iterator[None]:
    """Tell of files that are not there any more as what it is: nobody gave us something wrong, and a retry mends it.

    :param folder: of the dataset.
    :raises EspoStorageError: a file that this task had stored is gone, or is another one.
    """
    try:
        yield
    except EspoInputError as error:
        raise EspoStorageError(
            f"What this task had stored in {folder} was removed or changed while it was at work",
            hint="Does something clean up there? What was complete before stays as it was; a retry writes what is "
            "lacking",
        ) from error


def check_drift(old: Iterable[Column], new: Iterable[Column], mode: DriftMode) -> str | None:
    """Compare the columns with those of the last dataset.

    :param old: the last dataset's.
    :param new: those of this extraction.
    :param mode: ``fail`` or ``warn``.
    :return: what differs, for the log; ``None`` where nothing does.
    :raises EspoInputError: they differ, and that is not wanted.
    """
    from airflow_provider_espo.client.column_types.drift import compare

    drift = compare(old, new)
    if not drift:
        return None
    if mode == "fail":
        raise EspoInputError(
            f"The columns are not those of the last dataset: {drift}",
            hint="Name the attributes in select, or take the difference with schema_drift='warn'",
        )
    return str(drift)


def columns_before(last: Watermark | None, entity_type: str) -> tuple[Column, ...] | None:
    """Return the columns of the last run's dataset; ``None`` where there is none.

    :param last: the watermark.
    :param entity_type: of the records.
    :raises EspoInputError: its manifest is broken.
    """
    from airflow_provider_espo.client.dataset.manifest import BrokenManifestError, Manifest

    if last is None or last.dataset is None:
        return None
    try:
        manifest = Manifest.read(folder_of(last.dataset))
    except BrokenManifestError as error:
        raise EspoInputError(
            f"{error.message}; it is the last run's, whose columns are to be compared with",
            hint="Restore it; or remove that folder, and its records within the lag come once more. What it held is "
            "not readable either: to begin again with all records, delete the watermark",
        ) from None
    return manifest.columns if manifest is not None and manifest.entity_type == entity_type else None


def sidecar(entity_type: str, run: str, purpose: str) -> str:
    """Name the file in which a run left something for the next one.

    :param entity_type: of the records.
    :param run: tag of the run.
    :param purpose: what it is.
    """
    from airflow_provider_espo.client.dataset.names import FileNames

    return FileNames(entity_type, run).own(purpose, "ndjson.gz")


def folder_of(path: str) -> Folder:
    """Return the folder of an earlier dataset."""
    from airflow_provider_espo.client.dataset.folder import Folder as AnyFolder
    from airflow_provider_espo.operators.paths import file_at

    return AnyFolder(file_at("path", path))


def seen_before(last: Watermark, entity_type: str) -> Seen | None:
    """Return what the last run handed out and the next window looks at again; ``None`` if that is lost.

    :param last: the watermark.
    :param entity_type: of the records.
    """
    from airflow_provider_espo.client.incremental import Seen
    from airflow_provider_espo.transfers.storing import SEEN, lines_of

    if last.dataset is None or last.run is None:
        return None
    folder, name = folder_of(last.dataset), sidecar(entity_type, last.run, SEEN)
    return Seen(lines_of(folder, name)) if folder.exists(name) else None


def ids_before(last: Watermark, entity_type: str, key: str) -> Iterator[str]:
    """Give the ids of the records that were there at the last run.

    :param last: the watermark.
    :param entity_type: of the records.
    :param key: name of the watermark, for the error.
    :raises EspoInputError: they were not kept, or are lost.
    """
    from airflow_provider_espo.transfers.storing import IDS, lines_of

    folder = None if last.dataset is None or last.run is None else folder_of(last.dataset)
    name = sidecar(entity_type, last.run or "", IDS)
    if folder is None or not folder.exists(name):
        raise EspoInputError(
            "Which records there were at the last run is not known, so that nobody can tell which were deleted since",
            hint="That run had no deleted='detect', or its dataset was removed. To begin again with all records, "
            f"delete the watermark {key}",
        )
    return (line[1:-2].decode() for line in lines_of(folder, name))


def moment_of(window: Window | None) -> str:
    """Return the moment for what is found at the end of a window, in EspoCRM's form."""
    from airflow_provider_espo.client.moments import utc_text

    if window is not None and isinstance(window.high, str):
        return window.high
    return utc_text(datetime.now(UTC))


def manifest_of(
    layout: Layout,
    *,
    fingerprint: str,
    window: Window | None,
    parts: Iterable[PartEntry],
    files: Iterable[FileEntry],
    deleted: Iterable[FileEntry] = (),
    sidecars: Mapping[str, tuple[FileEntry, ...]] | None = None,
) -> Manifest:
    """Return what is to be written about a dataset.

    :param layout: how the records are stored.
    :param fingerprint: of the question.
    :param window: what part of the time or of the numbers the records are from; ``None`` for all.
    :param parts: that the extraction was cut into.
    :param files: with the records, in order.
    :param deleted: files with tombstones.
    :param sidecars: what the next run needs.
    """
    from airflow_provider_espo.client.column_types.json_schema import json_schema
    from airflow_provider_espo.client.dataset.manifest import Manifest

    return Manifest(
        entity_type=layout.names.entity_type,
        file_format=layout.file_format,
        columns=layout.columns,
        json_schema=json_schema(layout.names.entity_type, layout.columns),
        fingerprint=fingerprint,
        run=layout.names.tag,
        files=tuple(files),
        parts=tuple(parts),
        deleted=tuple(deleted),
        sidecars=dict(sidecars or {}),
        window={} if window is None else window.as_dict(),
        watermark=None if window is None else window.watermark,
    )


def result_of(folder: Folder, manifest: Manifest, action: str) -> dict[str, Any]:
    """Return a task's result.

    :param folder: of the dataset.
    :param manifest: of the dataset.
    :param action: ``written``, or ``taken_up`` if an earlier try had done it.
    """
    from airflow_provider_espo.client.dataset.names import MANIFEST

    return {
        "path": str(folder),
        "manifest": f"{folder}/{MANIFEST}",
        "records": manifest.records,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "deleted": sum(file.records for file in manifest.deleted),
        "watermark": manifest.watermark,
        "action": action,
    }


def skip_empty(result: Mapping[str, Any]) -> None:
    """Skip a task whose dataset is empty.

    :param result: the task's result.
    :raises AirflowSkipException: there are neither records nor tombstones.
    """
    from airflow_provider_espo import compat

    if not result["records"] and not result["deleted"]:
        raise compat.airflow_exceptions().AirflowSkipException("No record is new")


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a word that is not one of a few.

    :raises EspoInputError: it is another.
    """
    if value not in allowed:
        raise EspoInputError(f"{name} is not one of {', '.join(allowed)}")
