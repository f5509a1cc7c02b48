"""Files to send and files to write: on a local disk, in an object store, or in memory.

Everything here may wait for a disk or the network. Operations have it done by their transport, as
:class:`~airflow_provider_espo.client.bodies.Work`.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeAlias, TypeGuard, cast, runtime_checkable

from airflow_provider_espo.client.bodies import BLOCK_SIZE
from airflow_provider_espo.client.errors import EspoInputError

_LOCAL_PROTOCOLS: Final = frozenset({"", "file", "local"})
_UNFIT_FOR_A_NAME: Final = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")


@runtime_checkable
class Openable(Protocol):
    """A path that opens itself, such as Airflow's ``ObjectStoragePath``."""

    @property
    def name(self) -> str:
        """Last part of the path."""

    def open(self, mode: str = "r") -> Any:
        """Open the file."""


#: Where a file is read from: a local path, an ``ObjectStoragePath`` (or any path that has ``name``, ``stat`` and
#: ``open``), or the content itself.
SourceFile: TypeAlias = str | os.PathLike[str] | Openable | bytes
#: Where a file is written to: a path of the same kinds, or a binary file object.
TargetFile: TypeAlias = str | os.PathLike[str] | Openable | BinaryIO


def is_local_path(path: object) -> TypeGuard[Path]:
    """Whether a path leads to a local disk by itself.

    With Airflow 3.1, paths of object stores are ``pathlib`` paths too; they bring a file system of their own.

    :param path: any path.
    """
    return isinstance(path, Path) and not hasattr(path, "fs")


