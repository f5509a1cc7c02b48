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

    :return: ``{"count", "ids"}`` with at most 100 ids, in the order of creation; ``None`` while there are too few.
    """
    if isinstance(min_count, bool) or not isinstance(min_count, int) or min_count < 1:
        raise EspoInputError("min_count is not a whole number of 1 or more")
    # Reading a few ids is cheap on a big table, counting is not: count only once it is known to be worth it.
    found = yield from list_records(state, entity_type, select=["id"], limit=max(min_count, MAX_IDS), **filters)
    if len(found) < min_count:
        return None
    count = len(found)
    if count >= max(min_count, MAX_IDS):
        count = yield from count_records(state, entity_type, **filters)
    return {"count": count, "ids": [record["id"] for record in found[:MAX_IDS]]}
