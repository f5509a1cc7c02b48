"""The records of an extraction on their way into a dataset, with what the next run has to know of them.

Beside each file of records two others may grow, its companions: ``seen`` has id and value of the records that the next
window looks at again, ``ids`` the ids of all. They are in place before the file is known to be. So a later try that
goes on behind the file needs nothing of what came before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_espo.client.errors import EspoInputError

if TYPE_CHECKING:
    from airflow_provider_espo.client.column_types.columns import Column
    from airflow_provider_espo.client.dataset.entries import FileEntry
    from airflow_provider_espo.client.dataset.folder import Folder, NewFile
    from airflow_provider_espo.client.dataset.formats import FileFormat
    from airflow_provider_espo.client.dataset.names import FileNames
    from airflow_provider_espo.client.dataset.progress import Progress
    from airflow_provider_espo.client.dataset.text_files import GzipStream
    from airflow_provider_espo.client.extraction import Page, Part
    from airflow_provider_espo.client.incremental import Seen, Window

SEEN = "seen"
IDS = "ids"

_COMPANIONS = "companions"
_LEFT_OUT = "left_out"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How records are stored.

    :param folder: of the dataset.
    :param names: of the run's files.
    :param file_format: of the files.
    :param columns: of the records.
    :param records_per_file: after how many records the next file begins.
    :param keeps_ids: whether the ids of all records are to be kept for the next run.
    """

    folder: Folder
    names: FileNames
    file_format: FileFormat
    columns: tuple[Column, ...]
    records_per_file: int
    keeps_ids: bool = False


@dataclass(kw_only=True)
class Storing:
    """A run's dataset in the making.

    :param layout: where and how.
    :param progress: what the tries of the run have done.
    :param window: what part of the time or of the numbers is extracted; ``None`` for all.
    :param seen: what earlier runs handed out and this window looks at again.
    """

    layout: Layout
    progress: Progress
    window: Window | None
    seen: Seen | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sinks: list[PartSink] = field(default_factory=list)

    def __post_init__(self) -> None:
        if set(self.companions()) - set(self.layout.folder.sizes()):
            # Somebody cleaned up here: what the files were is known, what goes with them is not.
            notes = dict(self.progress.notes)
            notes = {name: value for name, value in notes.items() if name not in (_COMPANIONS, _LEFT_OUT)}
            self.progress.plan(self.progress.parts, **notes)

    @property
    def purposes(self) -> tuple[str, ...]:
        """What is kept of the records for the next run."""
        looked_at_again = self.window is not None and self.window.floor is not None
        return (*((SEEN,) if looked_at_again else ()), *((IDS,) if self.layout.keeps_ids else ()))

    @property
    def parts_left(self) -> list[Part]:
        """Parts that are not all stored yet."""
        return [part for part in self.progress.parts if not self.progress.is_finished(part.number)]

    def after(self) -> dict[int, str | None]:
        """Return by a part's number the id up to which all is stored."""
        files = {part.number: self.progress.files_of(part.number) for part in self.progress.parts}
        return {number: stored[-1].last_id for number, stored in files.items() if stored}

    def sink_of(self, part: Part) -> PartSink:
        """Return what stores a part."""
        sink = PartSink(self, part)
        with self._lock:
            self._sinks.append(sink)
        return sink

    def discard(self) -> None:
        """Leave nothing behind of files that are not whole."""
        for sink in self._sinks:
            sink.discard()

    def companions(self) -> dict[str, int]:
        """Return the names of all companions so far with the number of their lines, in order."""
        known: Mapping[str, int] = self.progress.notes.get(_COMPANIONS, {})
        return dict(sorted(known.items()))

    def left_out(self, number: int | None = None) -> int:
        """Return how many records were left out, as they had been handed out before.

        :param number: of a part; by default it is those of all.
        """
        known: Mapping[str, int] = self.progress.notes.get(_LEFT_OUT, {})
        return sum(known.values()) if number is None else known.get(str(number), 0)

    def note_left_out(self, number: int, count: int) -> None:
        """Remember how many records of a part were left out so far."""
        with self._lock:
            if count != self.left_out(number):
                known: Mapping[str, int] = self.progress.notes.get(_LEFT_OUT, {})
                self.progress.note(**{_LEFT_OUT: {**known, str(number): count}})

    def note_companions(self, part: Part, number: int, lines: Mapping[str, int]) -> None:
        """Remember the companions of a file; those of files behind it, which an earlier try made, are forgotten.

        :param part: the part.
        :param number: of the file in its part.
        :param lines: number of lines by name.
        """
        with self._lock:
            stale = {
                name
                for purpose in self.purposes
                for name in self.companions()
                if name >= companion_name(self.layout.names, purpose, part.number, number)
                and name.startswith(companion_name(self.layout.names, purpose, part.number, None))
            }
            kept = {name: count for name, count in self.companions().items() if name not in stale}
            kept.update(lines)
            if kept != self.companions():
                self.progress.note(**{_COMPANIONS: kept})

    def merged(self, purpose: str) -> FileEntry:
        """Make one file of all companions of a purpose: gzip files may simply follow each other.

        :param purpose: of the companions.
        :raises EspoStorageError: it cannot be written.
        """
        mine = f"_{purpose}-"
        lines = {name: count for name, count in self.companions().items() if name.startswith(mine)}
        return joined(self.layout.folder, self.layout.names.own(purpose, "ndjson.gz"), lines)


