"""A folder on a local disk or in an object store, whose files appear whole or not at all.

A new file grows in a temporary file, on a local disk beside its place and otherwise where ``TMPDIR`` says. Object
stores show what was written when a stream breaks off as if it were whole; so they get a file only when it is done.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from airflow_provider_espo.client.bodies import BLOCK_SIZE
from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoStorageError
from airflow_provider_espo.client.files import is_local_path

_LOCAL_PROTOCOLS: Final = frozenset({"", "file", "local"})
_PART_SUFFIX: Final = ".part"

#: What is done to files that leaves them as they are.
_LOOKING: Final = frozenset({"listed", "looked at", "read"})
#: For errors that libraries of object stores raise without the operating system's words.
_REASONS: Final = {
    FileNotFoundError: "there is no such bucket or folder",
    PermissionError: "the connection's user may not do that",
    TimeoutError: "the store does not answer in time",
}
_TO_READ = "Mend the way to the disk or the object store; the task can then be tried again"
_TO_WRITE = "Make room, or mend the way to the disk or the object store; the task can then be tried again"


class Folder:
    """A folder.

    :param path: local path, or a path that opens itself, such as Airflow's ``ObjectStoragePath``.
    :raises EspoInputError: that is no place for files.
    """

    def __init__(self, path: str | os.PathLike[str] | Any) -> None:
        self._path = _path(path)

    def __str__(self) -> str:
        return str(self._path).rstrip("/") or "/"

    def __truediv__(self, name: str) -> Any:
        """Return the path of a file: a ``Path`` on a local disk."""
        return self._path / name

    @property
    def path(self) -> Any:
        """The path it was made of: a ``Path`` on a local disk."""
        return self._path

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine."""
        return is_local_path(self._path)

    @property
    def name(self) -> str:
        """Its last part."""
        return str(self).rsplit("/", 1)[-1]

    def names(self) -> list[str]:
        """Return the names of its files in order; none if it is not there. Files that still grow are left out."""
        return sorted(self.sizes())

    def sizes(self) -> dict[str, int]:
        """Return the names of its files with their sizes in bytes, by one look; files that still grow are left out."""
        with storage_errors("listed", self):
            try:
                found = dict(self._list())
            except FileNotFoundError:
                return {}
        return {name: size for name, size in found.items() if not _is_growing(name)}

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; ``None`` if it is not there."""
        path = self._path / name
        with storage_errors("looked at", self, name):
            try:
                if not _is_of_fsspec(path):
                    return int(path.stat().st_size) if path.is_file() else None
                self._forget_listing()
                info = path.fs.info(path.path)
            except FileNotFoundError:
                return None
        return None if info["type"] == "directory" else int(info["size"])

    def open(self, name: str) -> BinaryIO:
        """Open a file to read.

        :raises EspoInputError: it is not there.
        """
        return open_to_read(self._path / name)

    def read_bytes(self, name: str) -> bytes:
        """Return a file's content.

        :raises EspoInputError: it is not there.
        """
        with self.open(name) as file, storage_errors("read", self, name):
            return file.read()

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file, or replace it: whoever reads it sees the old content or the new one."""
        with self.open_new(name) as file:
            file.write(data)
            file.publish()

    def open_new(self, name: str) -> NewFile:
        """Begin a file, that is seen when it is published; leaving its ``with`` before discards it."""
        return NewFile(self, name)

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""
        path = self._path / name
        with storage_errors("removed", self, name), suppress(FileNotFoundError):
            if _is_of_fsspec(path):
                path.fs.rm_file(path.path)
            else:
                path.unlink()

    def remove_growing(self, chosen: Callable[[str], bool]) -> None:
        """Remove what broken-off processes left of files that were never published.

        :param chosen: says of a file's name whether nobody writes it any more.
        """
        if not is_local_path(self._path):
            return
        with storage_errors("cleaned up", self), suppress(FileNotFoundError):
            for path in list(self._path.iterdir()):
                if _is_growing(path.name) and chosen(path.name[1:].rsplit(".", 2)[0]):
                    path.unlink(missing_ok=True)

    def make(self) -> None:
        """Make it, with those above it. Object stores need none."""
        if is_local_path(self._path):
            with storage_errors("made", self):
                self._path.mkdir(parents=True, exist_ok=True)

    def _list(self) -> Iterator[tuple[str, int]]:
        if is_local_path(self._path):
            with os.scandir(self._path) as entries:
                yield from ((entry.name, entry.stat().st_size) for entry in entries if entry.is_file())
            return
        if not _is_of_fsspec(self._path):
            yield from ((path.name, int(path.stat().st_size)) for path in self._path.iterdir() if path.is_file())
            return
        self._forget_listing()
        own = str(self._path.path).strip("/")
        for entry in self._path.fs.ls(self._path.path, detail=True):
            path = str(entry["name"]).strip("/")
            # Some stores list a folder within itself.
            if entry["type"] != "directory" and path != own:
                yield path.rsplit("/", 1)[-1], int(entry["size"] or 0)

    def _forget_listing(self) -> None:
        # File systems of fsspec remember what a folder held when they first looked.
        self._path.fs.invalidate_cache()


