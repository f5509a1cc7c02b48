"""One extraction over several mapped tasks: what the plan tells each of them, and what each leaves for the last one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.tries import generation
from airflow_provider_espo.transfers import publishing

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.column_types.columns import Column
    from airflow_provider_espo.client.dataset.entries import FileEntry
    from airflow_provider_espo.client.dataset.folder import Folder
    from airflow_provider_espo.client.dataset.formats import FileFormat
    from airflow_provider_espo.client.dataset.manifest import PartEntry
    from airflow_provider_espo.client.extraction import Part
    from airflow_provider_espo.client.incremental import Watermark, Window
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
    from airflow_provider_espo.transfers.publishing import Place

_PART = "part"
_WHOLE_PLAN = "Give partition=plan.output by expand(), of the same run"


@dataclass(frozen=True, kw_only=True)
class Partition:
    """What a mapped task is told.

    :param part: range of ids.
    :param run: tag of the plan.
    :param entity_type: of the records.
    :param asked: checksum of the filter that was planned.
    :param window: what part of the time or of the numbers is extracted; ``None`` for all.
    :param last: the watermark when the plan was made.
    :param watermark_key: name of the watermark; ``None`` where none is kept.
    :param watermark_place: what keeps it.
    """

    part: Part
    run: str
    entity_type: str
    asked: str
    window: Window | None = None
    last: Watermark | None = None
    watermark_key: str | None = None
    watermark_place: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, for XCom."""
        return {
            **self.part.as_dict(),
            "run": self.run,
            "entity_type": self.entity_type,
            "asked": self.asked,
            "window": None if self.window is None else self.window.as_dict(),
            "last": None if self.last is None else self.last.as_dict(),
            "watermark_key": self.watermark_key,
            "watermark_place": self.watermark_place,
        }

    @classmethod
    def from_dict(cls, given: object) -> Self:
        """Read what :meth:`as_dict` returned.

        :raises EspoInputError: it is something else.
        """
        from airflow_provider_espo.client.extraction import Part
        from airflow_provider_espo.client.incremental import Watermark, Window

        if not isinstance(given, Mapping):
            raise EspoInputError("partition is none that a plan returned", hint=_WHOLE_PLAN)
        texts = {name: given.get(name) for name in ("run", "entity_type", "asked")}
        if not all(isinstance(text, str) and text for text in texts.values()):
            raise EspoInputError("partition is none that a plan returned", hint=_WHOLE_PLAN)
        window = None if given.get("window") is None else Window.from_dict(given["window"])
        last = given.get("last")
        return cls(
            part=Part.from_dict(given),
            window=window,
            last=None if last is None or window is None else Watermark.from_dict(last, window.by),
            watermark_key=given.get("watermark_key"),
            watermark_place=given.get("watermark_place"),
            **{name: str(text) for name, text in texts.items()},
        )

    def check(self, task: EspoToObjectStorageOperator, asked: str) -> None:
        """Refuse to store something else than was planned.

        :param task: the mapped task.
        :param asked: checksum of its own filter.
        :raises EspoInputError: its entity type, filter or window is not the plan's.
        """
        by = None if self.window is None else self.window.by
        if task.incremental_by not in (None, by) or any(
            value is not None for value in (task.lag, task.start, task.end, task.watermark_key)
        ):
            raise EspoInputError(
                "The window of a mapped task is the plan's",
                hint="Give incremental_by, lag, start, end and watermark_key to the plan only",
            )
        if task.deleted == "detect" and self.watermark_key is None:
            raise EspoInputError(
                "Deleted records are found by comparing with the run before, and there is none",
                hint="Give incremental_by to the plan, without start and end, or deleted='ignore'",
            )
        if asked != self.asked:
            raise EspoInputError(
                "The plan was made for another entity type or filter",
                hint="Give entity_type, where and the other filters to both alike",
            )


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a mapped task has stored.

    :param part: its range of ids.
    :param run: tag of the plan.
    :param writer: tag of the task until it is cleared.
    :param fingerprint: checksum of the question.
    :param file_format: of the files.
    :param columns: of the records.
    :param parts: that the task cut its range into.
    :param files: with the records, in order.
    :param left_out: how many records were left out, as an earlier run had handed them out.
    :param sidecars: what the next run needs.
    """

    part: Part
    run: str
    writer: str
    fingerprint: str
    file_format: FileFormat
    columns: tuple[Column, ...]
    parts: tuple[PartEntry, ...]
    files: tuple[FileEntry, ...]
    left_out: int = 0
    sidecars: Mapping[str, FileEntry] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many records it stored."""
        return sum(file.records for file in self.files)

    @staticmethod
    def name(entity_type: str, run: str, number: int) -> str:
        """Name the file that tells it."""
        from airflow_provider_espo.client.dataset.names import FileNames

        return FileNames(entity_type, run, number).own(_PART)

    def to_json(self) -> bytes:
        """Return it as it is stored."""
        content = {
            "part": self.part.as_dict(),
            "run": self.run,
            "writer": self.writer,
            "fingerprint": self.fingerprint,
            "format": self.file_format.name,
            "compression": self.file_format.compression,
            "columns": [column.to_dict() for column in self.columns],
            "parts": [part.as_dict() for part in self.parts],
            "files": [file.as_dict() for file in self.files],
            "left_out": self.left_out,
            "sidecars": {purpose: file.as_dict() for purpose, file in self.sidecars.items()},
        }
        return json.dumps(content, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, folder: Folder, name: str) -> Self | None:
        """Return what a mapped task stored; ``None`` if it has not.

        :param folder: of the dataset.
        :param name: from :meth:`name`.
        :raises EspoInputError: the file is malformed.
        """
        from airflow_provider_espo.client.column_types.columns import Column
        from airflow_provider_espo.client.dataset.entries import FileEntry
        from airflow_provider_espo.client.dataset.formats import FileFormat
        from airflow_provider_espo.client.dataset.manifest import PartEntry
        from airflow_provider_espo.client.extraction import Part

        if not folder.exists(name):
            return None
        try:
            content = json.loads(folder.read_bytes(name))
            return cls(
                part=Part.from_dict(content["part"]),
                run=content["run"],
                writer=content["writer"],
                fingerprint=content["fingerprint"],
                file_format=FileFormat.of(content["format"], content["compression"], to_write=False),
                columns=tuple(Column.from_dict(column) for column in content["columns"]),
                parts=tuple(PartEntry.from_dict(part) for part in content["parts"]),
                files=tuple(FileEntry.from_dict(file) for file in content["files"]),
                left_out=int(content["left_out"]),
                sidecars={purpose: FileEntry.from_dict(file) for purpose, file in content["sidecars"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EspoInputError(f"{folder}/{name} is malformed", hint="Clear the task that wrote it") from None

    def result(self, folder: Folder, name: str, action: str) -> dict[str, Any]:
        """Return the mapped task's result.

        :param folder: of the dataset.
        :param name: of the file that tells it.
        :param action: ``written`` or ``taken_up``.
        """
        return {
            "path": str(folder),
            "manifest": f"{folder}/{name}",
            "records": self.records,
            "files": len(self.files),
            "bytes": sum(file.bytes for file in self.files),
            "deleted": 0,
            "watermark": None,
            "action": action,
        }


def joined_files(stored: Sequence[Stored]) -> tuple[tuple[FileEntry, ...], list[PartEntry]]:
    """Return the files of all mapped tasks and the parts they belong to, numbered through.

    :param stored: what the mapped tasks stored, in order.
    """
    from airflow_provider_espo.client.dataset.manifest import PartEntry

    files: list[FileEntry] = []
    parts: list[PartEntry] = []
    of = sum(len(one.parts) for one in stored)
    for one in stored:
        before = len(parts)
        files += [replace(file, part=before + file.part) for file in one.files]
        parts += [
            PartEntry(part=replace(entry.part, number=before + entry.part.number, of=of), records=entry.records)
            for entry in one.parts
        ]
    return tuple(files), parts


def extract_partition(
    task: EspoToObjectStorageOperator, hook: EspoHook, context: Context, *, place: Place, file_format: FileFormat
) -> dict[str, Any]:
    """Store one partition, and tell the last task what there is.

    :param task: the mapped task.
    :param hook: hook over the connection.
    :param context: Airflow's context.
    :param place: where the dataset is to be.
    :param file_format: of the files.
    :return: the task's result.
    """
    from airflow_provider_espo.client.column_types.columns import columns_of
    from airflow_provider_espo.client.dataset.manifest import PartEntry
    from airflow_provider_espo.client.dataset.names import tag_of
    from airflow_provider_espo.client.dataset.progress import Progress
    from airflow_provider_espo.transfers.storing import Storing
    from airflow_provider_espo.transfers.watermarks import filter_fingerprint

    partition = Partition.from_dict(task.partition)
    question, schema = task.ask(hook, task.select)
    partition.check(task, filter_fingerprint(question))
    if partition.window is not None:
        question = question.with_attribute(partition.window.by)
    # Files that a cleared task writes again have other names, as a manifest may name those there are.
    writer = tag_of(partition.run, generation(context))
    number = partition.part.number
    layout = task.layout(place, file_format, columns_of(schema, question.columns), writer, number)
    entry = Stored.name(task.entity_type, partition.run, number)
    done = Stored.read(place.folder, entry)
    if done is not None and done.writer == writer:
        task.log.info("An earlier try of this task had stored all of partition %d", number)
        return done.result(place.folder, entry, "taken_up")
    place.previous(partition.run)
    progress = Progress.take_up(
        place.folder,
        layout.names,
        task.fingerprint(question, layout, json.dumps(partition.as_dict(), sort_keys=True), task.parts, task.page_size),
    )
    if not progress.parts:
        window = partition.window
        asked = question if window is None else question.narrowed(*window.where())
        progress.plan(task.plan(hook, asked, within=partition.part))
    last = partition.last
    storing = Storing(
        layout=layout,
        progress=progress,
        window=partition.window,
        seen=None if last is None else publishing.seen_before(last, task.entity_type),
    )
    task.store(hook, question, storing)
    stored = Stored(
        part=partition.part,
        run=partition.run,
        writer=writer,
        fingerprint=question.fingerprint(),
        file_format=file_format,
        columns=layout.columns,
        parts=tuple(
            PartEntry(part=part, records=sum(file.records for file in progress.files_of(part.number)))
            for part in progress.parts
        ),
        files=tuple(progress.files),
        left_out=storing.left_out(),
        sidecars={purpose: storing.merged(purpose) for purpose in storing.purposes},
    )
    place.folder.write_bytes(entry, stored.to_json())
    progress.remove()
    return stored.result(place.folder, entry, "written")