class PartSink:
    """Stores the records of one part that were not handed out before.

    :param storing: the dataset in the making.
    :param part: range of ids.
    """

    def __init__(self, storing: Storing, part: Part) -> None:
        from airflow_provider_espo.client.dataset.formats import writer_for
        from airflow_provider_espo.client.dataset.part_files import PartFiles

        layout = storing.layout
        self._storing = storing
        self._part = part
        self._lines = {purpose: _Lines(layout, purpose, part.number) for purpose in storing.purposes}
        done = storing.progress.files_of(part.number)
        storing.note_companions(part, len(done), {})
        self._left_out = storing.left_out(part.number) if done else 0
        self._files = PartFiles(
            layout.folder,
            writer_for(layout.file_format, layout.columns),
            lambda number: layout.names.data(part.number, number, layout.file_format.extension),
            part,
            records_per_file=layout.records_per_file,
            done=done,
            on_file=self._on_file,
        )

    def write(self, page: Page) -> None:
        """Store a page."""
        from airflow_provider_espo.client.incremental import without_known

        window, seen, number = self._storing.window, self._storing.seen, len(self._files.files)
        new = page if window is None or seen is None else without_known(page, window, seen)
        if SEEN in self._lines and window is not None:
            # Those left out as well: the next window may still look at them.
            rows = zip(page.keys, page.rows, strict=True)
            again = [window.seen_line(row, content) for row, content in rows if window.is_looked_at_again(row)]
            self._lines[SEEN].write(number, again)
        if IDS in self._lines:
            self._lines[IDS].write(number, [id_line(record_id) for record_id in page.ids])
        self._left_out += len(page) - len(new)
        # Up to the last one that was looked at: what was left out behind the last new one is noted by now.
        self._files.write(new, up_to=page.last_id)

    def finish(self) -> None:
        """Store what is left."""
        self._files.finish()
        # Of records behind the last file all were handed out before.
        self._note_companions(len(self._files.files))
        self._storing.progress.finish_part(self._part.number)

    def discard(self) -> None:
        """Leave nothing behind of files that are not whole."""
        self._files.discard()
        for lines in self._lines.values():
            lines.discard()

    def _on_file(self, entry: FileEntry) -> None:
        self._note_companions(len(self._files.files) - 1)
        self._storing.progress.add_file(entry)

    def _note_companions(self, number: int) -> None:
        self._storing.note_left_out(self._part.number, self._left_out)
        stored = {name: count for lines in self._lines.values() for name, count in lines.publish().items()}
        if stored:
            self._storing.note_companions(self._part, number, stored)


class _Lines:
    """A companion that grows, and the next ones."""

    def __init__(self, layout: Layout, purpose: str, part: int) -> None:
        self._layout = layout
        self._purpose = purpose
        self._part = part
        self._file: NewFile | None = None
        self._out: GzipStream | None = None
        self._count = 0

    def write(self, number: int, lines: Sequence[bytes]) -> None:
        """Add lines; the first ones begin the file of this number."""
        from airflow_provider_espo.client.dataset.text_files import GzipStream

        if not lines:
            return
        if self._file is None or self._out is None:
            self._file = self._layout.folder.open_new(
                companion_name(self._layout.names, self._purpose, self._part, number)
            )
            self._out = GzipStream(self._file)
        self._out.write(b"".join(lines))
        self._count += len(lines)

    def publish(self) -> dict[str, int]:
        """Put the file in its place; return its name and the number of its lines, or nothing."""
        file, out, count = self._file, self._out, self._count
        if file is None or out is None:
            return {}
        self._file, self._out, self._count = None, None, 0
        with file:
            out.close()
            file.publish()
        return {file.name: count}

    def discard(self) -> None:
        """Leave nothing behind of a file that is not whole."""
        file, self._file, self._out, self._count = self._file, None, None, 0
        if file is not None:
            file.close()


def companion_name(names: FileNames, purpose: str, part: int, number: int | None) -> str:
    """Name a companion; with no number, give what the names of all of a part begin with."""
    beginning = f"{names.own(purpose, 'ndjson.gz').removesuffix('.ndjson.gz')}-{part:05d}-"
    return beginning if number is None else f"{beginning}{number:04d}.ndjson.gz"


def id_line(record_id: str) -> bytes:
    """Return the line by which an id is kept."""
    return b'"%s"\n' % record_id.encode()


def joined(folder: Folder, name: str, lines: Mapping[str, int]) -> FileEntry:
    """Make one compressed file of several.

    :param folder: of the dataset.
    :param name: of the new file.
    :param lines: the others' names, in order, and the number of their lines.
    """
    from shutil import copyfileobj

    from airflow_provider_espo.client.bodies import BLOCK_SIZE
    from airflow_provider_espo.client.dataset.entries import FileEntry
    from airflow_provider_espo.client.dataset.text_files import GzipStream

    with folder.open_new(name) as file:
        for one in lines:
            with folder.open(one) as source:
                copyfileobj(source, file, BLOCK_SIZE)
        if not lines:
            GzipStream(file).close()
        file.publish()
        return FileEntry(name=name, records=sum(lines.values()), bytes=file.size, sha256=file.sha256)


def lines_of(folder: Folder, name: str) -> Iterator[bytes]:
    """Give the lines of a compressed file.

    :param folder: of the dataset.
    :param name: of the file.
    :raises EspoInputError: it is not there, or broken.
    """
    import gzip
    import zlib

    with folder.open(name) as file, gzip.GzipFile(fileobj=file) as lines:
        try:
            yield from lines
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise EspoInputError(f"{folder}/{name} is broken", hint="Restore it, or begin with all records") from None
