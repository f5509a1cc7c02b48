"""Which of the records that earlier runs handed out are gone: written as tombstones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.transfers.storing import IDS, id_line, lines_of

if TYPE_CHECKING:
    from airflow_provider_espo.client.dataset.entries import FileEntry
    from airflow_provider_espo.client.extraction import Question
    from airflow_provider_espo.client.wire import Operation
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.transfers.storing import Layout


@dataclass(frozen=True, kw_only=True)
class Deletions:
    """What was found.

    :param files: with tombstones.
    :param ids: file with the ids of all records that are known and there, for the next run.
    """

    files: tuple[FileEntry, ...]
    ids: FileEntry

    @property
    def count(self) -> int:
        """How many records are gone."""
        return sum(file.records for file in self.files)


def find_deletions(
    hook: EspoHook, question: Question, *, layout: Layout, known: Iterable[str], new: FileEntry, detected_at: str
) -> Deletions:
    """Ask of all known records whether they are still there, write tombstones, and keep the ids of the others.

    :param hook: hook over the connection.
    :param question: what is extracted, without a window: its filters count, as a record that they leave out is no more
        in the dataset than one that was deleted.
    :param layout: where and how files are stored.
    :param known: ids that the last run kept.
    :param new: file with the ids that this run came upon.
    :param detected_at: moment in EspoCRM's form, for the tombstones.
    :raises EspoError: what EspoCRM answered, or what could not be stored.
    """
    from airflow_provider_espo.client.dataset.entries import FileEntry
    from airflow_provider_espo.client.dataset.text_files import GzipStream
    from airflow_provider_espo.client.incremental import Seen

    come_upon = Seen(lines_of(layout.folder, new.name))
    gone_again: set[str] = set()
    count = 0
    tombstones = _Tombstones(layout, detected_at)
    name = layout.names.own(IDS, "ndjson.gz")
    try:
        with layout.folder.open_new(name) as file:
            out = GzipStream(file)
            for batch, missing in _asked(hook, question, known):
                gone = set(missing)
                lines = [id_line(one) for one in batch if one not in gone]
                lines = [line for line in lines if line not in come_upon]
                out.write(b"".join(lines))
                count += len(lines)
                gone_again |= {one for one in missing if id_line(one) in come_upon}
                tombstones.write(missing)
            # It has the same name, and is replaced when all of it was read.
            for line in lines_of(layout.folder, new.name):
                if gone_again and line[1:-2].decode() in gone_again:
                    continue
                out.write(line)
                count += 1
            out.close()
            file.publish()
            ids = FileEntry(name=name, records=count, bytes=file.size, sha256=file.sha256)
        return Deletions(files=tombstones.finish(), ids=ids)
    except BaseException:
        tombstones.discard()
        raise


def _asked(hook: EspoHook, question: Question, known: Iterable[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Give batches of ids, each with those of them that are gone."""
    from airflow_provider_espo.client.operations.existing import batches_of, missing_of

    batches: deque[list[str]] = deque()

    def operations() -> Iterator[Operation[list[str]]]:
        for batch in batches_of(known):
            batches.append(batch)
            yield missing_of(question, batch)

    for missing in hook.run_many(operations()):
        if isinstance(missing, EspoError):
            raise missing
        yield batches.popleft(), missing


class _Tombstones:
    """Writes tombstones in the dataset's format."""

    def __init__(self, layout: Layout, detected_at: str) -> None:
        from airflow_provider_espo.client.dataset.formats import writer_for
        from airflow_provider_espo.client.dataset.manifest import TOMBSTONE_COLUMNS
        from airflow_provider_espo.client.dataset.part_files import PartFiles
        from airflow_provider_espo.client.extraction import Part

        extension = layout.file_format.extension
        self._detected_at = detected_at
        self._files = PartFiles(
            layout.folder,
            writer_for(layout.file_format, TOMBSTONE_COLUMNS),
            lambda number: layout.names.deleted(number, extension),
            Part(),
            records_per_file=layout.records_per_file,
        )

    def write(self, ids: list[str]) -> None:
        """Write tombstones for some records."""
        from airflow_provider_espo.client.extraction import Page

        records = [{"id": one, "deleted": True, "detectedAt": self._detected_at} for one in ids]
        self._files.write(Page.of_records(records, [{"id": one} for one in ids]))

    def finish(self) -> tuple[FileEntry, ...]:
        """Store the last file; return all."""
        self._files.finish()
        return tuple(self._files.files)

    def discard(self) -> None:
        """Leave nothing behind of a file that is not whole."""
        self._files.discard()
