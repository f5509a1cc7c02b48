"""A try of a task that may die wherever it touches the world: the CRM, a file, a store of Airflow's, a database.

A life counts these points and ends at one of them by :class:`Killed`, which no code catches. Afterwards it is as a
process that is gone: whatever its threads and its ``finally`` clauses still try to do is refused, and what they did
to files nevertheless (a buffer written on closing) is undone, as the folder is put back to how it was at that moment.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sqlite3.dbapi2
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytest

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Audit events of changes to files, and how many of their arguments are paths.
_CHANGES: Final = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.truncate": 1, "os.link": 2}


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards is done."""


def raise_killed() -> None:
    """Die within this process."""
    raise Killed


class Life:
    """The points of one try, and its end.

    :param at: number of the point at which it dies, from 1; it lives without.
    :param die: how it dies.
    :param folders: files and SQLite databases in them are watched.
    :param at_death: called at its death, before anything else can happen.
    :param at_points: called at every point before it is passed, with the number and the name of the point.
    """

    def __init__(
        self,
        at: int | None = None,
        *,
        folders: Sequence[Path] = (),
        die: Callable[[], None] = raise_killed,
        at_death: Callable[[], None] | None = None,
        at_points: Callable[[int, str], None] | None = None,
    ) -> None:
        self.at = at
        self.dead = False
        self.passed: list[str] = []
        self._folders = tuple(str(folder) for folder in folders)
        self._die = die
        self._at_death = at_death
        self._at_points = at_points
        self._lock = threading.RLock()
        self._quiet = threading.local()

    @property
    def end(self) -> str:
        """Where it ended."""
        return f"{len(self.passed)}: {self.passed[-1]}" if self.dead else "lived"

    def point(self, name: str) -> None:
        """Pass a point, or die there."""
        if getattr(self._quiet, "on", False):
            return
        with self._lock:
            if self.dead:
                raise Killed
            self.passed.append(name)
            if self._at_points is not None:
                with self.unseen():
                    self._at_points(len(self.passed), name)
            if len(self.passed) != self.at:
                return
            self.dead = True
            if self._at_death is not None:
                with self.unseen():
                    self._at_death()
        self._die()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Do something that is none of the task's doing."""
        before = getattr(self._quiet, "on", False)
        self._quiet.on = True
        try:
            yield
        finally:
            self._quiet.on = before

    def watches(self, path: object) -> bool:
        """Whether a file is one of its own."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.fsdecode(path).removeprefix("file:").startswith(self._folders)


class _Present:
    """The life that is led at present; there is one at a time."""

    life: Life | None = None
    hooked = False


def _on_audit(name: str, arguments: tuple[Any, ...]) -> None:
    life = _Present.life
    if life is None:
        return
    if name == "open":
        path, _mode, flags = arguments
        if flags & _WRITES and life.watches(path):
            life.point(f"open {Path(os.fspath(path)).name}")
    elif name in _CHANGES:
        paths = [path for path in arguments[: _CHANGES[name]] if life.watches(path)]
        if paths:
            life.point(f"{name.removeprefix('os.')} {Path(os.fsdecode(paths[-1])).name}")


class _Cursor(sqlite3.Cursor):
    """A cursor whose statements are points."""

    def execute(self, sql: str, *parameters: Any) -> Self:
        _sql_point(sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> Self:
        _sql_point(sql)
        return super().executemany(sql, *parameters)


class _Connection(sqlite3.Connection):
    """A connection whose statements and commits are points. Of a dead process' transaction nothing is left."""

    def cursor(self, *_: Any) -> Any:
        return super().cursor(_Cursor)

    def execute(self, sql: str, *parameters: Any) -> Any:
        return self.cursor().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> Any:
        return self.cursor().executemany(sql, *parameters)

    def commit(self) -> None:
        _sql_point("commit >")
        super().commit()
        _sql_point("commit <")


def _sql_point(statement: str) -> None:
    if _Present.life is not None:
        _Present.life.point(f"sql {' '.join(statement.split()[:3])}")


@contextmanager
def led(life: Life) -> Iterator[Life]:
    """Have everything that touches files and databases pass the points of a life."""
    if not _Present.hooked:
        # Cannot be taken back; does nothing when there is no life.
        sys.addaudithook(_on_audit)
        _Present.hooked = True
    library_connect = sqlite3.connect

    def fsync(_descriptor: int) -> None:
        # Only a power cut would tell whether it was done.
        life.point("fsync")

    def connect(database: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
        if life.watches(database):
            options["factory"] = _Connection
        connection: sqlite3.Connection = library_connect(database, *arguments, **options)
        return connection

    assert _Present.life is None, "another life is being led"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        for module in (sqlite3, sqlite3.dbapi2):
            patch.setattr(module, "connect", connect)
        _Present.life = life
        try:
            yield life
        finally:
            _Present.life = None


class Snapshot:
    """A folder as it was at a moment.

    :param folder: the folder.
    :param keep: where to keep it meanwhile.
    """

    def __init__(self, folder: Path, keep: Path) -> None:
        self._folder = folder
        self._keep = keep

    def take(self) -> None:
        """Keep the folder as it is now."""
        shutil.rmtree(self._keep, ignore_errors=True)
        while True:
            try:
                shutil.copytree(self._folder, self._keep)
            except (shutil.Error, FileNotFoundError):
                # What another thread had begun before was done meanwhile.
                shutil.rmtree(self._keep, ignore_errors=True)
            else:
                return

    def restore(self) -> None:
        """Put the folder back to how it was."""
        shutil.rmtree(self._folder)
        self._keep.rename(self._folder)
