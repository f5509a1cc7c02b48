"""One look at what a sensor or a trigger waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from airflow_provider_espo.client.comparing import differs
from airflow_provider_espo.client.errors import EspoConflictError, EspoInputError
from airflow_provider_espo.client.operations.listing import Filters, count_records, list_records
from airflow_provider_espo.client.operations.records import get_record
from airflow_provider_espo.client.operations.schema import checked_schema
from airflow_provider_espo.client.schema import EntitySchema, check_readable
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import Operation, Record

#: Ids handed on when records are there: enough to work with, few enough for XCom.
MAX_IDS = 100


def enough_records(
    state: ClientState, entity_type: str, *, min_count: int, **filters: Unpack[Filters]
) -> Operation[Record | None]:
    """Look whether at least ``min_count`` records match.

    Takes the filters of :meth:`iter_records`.

    :param entity_type: such as ``Lead``.
    :param min_count: how many there must be, 1 or more.
    :return: ``{"count", "ids"}`` with at most 100 ids, ordered by id; ``None`` while there are too few.
    :raises EspoInputError: ``min_count`` is not such a number, or a filter has the wrong shape.
    """
    if isinstance(min_count, bool) or not isinstance(min_count, int) or min_count < 1:
        raise EspoInputError("min_count is not a whole number of 1 or more")
    if min_count > MAX_IDS:
        # To read so many ids at each look would cost more than to let EspoCRM count.
        count = yield from count_records(state, entity_type, **filters)
        if count < min_count:
            return None
        found = yield from list_records(state, entity_type, select=["id"], validate=False, limit=MAX_IDS, **filters)
        return {"count": count, "ids": [record["id"] for record in found]}
    # To read a few ids is cheap on a big table, to count is not: it is done once, when the wait is over.
    found = yield from list_records(state, entity_type, select=["id"], validate=False, limit=MAX_IDS, **filters)
    if len(found) < min_count:
        return None
    count = len(found)
    if count == MAX_IDS:
        # Records may have gone since they were listed.
        count = max(count, (yield from count_records(state, entity_type, **filters)))
    return {"count": count, "ids": [record["id"] for record in found]}


def record_in_state(
    state: ClientState,
    entity_type: str,
    record_id: str,
    *,
    expected: Mapping[str, Any],
    failed: Mapping[str, Any] | None = None,
) -> Operation[Record | None]:
    """Look whether a record's attributes have the values waited for.

    :param entity_type: such as ``Opportunity``.
    :param record_id: its id.
    :param expected: by attribute the value it must have, or a list of values of which it must have one. All must hold.
    :param failed: the same for values that end the wait in vain; one that holds is enough.
    :return: ``{"id"}``; ``None`` while it is not so.
    :raises EspoConflictError: an attribute has a value of ``failed``.
    :raises EspoNotFoundError: no such record.
    """
    for name, given in (("expected", expected), ("failed", failed or {})):
        if not isinstance(given, Mapping):
            raise EspoInputError(f"{name} is not a dict of values by attribute")
        if endless := [it for it, value in given.items() if isinstance(value, list | tuple) and not value]:
            raise EspoInputError(
                f"{name} has an empty list of values for {', '.join(map(str, endless))}",
                hint="A list says which values will do. For an attribute that is itself a list, give a list of lists",
            )
    if not expected:
        raise EspoInputError("There is nothing to wait for: expected is empty")
    names = [*expected, *(failed or {})]
    schema = yield from checked_schema(state, entity_type, lambda it: check_readable(it, names, "expected or failed"))
    record = yield from get_record(state, entity_type, record_id, validate=False)
    if reached := [name for name, value in (failed or {}).items() if _has(schema, record, name, value)]:
        raise EspoConflictError(
            f"{entity_type} {record_id} has a value in {', '.join(reached)} that it was not to get",
            hint="That is what 'failed' of the sensor says",
        )
    if all(_has(schema, record, name, value) for name, value in expected.items()):
        return {"id": record_id}
    return None


def _has(schema: EntitySchema, record: Record, name: str, wanted: Any) -> bool:
    choices = wanted if isinstance(wanted, list | tuple) else [wanted]
    wires = [to_wire({name: choice}, schema)[name] for choice in choices]
    return any(not differs(schema, name, wire, record.get(name)) for wire in wires)
