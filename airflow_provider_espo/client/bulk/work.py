"""A bulk write over all tries of a task: chunk by chunk, each noted when it is done.

A chunk's result files, then the note that it is finished: what is noted is not sent again. The chunk that was under way
when a try died is done again, and what that try did to it is looked for first.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_espo.client.bulk.chunks import Chunk, chunks_of
from airflow_provider_espo.client.bulk.ids import IdSet
from airflow_provider_espo.client.bulk.limits import FailureLimit
from airflow_provider_espo.client.bulk.memory import ACTIONS, MOST_IDS, Memory, NoMemory, State
from airflow_provider_espo.client.bulk.preparing import Preparing
from airflow_provider_espo.client.errors import EspoInputError, EspoShortfallError

if TYPE_CHECKING:
    from airflow_provider_espo.client.bulk.results import ResultFiles
    from airflow_provider_espo.client.bulk.writer import Writer
    from airflow_provider_espo.client.operations.bulk import Outcome

#: Reasons of failures that a try logs.
_TOLD: Final = 20

#: Rows before a chunk whose records may have been created within the time that a look for its own goes back.
_ROWS_BEFORE: Final = 10_000


@dataclass
class BulkWrite:
    """Writes many rows.

    :param writer: writes a chunk's rows.
    :param preparing: makes rows ready to be sent.
    :param memory: keeps the state over the tries.
    :param results: takes the outcomes; ``None`` to keep none.
    :param limit: rows that may fail.
    :param chunk_size: rows of a chunk.
    :param run: the task instance: ``dag/run/task/map_index#generation``, the same in all tries until it is cleared.
    :param task: checksum of what is written and how.
    :param run_began: when the DAG run began.
    :param log: told of each chunk.
    :param stopped: says whether the task was killed.
    """

    writer: Writer
    preparing: Preparing
    memory: Memory
    results: ResultFiles | None
    limit: FailureLimit
    chunk_size: int
    run: str
    task: str
    log: logging.Logger
    stopped: Callable[[], bool] = bool
    run_began: str | None = None
    _claimed: set[str] = field(default_factory=set)
    _told: int = 0
    _waited: bool = False

    def write(self, rows: Iterable[Any], *, earlier_since: datetime | None = None) -> dict[str, Any]:
        """Write all rows that no earlier try has written.

        :param rows: the rows, the same in each try.
        :param earlier_since: when an earlier try began at the earliest, where no memory would tell; ``None`` on the
            first try.
        :return: by action the number of rows, and the route that most rows went, ``None`` if there were none.
        :raises EspoShortfallError: more rows failed than may.
        :raises EspoInputError: the rows are not those of an earlier try, or cannot be written at all.
        :raises EspoError: what would meet every row; the next try goes on from here.
        """
        state = self._begin(earlier_since)
        state = self._failed_again(state)
        if not state.complete:
            state = self._all_chunks(state, rows)
        return self._end(state)

    # -- tries -------------------------------------------------------------------------------------------------------

    def _begin(self, earlier_since: datetime | None) -> State:
        known = self.memory.load()
        if known is None or not known.is_of(self.run, self.run_began):
            state = State.new(self.run, self.task, self.run_began)
            if earlier_since is not None and isinstance(self.memory, NoMemory):
                return state.from_start(since=earlier_since, look_until=sys.maxsize)
            self.memory.save(state)
            return state
        if known.task != self.task:
            raise EspoInputError(
                "The task was changed between two of its tries: an earlier one wrote otherwise",
                hint="Clear the task to begin anew",
            )
        failed = known.counts.get("failed", 0)
        ended = known.complete or self.limit.stops(failed)
        if self.results is None and ended and self.limit.exceeded(failed, known.rows):
            # The rows that failed are not kept, so all are gone over again.
            self.log.info("An earlier try had too many failures: all rows are looked at again")
            state = known.from_start()
            self.memory.save(state)
            return state
        if known.complete:
            self.log.info("An earlier try has written all rows")
            return known
        state = known.resumed()
        self.log.info("An earlier try has finished %d chunks with %d rows", state.chunks, state.rows)
        if state.chunks < known.chunks:
            self.memory.save(state)
        return state

    def _failed_again(self, state: State) -> State:
        """Write the rows that failed in an earlier try."""
        if self.results is None or not state.failed:
            return state
        # Equal rows of other chunks, also of later ones, may have records that were made since.
        claimed = IdSet(self._created_by_others(state))
        for number in sorted(state.failed):
            self._stop_if_killed()
            rows = {line["index"]: line["row"] for line in self.results.failed(number)}
            done = [it for it in self.results.outcomes(number) if it["index"] not in rows]
            since = state.failed[number]
            new = self._written(list(rows.items()), since=since, claimed=claimed, of="rows that failed before")
            outcomes = sorted([*done, *new[0]], key=lambda it: it["index"])
            self.results.write(number, outcomes, rows)
            left = {**state.failed}
            if not any(it["action"] == "failed" for it in new[0]):
                del left[number]
            counts = Counter(state.counts)
            counts["failed"] -= len(rows)
            counts.update(it["action"] for it in new[0])
            state = replace(state, counts=dict(+counts), failed=left)
            self.memory.save(state)
        return state

    def _all_chunks(self, state: State, rows: Iterable[Any]) -> State:
        seen = 0
        for chunk in chunks_of(rows, self.chunk_size):
            seen = chunk.end
            if chunk.number < state.chunks:
                self._check_the_same(state, chunk)
                continue
            self._stop_if_killed()
            state = self._chunk(state, chunk)
            if self.limit.stops(state.counts.get("failed", 0)):
                return state
        if seen < state.rows:
            raise _other_rows(f"there were {state.rows} at least and now there are {seen}")
        state = replace(state, complete=True)
        self.memory.save(state)
        return state

    def _chunk(self, state: State, chunk: Chunk) -> State:
        since = state.look_since if chunk.number < state.look_until else None
        if since is None:
            claimed: set[str] = set()
        elif self.results is not None:
            claimed = set(self._created_before(chunk.number))
        else:
            # Those of all earlier chunks of this try; and at first those an earlier try remembered.
            claimed = self._claimed
            claimed |= set(state.created)
        began = datetime.now(UTC)
        places = list(enumerate(chunk.rows, chunk.first))
        if chunk.number == 0:
            self.preparing.check_first(chunk.rows)
        outcomes, routes = self._written(places, since=since, claimed=claimed, of=f"chunk {chunk.number}")
        failed = dict(state.failed)
        if self.results is not None:
            self.results.write(chunk.number, outcomes, dict(places))
            if any(it["action"] == "failed" for it in outcomes):
                failed[chunk.number] = since or began
        created = tuple(str(it["id"]) for it in outcomes if it["action"] == "created")
        state = replace(
            state,
            since=datetime.now(UTC),
            chunks=chunk.number + 1,
            rows=chunk.end,
            sha256=chunk.sha256,
            counts=dict(Counter(state.counts) + Counter(it["action"] for it in outcomes)),
            routes=dict(Counter(state.routes) + Counter(routes)),
            failed=failed,
            created=(*state.created, *created)[-MOST_IDS:],
        )
        self.memory.save(state)
        self.log.info("%d rows: %s", state.rows, in_words(state.counts))
        return state

    def _written(
        self, rows: Sequence[tuple[int, Any]], *, since: datetime | None, claimed: set[str], of: str
    ) -> tuple[list[Outcome], dict[str, int]]:
        """Write rows and return an outcome for each, in their order, and how many went which way."""
        if since is not None and not self._waited:
            self.writer.wait_for_earlier(since)
            self._waited = True
        ready, outcomes = self.preparing.ready(rows)
        written = self.writer.write(ready, since=since, claimed=claimed)
        self.log.info("%s: by %s (%s)", of, written.choice.route, written.choice.why)
        outcomes += written.outcomes
        for outcome in outcomes:
            if outcome["action"] == "failed" and self._told < _TOLD:
                self._told += 1
                self.log.warning("Row %d failed: %s", outcome["index"], outcome["error"])
        outcomes.sort(key=lambda it: it["index"])
        return outcomes, written.routes

    def _created_before(self, number: int) -> Iterator[str]:
        """Ids of records that chunks before this one created, as far back as a look for its own goes."""
        if self.results is not None and self.writer.operation == "create":
            for other in range(max(0, number - -(-_ROWS_BEFORE // self.chunk_size)), number):
                yield from self.results.created(other)

    def _created_by_others(self, state: State) -> Iterator[str]:
        """Ids of records that were created of other rows than those that failed."""
        if self.results is None or self.writer.operation != "create":
            return
        first = min(state.failed)
        yield from self._created_before(first)
        for number in range(first, state.chunks):
            # A try that died while it wrote the files may have left a row in two of them.
            failed = {line["index"] for line in self.results.failed(number)} if number in state.failed else ()
            yield from self.results.created(number, but=failed)

    def _check_the_same(self, state: State, chunk: Chunk) -> None:
        if chunk.number == state.chunks - 1 and chunk.sha256 != state.sha256:
            raise _other_rows(f"one of the first {state.rows} is another one, or they came in another order")

    def _stop_if_killed(self) -> None:
        if self.stopped():
            raise EspoShortfallError("The task was killed", hint="A retry goes on with the next rows")

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self, state: State) -> dict[str, Any]:
        counts = {action: state.counts.get(action, 0) for action in ACTIONS}
        routes = {name: rows for name, rows in sorted(state.routes.items()) if rows}
        result = {**counts, "route": max(routes, key=lambda name: routes[name], default=None)}
        if self.results is not None:
            self.results.finish({**result, "routes": routes, "rows": state.rows, "complete": state.complete})
        self.log.info("%d rows: %s", state.rows, in_words(counts))
        if self.limit.exceeded(counts["failed"], state.rows):
            raise EspoShortfallError(
                f"{counts['failed']} of {state.rows} rows failed, more than may: {self.limit} (max_failures). "
                + ("All others were written" if state.complete else "The rows after these were not tried"),
                count=state.rows - counts["failed"],
                expected=state.rows,
                hint=self._what_to_do(),
            )
        return result

    def _what_to_do(self) -> str:
        if self.results is None:
            return "The log has the first reasons, results_path keeps all. A retry looks at all rows again"
        return (
            f"{self.results.folder}/failed-*.ndjson has each with its reason. A retry tries these again and goes on; "
            "mended, such a file can be given as path"
        )


def in_words(counts: Mapping[str, int]) -> str:
    """Say what was done, for a log."""
    return ", ".join(f"{counts[action]} {action}" for action in ACTIONS if counts.get(action)) or "nothing"


def _other_rows(how: str) -> EspoInputError:
    return EspoInputError(
        f"The rows are not those of an earlier try: {how}",
        hint="A retry goes on where that one stopped, so it needs the same rows in the same order (ORDER BY a unique "
        "column). Clear the task to begin anew",
    )