class NewFile(io.RawIOBase):
    """A file that grows in a temporary one and is seen once it is published.

    :param folder: where it is to be.
    :param name: its name.
    :raises EspoStorageError: nothing can be written there.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        super().__init__()
        self.name = name
        self.size = 0
        self._folder = folder
        self._target = folder / name
        self._digest = hashlib.sha256()
        self._part_path: Path | None = None
        # It is another disk than the file's that may be full.
        self._growing = str(folder) if folder.is_local else f"The temporary file (see TMPDIR) for {folder}"
        folder.make()
        with storage_errors("written", self._growing, name):
            if is_local_path(self._target):
                self._part_path = self._target.with_name(f".{name[:200]}.{uuid.uuid4().hex}{_PART_SUFFIX}")
                self._part: BinaryIO = self._part_path.open("wb")
            else:
                self._part = cast("BinaryIO", tempfile.NamedTemporaryFile(prefix="espo-"))  # noqa: SIM115 - it lives as long as this

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written so far, in hex digits."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.size

    def write(self, data: Any) -> int:
        """Write the next bytes.

        :raises EspoStorageError: the disk is full, or gone.
        """
        block = memoryview(data).cast("B")
        with storage_errors("written", self._growing, self.name):
            self._part.write(block)
        self._digest.update(block)
        self.size += len(block)
        return len(block)

    def publish(self) -> None:
        """Put the file in its place, whole.

        :raises EspoStorageError: the disk is full, or the object store does not take it.
        """
        with storage_errors("written", self._growing, self.name):
            self._part.flush()
        with storage_errors("written", self._folder, self.name):
            if self._part_path is not None:
                # What the progress of a run says to be stored has to be there after a power cut, too.
                os.fsync(self._part.fileno())
                self._part.close()
                self._part_path.replace(self._target)
                self._part_path = None
                _sync_folder(self._target.parent)
            else:
                _put(self._part.name, self._target)
        self.close()

    def close(self) -> None:
        """Leave nothing behind of a file that was not published."""
        if self.closed:
            return
        super().close()
        if not hasattr(self, "_part"):
            # It could not be made, and Python closes what it made of it.
            return
        # A full disk may fail once more here, at what could not be flushed.
        with suppress(OSError):
            self._part.close()
        path, self._part_path = self._part_path, None
        if path is not None:
            with suppress(OSError):
                path.unlink()


def open_to_read(path: Any) -> BinaryIO:
    """Open a file to read.

    :param path: local path, or a path that opens itself.
    :raises EspoInputError: it is not there.
    :raises EspoStorageError: it cannot be read.
    """
    with storage_errors("read", path):
        try:
            return cast("BinaryIO", path.open("rb"))
        except (FileNotFoundError, IsADirectoryError):
            raise EspoInputError(f"{path} is not there, or is a folder", hint="Was it removed, or moved?") from None


@contextmanager
def storage_errors(done: str, where: object, name: str | None = None) -> Iterator[None]:
    """Raise what goes wrong with a disk or an object store as our own error, which says what and where.

    :param done: what was to be done, such as ``written``.
    :param where: the folder or the file.
    :param name: of the file in the folder.
    """
    try:
        yield
    except EspoError:
        raise
    except Exception as error:
        # Libraries of object stores raise errors of their own beside OSError.
        reason = next((words for kind, words in _REASONS.items() if isinstance(error, kind)), type(error).__name__)
        reason = (error.strerror if isinstance(error, OSError) else None) or reason
        place = f"{where}/{name}" if name is not None else str(where)
        words, hint = f"{place} cannot be {done}: {reason}", _TO_READ
        if done not in _LOOKING:
            # Nothing is ever written over in place.
            words, hint = f"{words}. What was complete before stays as it was", _TO_WRITE
        raise EspoStorageError(words, file=place.rsplit("/", 1)[-1], hint=hint) from error


def is_folder(path: Any) -> bool:
    """Whether there is a folder at a path.

    :raises EspoStorageError: nobody can look.
    """
    with storage_errors("looked at", path):
        return bool(path.fs.isdir(path.path) if _is_of_fsspec(path) else path.is_dir())


def _is_of_fsspec(path: Any) -> bool:
    """Whether a path has its file system: the one that Airflow's connection opens, and the path's own methods not."""
    return hasattr(path, "fs") and hasattr(path, "path")


def _put(local: str, target: Any) -> None:
    """Put a local file into an object store."""
    if not _is_of_fsspec(target):
        with open(local, "rb") as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, BLOCK_SIZE)
        return
    try:
        target.fs.put_file(local, target.path)
    except FileNotFoundError:
        # Stores that do have folders, such as SFTP, want them made; but never a bucket, by a slip of somebody's pen.
        root = "/" if target.path.startswith("/") else ""
        if not target.fs.exists(root + target.path.strip("/").split("/")[0]):
            raise
        target.fs.makedirs(target.fs._parent(target.path), exist_ok=True)
        target.fs.put_file(local, target.path)


def _sync_folder(path: Path) -> None:
    """Have the new name on the disk as well, where folders can be synced."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_growing(name: str) -> bool:
    return name.startswith(".") and name.endswith(_PART_SUFFIX)


def _path(path: Any) -> Any:
    """Return a local path as ``Path``, any other one as it is."""
    if isinstance(path, str) and "://" in path:
        raise EspoInputError(
            "The path is given as the text of a URL", hint="Give airflow.sdk.ObjectStoragePath(...) instead"
        )
    if isinstance(path, str) and path.strip():
        return Path(path)
    protocol = getattr(path, "protocol", None)
    if isinstance(protocol, str) and protocol in _LOCAL_PROTOCOLS and hasattr(path, "path"):
        return Path(str(path.path))
    if is_local_path(path):
        return path
    if all(hasattr(path, name) for name in ("iterdir", "open", "stat")):
        return path
    if isinstance(path, os.PathLike):
        return Path(os.fspath(cast("os.PathLike[str]", path)))
    raise EspoInputError(
        f"The path is {'empty' if isinstance(path, str) else f'a {type(path).__name__}'}", hint="Give a path"
    )
