"""The records of one part, written to files of a set size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow_provider_espo.client.dataset.entries import FileEntry
from airflow_provider_espo.client.dataset.folder import Folder, NewFile
from airflow_provider_espo.client.dataset.formats import PageWriter
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page, Part


class PartFiles:
    """A sink that writes the pages of one part to files.

    A file appears in the folder when it is whole. Pages are never split between files: so what a file holds begins
    and ends where a request did, and a later try that goes on behind it gets the same files as one that was never
    broken off.

    :param folder: where the files go.
    :param writer: of the format; for this part alone.
    :param name_of: gives a file's name by its number in the part, from 0.
    :param part: the range of ids.
    :param records_per_file: how many records a file has before the next one begins.
    :param done: files of the part that an earlier try stored, in order.
    :param on_file: is told of each file when it is stored, before the next one begins.
    :param on_finish: is told of the part's number when all of it is stored.
    """

    def __init__(
        self,
        folder: Folder,
        writer: PageWriter,
        name_of: Callable[[int], str],
        part: Part,
        *,
        records_per_file: int = 100_000,
        done: Sequence[FileEntry] = (),
        on_file: Callable[[FileEntry], None] | None = None,
        on_finish: Callable[[int], None] | None = None,
    ) -> None:
        if isinstance(records_per_file, bool) or not isinstance(records_per_file, int) or records_per_file < 1:
            raise EspoInputError("The number of records in a file is not a whole number from 1 up")
        self.files: list[FileEntry] = list(done)
        self._folder = folder
        self._writer = writer
        self._name_of = name_of
        self._part = part
        self._records_per_file = records_per_file
        self._on_file = on_file
        self._on_finish = on_finish
        self._file: NewFile | None = None
        self._records = 0
        self._last_id: str | None = None

    @property
    def after(self) -> str | None:
        """Id up to which everything is stored; ``None`` if nothing is."""
        return self.files[-1].last_id if self.files else None

    def write(self, page: Page, *, up_to: str | None = None) -> None:
        """Write a page.

        :param page: what of a page is to be stored; possibly nothing.
        :param up_to: last id of the page as it came, where records were left out of it.
        :raises EspoStorageError: a file cannot be written. What was stored before stays.
        """
        if not len(page):
            if self._file is not None and up_to is not None:
                self._last_id = up_to
            return
        try:
            if self._file is None:
                self._file = self._folder.open_new(self._name_of(len(self.files)))
                self._writer.begin(self._file)
            self._writer.write(page)
        except BaseException:
            self.discard()
            raise
        self._records += len(page)
        self._last_id = up_to if up_to is not None else page.last_id
        if self._records >= self._records_per_file:
            self._store()

    def finish(self) -> None:
        """Store the last file.

        :raises EspoStorageError: it cannot be written.
        """
        self._store()
        if self._on_finish is not None:
            self._on_finish(self._part.number)

    def discard(self) -> None:
        """Leave nothing behind of a file that is not stored yet, as when the extraction was broken off."""
        self._writer.discard()
        file, self._file = self._file, None
        if file is not None:
            file.close()
        self._records, self._last_id = 0, None

    def _store(self) -> None:
        file = self._file
        if file is None:
            return
        try:
            self._writer.close()
            file.publish()
        except BaseException:
            self.discard()
            raise
        entry = FileEntry(
            name=file.name,
            records=self._records,
            bytes=file.size,
            sha256=file.sha256,
            part=self._part.number,
            after=self.after if self.files else self._part.after,
            last_id=self._last_id,
        )
        self._file, self._records, self._last_id = None, 0, None
        self.files.append(entry)
        if self._on_file is not None:
            self._on_file(entry)
