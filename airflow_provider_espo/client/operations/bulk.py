"""Write many records, with an outcome for each.

EspoCRM has no request that writes many records. They are written one by one, several side by side; for an upsert the
keys of some dozens are looked up at once, so that rows which change nothing cost next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypedDict, get_args

from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoError,
    EspoInputError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoRateLimitError,
    EspoServerError,
    EspoTransportError,
)
from airflow_provider_espo.client.operations.records import (
    OnDuplicate,
    check_attributes,
    check_match_names,
    create_record,
    delete_record,
    update_record,
)
from airflow_provider_espo.client.operations.schema import writable
from airflow_provider_espo.client.operations.upsert import check_key, has_key, is_whole_answer, look_up, upsert_wire
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import Operation, Record, entity_type_segment

WriteOperation = Literal["create", "update", "upsert", "delete"]

#: Rows whose keys are looked up in one request: an address of about 3 KB.
_ROWS_AT_ONCE = 50
_KEY_BYTES_AT_ONCE = 3000

#: After one of these the next row would fare no better.
_FATAL = (
    EspoAuthenticationError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoRateLimitError,
    EspoTransportError,
)


class Outcome(TypedDict):
    """What became of one row.

    ``index``: place of the row in what was given, from 0.
    ``id``: id of the record, ``None`` if there is none.
    ``action``: ``created``, ``updated``, ``unchanged``, ``skipped``, ``deleted``, ``missing`` or ``failed``.
    ``error``: for a failed row what went wrong, without values of the row.
    """

    index: int
    id: str | None
    action: str
    error: str | None


Row = tuple[int, Mapping[str, Any]]


def write_many(
    state: ClientState,
    entity_type: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    operation: WriteOperation = "upsert",
    match_by: Sequence[str] = ("emailAddress",),
    on_duplicate: OnDuplicate = "fail",
    validate: bool = True,
) -> Plan:
    """Create, update, upsert or delete many records, several side by side (``max_workers`` of the connection).

    A row that fails does not stop the others: look at the outcomes. Rows with the same key are written in the order
    given. What would fail for every row alike (credentials, an unreachable server) is raised, with the outcomes so
    far as ``outcomes`` on the error.

    :param entity_type: such as ``Lead``.
    :param rows: attributes by name for each record; ``update`` and ``delete`` need ``id`` among them.
    :param operation: ``create``, ``update``, ``upsert`` or ``delete``. All but ``create`` may simply be tried again.
    :param match_by: for ``upsert``, and ``create`` with ``on_duplicate``: attributes that make the key.
    :param on_duplicate: for ``create``, as in :meth:`create_record`.
    :param validate: refuse names that the server does not have, before anything is written.
    :return: for each row, in the order given, ``{"index", "id", "action", "error"}``; action ``created``, ``updated``,
        ``unchanged``, ``skipped``, ``deleted``, ``missing`` or ``failed``.
    :raises EspoUnknownNameError: an attribute that the server does not have, in any row.
    """
    return Plan(state, entity_type, rows, operation, check_match_names(match_by), on_duplicate, validate)


class Plan:
    """Many writes as operations that may run side by side.

    First :meth:`prepare`, then run each of :meth:`operations` and :meth:`add` what it returns, at last
    :meth:`outcomes`.
    """

    def __init__(
        self,
        state: ClientState,
        entity_type: str,
        rows: Sequence[Mapping[str, Any]],
        operation: WriteOperation,
        match_by: tuple[str, ...],
        on_duplicate: OnDuplicate,
        validate: bool,
    ) -> None:
        if operation not in get_args(WriteOperation):
            raise EspoInputError(
                f"operation is {operation!r}", hint=f"Give one of {', '.join(get_args(WriteOperation))}"
            )
        if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Sequence):
            raise EspoInputError(f"Rows are a {type(rows).__name__} and not a list of dicts")
        self._state = state
        self._entity_type = entity_type_segment(entity_type)
        self._rows = rows
        self._operation = operation
        self._match_by = match_by
        self._on_duplicate = on_duplicate
        self._validate = validate
        self._schema: EntitySchema | None = None
        self._outcomes: dict[int, Outcome] = {}
        self._fatal: EspoError | None = None

    def prepare(self) -> Operation[EntitySchema | None]:
        """Check all names of all rows, before anything is written."""
        names = {name for row in self._rows if isinstance(row, Mapping) for name in row} - {"id"}
        if self._operation == "delete" or not names:
            return None
        if self._operation == "upsert":
            names |= set(self._match_by)
        return (yield from writable(self._state, self._entity_type, sorted(names, key=str), validate=self._validate))

    def operations(self, schema: EntitySchema | None) -> Iterator[Operation[list[Outcome]]]:
        """Operations that may run side by side: no two touch the same key."""
        self._schema = schema
        lanes = self._upsert_lanes() if self._operation == "upsert" else self._plain_lanes()
        for lane in lanes:
            yield self._upsert_lane(lane) if self._operation == "upsert" else self._plain_lane(lane)

    def add(self, done: list[Outcome] | EspoError) -> None:
        """Take what one operation returned."""
        if isinstance(done, EspoError):
            self._fatal = self._fatal or done
            return
        self._outcomes.update((outcome["index"], outcome) for outcome in done)

    def outcomes(self) -> list[Outcome]:
        """Outcomes in the order of the rows.

        :raises EspoError: what stopped the writing.
        """
        outcomes = [self._outcomes[index] for index in sorted(self._outcomes)]
        if self._fatal is not None:
            self._fatal.outcomes = tuple(outcomes)
            raise self._fatal
        return outcomes

    # -- one row after the other -------------------------------------------------------------------------------------

    def _plain_lanes(self) -> Iterator[list[Row]]:
        """Rows of the same record in one lane."""
        lanes: dict[object, list[Row]] = {}
        for index, row in enumerate(self._rows):
            record_id = row.get("id") if isinstance(row, Mapping) else None
            lanes.setdefault(record_id if isinstance(record_id, str) and record_id else index, []).append((index, row))
        yield from lanes.values()

    def _plain_lane(self, lane: list[Row]) -> Operation[list[Outcome]]:
        outcomes = []
        for index, row in lane:
            outcomes.append((yield from self._tried(index, self._plain(row))))
        return outcomes

    def _plain(self, row: Mapping[str, Any]) -> Operation[Record]:
        values = dict(check_attributes(row))
        if self._operation == "create":
            return (
                yield from create_record(
                    self._state,
                    self._entity_type,
                    values,
                    on_duplicate=self._on_duplicate,
                    match_by=self._match_by,
                    validate=self._validate,
                )
            )
        record_id = values.pop("id", None)
        if self._operation == "delete":
            return (yield from delete_record(self._state, self._entity_type, record_id))
        return (
            yield from update_record(self._state, self._entity_type, record_id, values, validate=self._validate)
        )

    # -- upsert ------------------------------------------------------------------------------------------------------

    def _upsert_lanes(self) -> Iterator[list[Row]]:
        """Rows ready to be sent, those with the same key in one lane, some dozens in each."""
        groups: dict[str, list[Row]] = {}
        for index, row in enumerate(self._rows):
            try:
                wire = to_wire(check_attributes(row), self._schema)
                check_key(wire, self._match_by)
            except EspoError as error:
                self.add([_failed(index, error)])
                continue
            groups.setdefault(_key_text(wire, self._match_by), []).append((index, wire))
        most = max(1, min(_ROWS_AT_ONCE, -(-len(groups) // (2 * self._state.config.max_workers))))
        lane: list[Row] = []
        size = 0
        for key, rows in groups.items():
            if lane and (len(lane) >= most or size + len(key.encode()) > _KEY_BYTES_AT_ONCE):
                yield lane
                lane, size = [], 0
            lane += rows
            size += len(key.encode())
        if lane:
            yield lane

    def _upsert_lane(self, lane: list[Row]) -> Operation[list[Outcome]]:
        try:
            found = [] if self._fatal else (yield from self._look_up([wire for _, wire in lane]))
        except EspoError as error:
            self._note(error)
            return [_failed(index, error) for index, _ in lane]
        written: set[str] = set()
        outcomes = []
        for index, wire in lane:
            key = _key_text(wire, self._match_by)
            known = None if found is None or key in written else self._known(found, wire)
            written.add(key)
            writing = upsert_wire(
                self._state, self._entity_type, wire, self._match_by, self._schema, found=known
            )
            outcomes.append((yield from self._tried(index, writing)))
        return outcomes

    def _look_up(self, wires: list[Mapping[str, Any]]) -> Operation[list[Record] | None]:
        """Records with one of the keys; ``None`` if each row has to be looked up for itself."""
        found = yield from look_up(self._state, self._entity_type, wires, self._match_by)
        # A record may show none of the keys, such as one that has the address as its second: which row it belongs to
        # only a look-up of its own tells.
        clear = all(any(has_key(record, wire, self._match_by, self._schema) for wire in wires) for record in found)
        return found if clear and is_whole_answer(found) else None

    def _known(self, found: list[Record], wire: Mapping[str, Any]) -> list[Record]:
        return [record for record in found if has_key(record, wire, self._match_by, self._schema)]

    # -- outcomes ----------------------------------------------------------------------------------------------------

    def _tried(self, index: int, writing: Operation[Record]) -> Operation[Outcome]:
        if self._fatal is not None:
            writing.close()
            return {"index": index, "id": None, "action": "failed", "error": "Not tried after an earlier error."}
        try:
            result = yield from writing
        except EspoError as error:
            self._note(error)
            return _failed(index, error)
        return {"index": index, "id": result["id"], "action": result["action"], "error": None}

    def _note(self, error: EspoError) -> None:
        down = isinstance(error, EspoServerError) and error.status != 500
        if isinstance(error, _FATAL) or down:
            self._fatal = self._fatal or error


def _failed(index: int, error: EspoError) -> Outcome:
    return {"index": index, "id": None, "action": "failed", "error": str(error)}


def _key_text(wire: Mapping[str, Any], match_by: Sequence[str]) -> str:
    """Text that is the same for rows that mean the same record; letter case does not count."""
    return json.dumps([wire[name] for name in match_by], ensure_ascii=False).lower()
