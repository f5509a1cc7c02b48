"""Write many records, with an outcome for each.

EspoCRM has no request that writes many records. They are written one by one, several side by side; where records have
to be found first, those of some dozens of rows are looked up at once, so that rows which change nothing cost next to
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypedDict, get_args

from airflow_provider_espo.client.errors import (
    EspoError,
    EspoInputError,
)
from airflow_provider_espo.client.operations.bulk_lanes import Lane, Row, is_fatal, keyed_lanes, look_up
from airflow_provider_espo.client.operations.bulk_rows import (
    created_since,
    delete_found,
    has_key,
    is_record_id,
    update_found,
)
from airflow_provider_espo.client.operations.keys import (
    Found,
    Key,
    MatchKey,
    check_match_names,
)
from airflow_provider_espo.client.operations.records import (
    OnDuplicate,
    check_on_duplicate,
    create_wire,
)
from airflow_provider_espo.client.operations.schema import checked_schema, writable
from airflow_provider_espo.client.operations.upsert import upsert_wire
from airflow_provider_espo.client.schema import EntitySchema, check_readable
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import Operation, Record, entity_type_segment
from airflow_provider_espo.client.wording import a_kind

WriteOperation = Literal["create", "update", "upsert", "delete"]

_NOT_TRIED = "Not tried after an earlier error."


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


def write_many(
    state: ClientState,
    entity_type: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    operation: WriteOperation = "upsert",
    match_by: Sequence[str] | None = None,
    on_duplicate: OnDuplicate = "fail",
    validate: bool = True,
    look_for_earlier_since: datetime | None = None,
) -> Plan:
    """Create, update, upsert or delete many records, several side by side (``max_workers`` of the connection).

    A row that fails does not stop the others: look at the outcomes. Rows with the same key are written in the order
    given. What would fail for every row alike (credentials, an unreachable server) is raised, with the outcomes so
    far as ``outcomes`` on the error.

    :param entity_type: such as ``Lead``.
    :param rows: attributes by name for each record; those of ``match_by`` among them.
    :param operation: ``create``, ``update``, ``upsert`` or ``delete``. All but ``create`` may simply be tried again.
    :param match_by: attributes that make the key. By default ``id`` for ``update`` and ``delete``, and
        ``emailAddress`` for ``upsert``. A ``create`` needs none but for ``on_duplicate`` (``emailAddress``); where it
        is given, records of an earlier try are found by it.
    :param on_duplicate: for ``create``, as in :meth:`create_record`.
    :param validate: refuse names that the server does not have, before anything is written.
    :param look_for_earlier_since: for ``create``: an earlier try may have created some of the rows since this time.
        Then each row's record is looked for before it is created: by ``match_by`` if that is given, otherwise by all
        its values, among those the connection's user created.
    :return: for each row, in the order given, ``{"index", "id", "action", "error"}``; action ``created``, ``updated``,
        ``unchanged``, ``skipped``, ``deleted``, ``missing`` or ``failed``.
    :raises EspoUnknownNameError: an attribute that the server does not have, in any row.
    :raises EspoInputError: rows that are no list, or an unknown ``operation`` or ``on_duplicate``.
    """
    names = check_match_names(match_by if match_by is not None else default_match_by(operation))
    return Plan(
        MatchKey(state, entity_type_segment(entity_type), names),
        rows,
        operation=operation,
        on_duplicate=on_duplicate,
        validate=validate,
        since=look_for_earlier_since,
        since_by_key=match_by is not None,
    )


def check_operation(operation: object) -> None:
    """Refuse what is no way to write."""
    if operation not in get_args(WriteOperation):
        raise EspoInputError(f"operation is {operation!r}", hint=f"Give one of {', '.join(get_args(WriteOperation))}")


def default_match_by(operation: str) -> tuple[str, ...]:
    """Return the key of an operation that was given none."""
    return ("id",) if operation in ("update", "delete") else ("emailAddress",)


class Plan:
    """Many writes as operations that may run side by side.

    First :meth:`prepare`, then run each of :meth:`operations` and :meth:`add` what it returns, at last
    :meth:`outcomes`.

    :param key: what makes the key; its schema is looked up by :meth:`prepare`.
    :param rows: the rows.
    :param operation: what to do.
    :param on_duplicate: of a create.
    :param validate: whether names are checked.
    :param since: when an earlier try may have begun to create these rows; ``None`` if none did.
    :param since_by_key: whether what it created is looked for by the key.
    :param claimed: ids of records that come from other rows; what is created here is added.
    :param known: records by key, if they were looked up a moment ago.
    """

    def __init__(
        self,
        key: MatchKey,
        rows: Sequence[Mapping[str, Any]],
        *,
        operation: WriteOperation,
        on_duplicate: OnDuplicate = "fail",
        validate: bool = True,
        since: datetime | None = None,
        since_by_key: bool = False,
        claimed: set[str] | None = None,
        known: Mapping[Key, list[Found]] | None = None,
    ) -> None:
        check_operation(operation)
        if isinstance(rows, str | bytes | bytearray | Mapping) or not isinstance(rows, Sequence):
            raise EspoInputError(
                f"Rows are {a_kind(rows)} and not a list of dicts",
                hint="Give a list; of a generator make one with list(...)",
            )
        check_on_duplicate(on_duplicate)
        self._state = key.state
        self._entity_type = key.entity_type
        self._key = key
        self._rows = rows
        self._operation = operation
        self._on_duplicate = on_duplicate
        self._validate = validate
        self._outcomes: dict[int, Outcome] = {}
        self._fatal: EspoError | None = None
        self._answered = False
        self._since = since
        self._since_by_key = since_by_key
        self._known = known or {}
        self._created: set[str] = set() if claimed is None else claimed

    def prepare(self) -> Operation[EntitySchema | None]:
        """Check all names of all rows, before anything is written."""
        # A name that is no text (the csv module puts surplus cells under None) is that row's own mistake.
        names = {
            name for row in self._rows if isinstance(row, Mapping) for name in row if isinstance(name, str) and name
        }
        if self._by_id:
            names.discard("id")
        if not names or (self._operation == "delete" and self._by_id):
            return None
        key = set() if self._by_id or self._operation == "create" else set(self._key.names)
        if self._operation == "upsert":
            # A record that is created is given its key.
            names, key = names | key, set()
        elif self._operation == "delete":
            names = set()
        schema = yield from writable(
            self._state,
            self._entity_type,
            sorted(names - key),
            validate=self._validate,
            updating=self._operation == "update",
        )
        if schema is not None and key:
            schema = yield from checked_schema(
                self._state, self._entity_type, lambda it: check_readable(it, sorted(key), "match_by")
            )
        self._answered = schema is not None
        return schema

    def operations(self, schema: EntitySchema | None) -> Iterator[Operation[list[Outcome]]]:
        """Operations that may run side by side: no two touch the same key."""
        self._key = replace(self._key, schema=schema)
        if self._is_looked_up:
            yield from map(self._keyed_lane, self._keyed_lanes())
        else:
            yield from map(self._plain_lane, self._plain_lanes())

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
        if self._fatal is not None:
            self._fatal.outcomes = tuple(self.outcomes_so_far)
            raise self._fatal
        return self.outcomes_so_far

    @property
    def outcomes_so_far(self) -> list[Outcome]:
        """What is known of the rows, in their order."""
        return [self._outcomes[index] for index in sorted(self._outcomes)]

    @property
    def _by_id(self) -> bool:
        return self._operation in ("update", "delete") and self._key.names == ("id",)

    @property
    def _is_looked_up(self) -> bool:
        """Whether it depends on the record with the key what is to be sent."""
        return self._operation != "create" and not (self._operation == "delete" and self._by_id)

    # -- one row after the other -------------------------------------------------------------------------------------

    def _plain_lanes(self) -> Iterator[Lane]:
        """Rows of the same record in one lane."""
        lanes: dict[Hashable, Lane] = {}
        for index, row in enumerate(self._rows):
            try:
                values = self._checked(row)
                lanes.setdefault(self._same_record(values), []).append((index, values))
            except EspoError as error:
                self.add([_failed(index, error)])
        yield from lanes.values()

    def _checked(self, row: object) -> Mapping[str, Any]:
        """Values of a row ready to be sent, or why they are not."""
        if not isinstance(row, Mapping):
            raise EspoInputError(f"The row is {a_kind(row)} and not a dict")
        if self._by_id and not is_record_id(row.get("id")):
            # Whatever stands there instead of an id may be somebody's name.
            what = "has no usable id" if row.get("id") else "has no id"
            raise EspoInputError(f"The row {what}", hint="Give the record's id in the column id")
        if self._operation == "delete":
            row = {name: row[name] for name in self._key.names if name in row}
        return to_wire(row, self._key.schema)

    def _same_record(self, values: Mapping[str, Any]) -> Hashable:
        """What rows have in common that may mean the same record."""
        if self._operation != "create":
            return str(values["id"])
        by_key = self._on_duplicate != "force" or (self._since is not None and self._since_by_key)
        if by_key and has_key(self._key, values):
            return self._key.of(values)
        # Equal rows one after the other: should an answer get lost, it is known which record is the earlier row's.
        return json.dumps(values, sort_keys=True)

    def _plain_lane(self, lane: Lane) -> Operation[list[Outcome]]:
        outcomes = []
        for index, row in lane:
            outcomes.append((yield from self._tried(index, self._plain(row))))
        return outcomes

    def _plain(self, wire: Mapping[str, Any]) -> Operation[Record]:
        if self._operation == "delete":
            return (yield from delete_found(self._key, wire, None))
        result = yield from self._create(wire)
        self._created.add(result["id"])
        return result

    def _create(self, wire: Mapping[str, Any]) -> Operation[Record]:
        since = self._since
        if since is not None and self._since_by_key and has_key(self._key, wire):
            earlier = yield from created_since(self._key, [wire], since, self._created)
            if ids := earlier.get(self._key.of(wire)):
                return {"id": ids[0], "action": "created"}
            since = None
        return (
            yield from create_wire(
                self._key, wire, on_duplicate=self._on_duplicate, look_since=since, claimed=self._created
            )
        )

    # -- rows whose record is looked up -------------------------------------------------------------------------------

    def _keyed_lanes(self) -> Iterator[Lane]:
        """Rows ready to be sent, those with the same key in one lane, some dozens in each."""
        rows: list[Row] = []
        for index, row in enumerate(self._rows):
            try:
                wire = self._checked(row)
                self._key.of(wire)
                rows.append((index, wire))
            except EspoError as error:
                self.add([_failed(index, error)])
        return keyed_lanes(self._key, rows, self._state.config.max_workers)

    def _keyed_lane(self, lane: Lane) -> Operation[list[Outcome]]:
        keys = [self._key.of(wire) for _, wire in lane]
        known = dict(self._known)
        unknown = [row for key, row in zip(keys, lane, strict=True) if key not in known]
        # A single row is as well looked up by itself.
        if len(unknown) > 1:
            known |= (yield from self._look_up(unknown)) or {}
        written: set[Key] = set()
        outcomes = []
        for key, (index, wire) in zip(keys, lane, strict=True):
            # What was found of a key is out of date once a row has been written to it.
            found = known.get(key) if key not in written else None
            outcome = yield from self._tried(index, self._keyed(wire, found))
            if outcome["action"] != "unchanged":
                written.add(key)
            outcomes.append(outcome)
        return outcomes

    def _keyed(self, wire: Mapping[str, Any], found: list[Found] | None) -> Operation[Record]:
        if self._operation == "upsert":
            return upsert_wire(self._key, wire, known=found)
        return (update_found if self._operation == "update" else delete_found)(self._key, wire, found)

    def _look_up(self, lane: Lane) -> Operation[dict[Key, list[Found]] | None]:
        """Records by key; ``None`` if each row has to be looked up for itself."""
        if self._fatal is not None:
            return None
        try:
            found = yield from look_up(self._key, lane)
        except EspoError as error:
            # If it is one row's value that EspoCRM cannot stand, the others need not suffer.
            self._note(error)
            return None
        self._answered = True
        return None if found is None else {key: found.get(key, []) for key in map(self._key.of, dict(lane).values())}

    # -- outcomes ----------------------------------------------------------------------------------------------------

    def _tried(self, index: int, writing: Operation[Record]) -> Operation[Outcome]:
        if self._fatal is not None:
            writing.close()
            return {"index": index, "id": None, "action": "failed", "error": _NOT_TRIED}
        try:
            result = yield from writing
        except EspoError as error:
            self._note(error)
            return _failed(index, error)
        self._answered = True
        return {"index": index, "id": result["id"], "action": result["action"], "error": None}

    def _note(self, error: EspoError) -> None:
        """Note an error that would meet every row."""
        if is_fatal(error, answered=self._answered):
            self._fatal = self._fatal or error


def _failed(index: int, error: EspoError) -> Outcome:
    return {"index": index, "id": None, "action": "failed", "error": str(error)}
