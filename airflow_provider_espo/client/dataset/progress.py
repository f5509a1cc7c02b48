"""What the tries of a run have done so far, kept beside the files.

So it works on every Airflow and in every object store, has no bound on its size, and tells of a file exactly when the
file is there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

from airflow_provider_espo.client.dataset.entries import FileEntry
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.names import FileNames
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Part

_VERSION = 1


class Progress:
    """What a run has done; may be told from several threads.

    Made by :meth:`take_up`.

    :param folder: of the dataset.
    :param name: of the file that keeps it.
    :param fingerprint: checksum of all that the files depend on.
    """

    def __init__(self, folder: Folder, name: str, fingerprint: str) -> None:
        self._folder = folder
        self._name = name
        self._fingerprint = fingerprint
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._files: dict[int, list[FileEntry]] = {}
        self._finished: set[int] = set()
        self._notes: dict[str, Any] = {}

    @classmethod
    def take_up(cls, folder: Folder, names: FileNames, fingerprint: str) -> Self:
        """Go on where an earlier try of the run stopped, or begin.

        What the run did for another question, or in another format, does not count; nor does a file that is not there
        any more, or what came behind it in its part.

        :param folder: of the dataset.
        :param names: of the run's files.
        :param fingerprint: checksum of all that the files depend on, such as the question's and the format.
        :raises EspoStorageError: the folder cannot be read.
        """
        progress = cls(folder, names.progress, fingerprint)
        sizes = folder.sizes()
        if names.progress in sizes:
            progress._read(folder.read_bytes(names.progress), sizes)
        return progress

    @property
    def parts(self) -> list[Part]:
        """The plan of an earlier try; empty if none was made."""
        return list(self._parts)

    @property
    def notes(self) -> Mapping[str, Any]:
        """What an earlier try noted beside its plan."""
        return dict(self._notes)

    def plan(self, parts: Sequence[Part], **notes: Any) -> None:
        """Remember what is to be done, before it begins; whatever was done for another plan is forgotten.

        :param parts: that are to be stored.
        :param notes: plain JSON that all tries have to agree on, such as the window of time.
        """
        with self._lock:
            self._parts, self._notes = list(parts), dict(notes)
            self._files, self._finished = {}, set()
            self._write()

    def note(self, **notes: Any) -> None:
        """Remember something more."""
        with self._lock:
            self._notes.update(notes)
            self._write()

    def add_file(self, entry: FileEntry) -> None:
        """Remember a file that was stored."""
        with self._lock:
            self._files.setdefault(entry.part, []).append(entry)
            self._write()

    def finish_part(self, number: int) -> None:
        """Remember that all of a part is stored."""
        with self._lock:
            self._finished.add(number)
            self._write()

    def files_of(self, number: int) -> list[FileEntry]:
        """Return the stored files of a part, in order."""
        with self._lock:
            return list(self._files.get(number, []))

    def is_finished(self, number: int) -> bool:
        """Whether all of a part is stored."""
        return number in self._finished

    @property
    def files(self) -> list[FileEntry]:
        """All stored files, in the order of the parts."""
        with self._lock:
            return [file for number in sorted(self._files) for file in self._files[number]]

    def remove(self) -> None:
        """Forget all of it, as when the manifest tells it now."""
        self._folder.remove(self._name)

    def _write(self) -> None:
        content = {
            "version": _VERSION,
            "fingerprint": self._fingerprint,
            "parts": [part.as_dict() for part in self._parts],
            "finished": sorted(self._finished),
            "files": [file.as_dict() for files in self._files.values() for file in files],
            "notes": self._notes,
        }
        self._folder.write_bytes(self._name, json.dumps(content).encode())

    def _read(self, data: bytes, sizes: Mapping[str, int]) -> None:
        try:
            content = json.loads(data)
            if content["version"] != _VERSION or content["fingerprint"] != self._fingerprint:
                return
            parts = [Part.from_dict(part) for part in content["parts"]]
            files = [FileEntry.from_dict(file) for file in content["files"]]
            finished, notes = {int(number) for number in content["finished"]}, dict(content["notes"])
        except (ValueError, KeyError, TypeError, AttributeError, EspoInputError):
            # Not written by this version: to begin anew is always right.
            return
        self._parts, self._notes, self._finished = parts, notes, finished
        lost: set[int] = set()
        for file in files:
            if file.part not in lost and sizes.get(file.name) == file.bytes:
                self._files.setdefault(file.part, []).append(file)
            else:
                lost.add(file.part)
        self._finished -= lost
