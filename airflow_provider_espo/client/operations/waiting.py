"""One look at what a sensor or a trigger waits for."""

from __future__ import annotations

from typing import Unpack

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.operations.listing import Filters, count_records, list_records
from airflow_provider_espo.client.state import ClientState
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
