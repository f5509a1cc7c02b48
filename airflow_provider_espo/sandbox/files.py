"""Contents of attachments: a file for each, in a folder beside the database."""

from __future__ import annotations

import tempfile
from pathlib import Path


class FileStore:
    """Keeps contents under ids.

    :param folder: where; made when the first content comes. None for a folder that is gone with the store
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def path(self, file_id: str) -> Path:
        """The file of an id, whether it is there or not."""
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="espo-sandbox-")
            self._folder = Path(self._temporary.name)
        elif not self._folder.is_dir():
            self._folder.mkdir(mode=0o700)
        return self._folder / file_id

    def append(self, file_id: str, content: bytes) -> None:
        """Add to a content, which begins empty."""
        with self.path(file_id).open("ab") as file:
            file.write(content)

    def size(self, file_id: str) -> int:
        """Length of a content in bytes; 0 if there is none."""
        path = self.path(file_id)
        return path.stat().st_size if path.is_file() else 0

    def remove(self, file_id: str) -> None:
        """Forget a content."""
        self.path(file_id).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = self._folder = None


def store_of(database: str) -> FileStore:
    """The store that belongs to a database.

    :param database: file, or ``:memory:``
    """
    return FileStore(None if database == ":memory:" else Path(f"{database}.files"))
