"""Result files of a bulk write: for each chunk what became of its rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from airflow_provider_espo.client.bulk.chunks import encoded
from airflow_provider_espo.client.errors import EspoInputError

if TYPE_CHECKING:
    from airflow_provider_espo.client.dataset.folder import Folder
    from airflow_provider_espo.client.operations.bulk import Outcome

SUMMARY: Final = "results.json"

#: Actions after which a row is neither done nor failed.
_SKIPPED: Final = frozenset({"skipped", "missing"})


class FailedRow(TypedDict):
    """A row that failed: its place among all rows, why, and the row itself."""

    index: int
    error: str
    row: Any


class ResultFiles:
    """The files in one folder.

    ``ok-00012.ndjson`` has a line ``{"index", "id", "action"}`` for each row of chunk 12 that is done,
    ``skipped-00012.ndjson`` the same for those that were skipped or whose record is missing, and
    ``failed-00012.ndjson`` ``{"index", "error", "row"}`` with the row as it was given. Files without lines are not
    written. ``results.json`` comes last and counts.

    :param folder: where they are.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def write(self, number: int, outcomes: Sequence[Outcome], rows: Mapping[int, Any]) -> None:
        """Write the files of a chunk, in place of those that are there.

        :param number: the chunk's.
        :param outcomes: by place among all rows.
        :param rows: the rows that failed, as they were given, by their place.
        """
        done = [it for it in outcomes if it["action"] not in _SKIPPED and it["action"] != "failed"]
        skipped = [it for it in outcomes if it["action"] in _SKIPPED]
        failed = [it for it in outcomes if it["action"] == "failed"]
        self._put("ok", number, (_line(it) for it in done))
        self._put("skipped", number, (_line(it) for it in skipped))
        # Last: a row that is in none of them would be lost, one that is in two is sent again and looked for.
        self._put(
            "failed",
            number,
            (
                b'{"index":%d,"error":%b,"row":%b}'
                % (it["index"], msgspec.json.encode(it["error"]), encoded(rows[it["index"]]))
                for it in failed
            ),
        )

    def failed(self, number: int) -> list[FailedRow]:
        """Return the rows of a chunk that failed."""
        return list(self._lines("failed", number))

    def outcomes(self, number: int) -> list[Outcome]:
        """Return the outcomes of a chunk's rows that did not fail."""
        found = [*self._lines("ok", number), *self._lines("skipped", number)]
        return [{"index": it["index"], "id": it["id"], "action": it["action"], "error": None} for it in found]

    def created(self, number: int, *, but: Collection[int] = ()) -> Iterator[str]:
        """Give the ids of records that a chunk created.

        :param number: the chunk's.
        :param but: places of rows that do not count.
        """
        for it in self._lines("ok", number):
            if it["action"] == "created" and it["index"] not in but:
                yield it["id"]

    def clear(self) -> None:
        """Remove all files of an earlier run."""
        for name in self.names():
            self.folder.remove(name)
        self.folder.remove(SUMMARY)

    def is_used(self) -> bool:
        """Whether there are result files, of whatever run."""
        return any(name == SUMMARY or _is_ours(name) for name in self.folder.names())

    def names(self) -> list[str]:
        """Return the names of the files of all chunks."""
        return [name for name in self.folder.names() if _is_ours(name)]

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write what all of it came to."""
        content = {**summary, "files": self.names()}
        self.folder.write_bytes(SUMMARY, json.dumps(content, indent=2).encode() + b"\n")

    def _put(self, kind: str, number: int, lines: Iterable[bytes]) -> None:
        content = b"".join(line + b"\n" for line in lines)
        name = _name(kind, number)
        if content:
            self.folder.write_bytes(name, content)
        else:
            # Of a chunk that is done again there may be one.
            self.folder.remove(name)

    def _lines(self, kind: str, number: int) -> Iterator[Any]:
        name = _name(kind, number)
        if not self.folder.exists(name):
            return
        try:
            for line in self.folder.read_bytes(name).splitlines():
                yield msgspec.json.decode(line)
        except msgspec.MsgspecError:
            raise EspoInputError(
                f"{self.folder}/{name} is damaged", hint="Was it edited? Clear the task to begin anew"
            ) from None


def _name(kind: str, number: int) -> str:
    return f"{kind}-{number:05d}.ndjson"


def _is_ours(name: str) -> bool:
    kind, _, rest = name.partition("-")
    return kind in ("ok", "skipped", "failed") and rest.endswith(".ndjson") and rest[:-7].isdigit()


def _line(outcome: Outcome) -> bytes:
    return msgspec.json.encode({name: outcome[name] for name in ("index", "id", "action")})
