"""What a bulk write has done so far, kept over the tries of a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

if TYPE_CHECKING:
    from airflow_provider_espo.client.dataset.folder import Folder

_VERSION: Final = 1

#: Ids of created records that are remembered where no files tell them. Airflow warns of values over 64 KB.
MOST_IDS: Final = 2_000

ACTIONS: Final = ("created", "updated", "unchanged", "deleted", "skipped", "missing", "failed")


@dataclass(frozen=True, kw_only=True)
class State:
    """How far it is.

    :param run: the task instance, until it is cleared.
    :param run_began: when its DAG run began; ``None`` where that is not known.
    :param task: what is written and how; a try with another task does not go on with this one.
    :param begun: when the first chunk began.
    :param since: when the chunk after the finished ones began.
    :param chunks: chunks that are finished.
    :param rows: rows in them.
    :param sha256: checksum of these rows.
    :param counts: by action the rows it was done to.
    :param routes: by route the rows that went it.
    :param failed: by number of a finished chunk that has failed rows, when it began.
    :param created: ids of the records created last, where no files tell them.
    :param look_since: when an earlier try began that may have written rows of chunks below ``look_until``.
    :param look_until: number of the first chunk that no earlier try has begun.
    :param complete: whether there was nothing left to write.
    """

    run: str
    task: str
    begun: datetime
    since: datetime
    chunks: int = 0
    rows: int = 0
    sha256: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    routes: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[int, datetime] = field(default_factory=dict)
    created: tuple[str, ...] = ()
    look_since: datetime | None = None
    look_until: int = 0
    complete: bool = False
    run_began: str | None = None

    @classmethod
    def new(cls, run: str, task: str, run_began: str | None = None) -> Self:
        """Return the state of a first try."""
        now = datetime.now(UTC)
        return cls(run=run, task=task, begun=now, since=now, run_began=run_began)

    def is_of(self, run: str, run_began: str | None) -> bool:
        """Whether a try of this run goes on from here.

        A DAG run that was deleted and made again has the id of the old one, and its rows are written anew. As the
        beginning of a run also moves when some other task of it is cleared, that is only believed of work that was
        finished: what was under way is gone on with, and looked for.
        """
        return self.run == run and not (self.complete and self.run_began != run_began)

    def resumed(self) -> State:
        """Return the state of the next try: it goes on with the chunk that may have been begun."""
        if self.look_until > self.chunks:
            # That try went over all rows again, and what it was given credit for is not known any more.
            return self.from_start()
        return replace(self, look_since=self.since, look_until=self.chunks + 1)

    def from_start(self, *, since: datetime | None = None, look_until: int | None = None) -> State:
        """Return the state of a try that goes over all rows again and looks what is done already.

        :param since: when an earlier try began; by default this one.
        :param look_until: chunks that it may have begun; by default those this one has.
        """
        begun = since or self.begun
        known = max(self.chunks + 1, self.look_until) if look_until is None else look_until
        return State(
            run=self.run,
            task=self.task,
            begun=begun,
            since=begun,
            look_since=begun,
            look_until=known,
            run_began=self.run_began,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "version": _VERSION,
            "run": self.run,
            "run_began": self.run_began,
            "task": self.task,
            "begun": self.begun.isoformat(),
            "since": self.since.isoformat(),
            "chunks": self.chunks,
            "rows": self.rows,
            "sha256": self.sha256,
            "counts": dict(self.counts),
            "routes": dict(self.routes),
            "failed": {str(number): since.isoformat() for number, since in self.failed.items()},
            "created": list(self.created),
            "look_since": None if self.look_since is None else self.look_since.isoformat(),
            "look_until": self.look_until,
            "complete": self.complete,
        }

    @classmethod
    def from_json(cls, given: object) -> State | None:
        """Read what :meth:`to_json` returned; ``None`` for anything else."""
        if not isinstance(given, Mapping) or given.get("version") != _VERSION:
            return None
        try:
            return cls(
                run=str(given["run"]),
                run_began=given.get("run_began"),
                task=str(given["task"]),
                begun=datetime.fromisoformat(given["begun"]),
                since=datetime.fromisoformat(given["since"]),
                chunks=int(given["chunks"]),
                rows=int(given["rows"]),
                sha256=str(given["sha256"]),
                counts={str(name): int(number) for name, number in given["counts"].items()},
                routes={str(name): int(number) for name, number in given["routes"].items()},
                failed={int(number): datetime.fromisoformat(since) for number, since in given["failed"].items()},
                created=tuple(str(one) for one in given["created"]),
                look_since=None if given["look_since"] is None else datetime.fromisoformat(given["look_since"]),
                look_until=int(given["look_until"]),
                complete=bool(given["complete"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


class Memory(Protocol):
    """Keeps the state over the tries of a task."""

    def load(self) -> State | None:
        """Return what was saved last, by whatever run; ``None`` if there is nothing."""

    def save(self, state: State) -> None:
        """Save the state, whole or not at all."""


class FolderMemory:
    """Keeps it in a file beside the result files.

    :param folder: the folder.
    """

    NAME: Final = "_progress.json"

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def load(self) -> State | None:
        """Return what was saved last."""
        if not self._folder.exists(self.NAME):
            return None
        try:
            return State.from_json(json.loads(self._folder.read_bytes(self.NAME)))
        except ValueError:
            return None

    def save(self, state: State) -> None:
        """Save it. The result files tell the ids."""
        self._folder.write_bytes(self.NAME, json.dumps(replace(state, created=()).to_json()).encode())


class Store(Protocol):
    """What of Airflow's task state store is used."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""


class StoreMemory:
    """Keeps it in Airflow's task state store.

    :param store: the store.
    :param key: name of the value.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key

    def load(self) -> State | None:
        """Return what was saved last."""
        return State.from_json(self._store.get(self._key))

    def save(self, state: State) -> None:
        """Save it, with the ids of the records created last."""
        small = replace(state, created=state.created[-MOST_IDS:], failed={})
        self._store.set(self._key, small.to_json())


class NoMemory:
    """Keeps nothing: where there is no store and no folder."""

    def load(self) -> State | None:
        """Return nothing."""
        return None

    def save(self, state: State) -> None:
        """Do nothing."""
