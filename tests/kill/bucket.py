"""An object store in memory: an object appears whole when it is put, and every call may be the last of a process."""

from __future__ import annotations

import io
from typing import Any

from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem  # type: ignore[import-untyped]

from tests.kill.lives import Life

CONN_ID = "bucket"


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """An object store of its own.

    :param life: whose calls these are; may be set anew.
    """

    #: fsspec would give the one that was made first.
    cachable = False

    def __init__(self) -> None:
        super().__init__(global_store=False)
        self.life: Life | None = None

    def point(self, name: str) -> None:
        """Pass a point of the life that is led, if there is one."""
        if self.life is not None:
            self.life.point(name)

    def _open(self, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        if mode == "rb":
            return io.BytesIO(self.cat_file(path))
        assert mode == "wb", mode
        return _Upload(self, self._strip_protocol(path))

    def put(self, path: str, content: bytes) -> None:
        """Store an object; the answer may be lost."""
        name = path.rsplit("/", 1)[-1]
        self.point(f"put {name} >")
        self.store[path] = MemoryFile(self, path, content)
        self.point(f"put {name} <")

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Store an object."""
        self.put(self._strip_protocol(path), value)

    def put_file(self, lpath: str, rpath: str, *_: Any, **__: Any) -> None:
        """Store a file."""
        with open(lpath, "rb") as file:
            self.put(self._strip_protocol(rpath), file.read())

    def _rm(self, path: str) -> None:
        name = path.rsplit("/", 1)[-1]
        self.point(f"rm {name} >")
        super()._rm(path)
        self.point(f"rm {name} <")

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Object stores have no folders."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Object stores have no folders."""


class _Upload(io.BytesIO):
    """What is written becomes an object on closing, as with fsspec's object stores, also after an error."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        super().__init__()
        self._bucket = bucket
        self._path = path

    def close(self) -> None:
        if not self.closed:
            content = self.getvalue()
            super().close()
            self._bucket.put(self._path, content)


def attached() -> Bucket:
    """Return a new object store, reached under ``memory://bucket@...``."""
    store = attach(protocol="memory", conn_id=CONN_ID)
    store.fs = bucket = Bucket()
    return bucket