class Source:
    """A file to send, read from its beginning to its end in pieces.

    :param file: where it is.
    :param name: its name; by default the last part of the path.
    :raises EspoInputError: that is no file, or it has no name.
    """

    def __init__(self, file: SourceFile, name: str | None = None) -> None:
        self._file = file if isinstance(file, bytes) else _path(file, "The file to send")
        given = name if name is not None else getattr(self._file, "name", None)
        if not isinstance(given, str) or not given.strip():
            raise EspoInputError("The file to send has no name", hint="Give it as name")
        self.name = given.strip()
        self._reader: BinaryIO | None = None
        self._position = 0
        self._digest = hashlib.sha256()

    def __str__(self) -> str:
        return f"{len(self._file)} bytes" if isinstance(self._file, bytes) else str(self._file)

    def open(self) -> int:
        """Open it, or begin anew.

        :return: its size in bytes.
        :raises EspoInputError: there is no such file, or it cannot be read.
        """
        self.close()
        self._position, self._digest = 0, hashlib.sha256()
        if isinstance(self._file, bytes):
            self._reader = io.BytesIO(self._file)
            return len(self._file)
        try:
            size = int(self._file.stat().st_size)
            self._reader = cast("BinaryIO", self._file.open("rb"))
        except OSError as error:
            raise _unusable("The file cannot be read", error) from error
        return size

    def read(self, size: int) -> bytes:
        """Read the next bytes.

        :param size: how many; fewer come only at the end.
        """
        if self._reader is None:
            raise EspoInputError("The file to send is not open")
        pieces: list[bytes] = []
        left = size
        # A file in an object store may give less than was asked for.
        while left and (piece := self._reader.read(left)):
            pieces.append(piece)
            left -= len(piece)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._position += len(data)
        self._digest.update(data)
        return data

    def digest_of_next(self, size: int) -> str:
        """Read over the next bytes.

        :param size: how many.
        :return: SHA-256 of all that was read since the file was opened, in hex digits.
        """
        while size > 0 and (data := self.read(min(size, BLOCK_SIZE))):
            size -= len(data)
        return self.sha256

    @property
    def sha256(self) -> str:
        """SHA-256 of what was read since the file was opened, in hex digits."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close it. It may be opened again."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


class SourceBody:
    """A file as the body of one request.

    :param source: the file.
    :param size: its size, as it was announced.
    :param content_type: its media type.
    """

    def __init__(self, source: Source, size: int, content_type: str) -> None:
        self._source = source
        self.size = size
        self.content_type = content_type

    def blocks(self) -> Iterator[bytes]:
        """Give it from its beginning.

        :raises EspoInputError: it has another size now.
        """
        self._source.open()
        left = self.size
        while left:
            block = self._source.read(min(left, BLOCK_SIZE))
            if not block:
                raise _changed()
            left -= len(block)
            yield block
        if self._source.read(1):
            raise _changed()


class Measure:
    """A sink that keeps nothing but the size and the checksum of what comes."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what has come so far."""
        self.size = 0
        self._digest = hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Take the next bytes."""
        self.size += len(block)
        self._digest.update(block)

    @property
    def sha256(self) -> str:
        """SHA-256 of what came, in hex digits."""
        return self._digest.hexdigest()


class Target(Measure):
    """A file to write, that appears whole or not at all.

    What comes is kept in a temporary file, on a local disk beside the file it is to become and otherwise where
    ``TMPDIR`` says; :meth:`publish` puts it in its place.

    :param file: where it is to be.
    :param is_folder: whether that is a folder, in which the file gets the name it has in EspoCRM.
    :raises EspoInputError: that is no place for a file.
    """

    def __init__(self, file: TargetFile, *, is_folder: bool = False) -> None:
        self._part: BinaryIO | None = None
        self._part_path: Path | None = None
        super().__init__()
        self._file: Any = file if _is_writer(file) else _path(file, "The place for the file")
        self._is_folder = is_folder

    @property
    def path(self) -> str | None:
        """Where the file is; ``None`` for a file object."""
        return None if _is_writer(self._file) else str(self._file)

    def open(self, name: str) -> None:
        """Make ready to take the file.

        :param name: the file's name in EspoCRM.
        :raises EspoInputError: nothing can be written there.
        """
        if self._is_folder:
            self._file = self._file / safe_name(name)
            self._is_folder = False
        try:
            self._part = self._open_part()
        except OSError as error:
            raise _unusable("The file cannot be written", error) from error

    def begin(self) -> None:
        """Forget what has come so far."""
        super().begin()
        if self._part is not None:
            self._part.seek(0)
            self._part.truncate()

    def write(self, block: bytes) -> None:
        """Take the next bytes."""
        super().write(block)
        if self._part is not None:
            self._part.write(block)

    def publish(self) -> None:
        """Put the file in its place."""
        if self._part is None:
            raise EspoInputError("The file to write is not open")
        self._part.flush()
        if self._part_path is not None:
            self._part.close()
            self._part_path.replace(self._file)
        elif _is_writer(self._file):
            self._part.seek(0)
            shutil.copyfileobj(self._part, self._file, BLOCK_SIZE)
        elif hasattr(self._file, "fs") and hasattr(self._file, "path"):
            # Object stores show a file only when all of it has come; a broken-off stream would be shown as it is.
            self._file.fs.put_file(self._part.name, self._file.path)
        else:
            self._part.seek(0)
            with self._file.open("wb") as file:
                shutil.copyfileobj(self._part, file, BLOCK_SIZE)
        self.discard()

    def discard(self) -> None:
        """Leave nothing behind of a file that was not published."""
        part, self._part = self._part, None
        if part is not None:
            part.close()
        path, self._part_path = self._part_path, None
        if path is not None:
            with suppress(FileNotFoundError):
                path.unlink()

    def _open_part(self) -> BinaryIO:
        if not is_local_path(self._file):
            return cast("BinaryIO", tempfile.NamedTemporaryFile(prefix="espo-"))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if self._file.is_dir():
            raise EspoInputError("The file cannot be written: there is a folder of this name")
        # Not by tempfile: its files are for their owner alone, and the file is to be as any other one.
        self._part_path = self._file.with_name(f".{self._file.name[:200]}.{uuid.uuid4().hex}.part")
        return self._part_path.open("w+b")


def safe_name(name: str) -> str:
    """Return a file's name of somebody's choice as one that leads nowhere else.

    :param name: name as EspoCRM has it.
    """
    text = _UNFIT_FOR_A_NAME.sub("_", name).strip(" .")
    return text[:200] or "file"


def _path(file: object, what: str) -> Any:
    """Return a local path as ``Path``, any other one as it is."""
    if isinstance(file, str) and "://" in file:
        raise EspoInputError(
            f"{what} is given as the text of a URL", hint="Give airflow.sdk.ObjectStoragePath(...) instead"
        )
    if isinstance(file, str) and file.strip():
        return Path(file)
    protocol = getattr(file, "protocol", None)
    if isinstance(protocol, str) and protocol in _LOCAL_PROTOCOLS and hasattr(file, "path"):
        return Path(str(getattr(file, "path")))  # noqa: B009 - an attribute of one kind of path
    if is_local_path(file):
        return file
    if isinstance(file, Openable) and hasattr(file, "stat"):
        return file
    if isinstance(file, os.PathLike):
        return Path(os.fspath(cast("os.PathLike[str]", file)))
    raise EspoInputError(
        f"{what} is {'empty' if isinstance(file, str) else f'a {type(file).__name__}'}", hint="Give a path"
    )


def _is_writer(file: object) -> bool:
    return hasattr(file, "write") and not hasattr(file, "open")


def _unusable(what: str, error: OSError) -> EspoInputError:
    return EspoInputError(f"{what}: {error.strerror or type(error).__name__}")


def _changed() -> EspoInputError:
    return EspoInputError("The file changed while it was being sent", hint="Send it when whoever writes it is done")
