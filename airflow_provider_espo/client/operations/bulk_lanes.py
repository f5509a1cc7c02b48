"""Rows whose records are looked up, cut into parts that may be worked on side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoRateLimitError,
    EspoServerError,
    EspoTransportError,
)
from airflow_provider_espo.client.operations.keys import Found, Key, MatchKey
from airflow_provider_espo.client.wire import Operation

#: Rows whose keys are looked up in one request, and how long keys and names may make its URL. Web servers take 8 KB.
_ROWS_AT_ONCE = 50
_BYTES_AT_ONCE = 5_500

#: After one of these the next row would fare no better.
_FATAL = (
    EspoAuthenticationError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoRateLimitError,
    EspoTransportError,
)

Row = tuple[int, Mapping[str, Any]]
Lane = list[Row]


def keyed_lanes(key: MatchKey, rows: Iterable[Row], workers: int) -> Iterator[Lane]:
    """Cut rows into lanes: those with the same key in one lane, some dozens in each.

    :param key: what makes the key; every row has it.
    :param rows: places and values ready to be sent.
    :param workers: lanes that are worked on at a time.
    """
    groups: dict[Key, Lane] = {}
    for index, wire in rows:
        groups.setdefault(key.of(wire), []).append((index, wire))
    most = max(1, min(_ROWS_AT_ONCE, -(-len(groups) // (2 * workers))))
    names = sorted({name for lane in groups.values() for _, wire in lane for name in wire})
    names_size = key.select_bytes(names)
    lane: Lane = []
    keys, size = 0, names_size
    for group in groups.values():
        key_size = key.url_bytes(group[0][1])
        if lane and (keys >= most or size + key_size > _BYTES_AT_ONCE):
            yield lane
            lane, keys, size = [], 0, names_size
        lane += group
        keys += 1
        size += key_size
    if lane:
        yield lane


def look_up(key: MatchKey, lane: Sequence[Row]) -> Operation[dict[Key, list[Found]] | None]:
    """Look up the records of a lane by a request or two.

    :return: records by key; ``None`` where it cannot be told from so few requests.
    """
    return (yield from key.owners_of_many(list({key.of(wire): wire for _, wire in lane}.values())))


def look_up_all(key: MatchKey, lane: Sequence[Row]) -> Operation[dict[Key, list[Found]]]:
    """Look up the records of a lane, one by one if need be.

    :return: records by key; a key that could not be looked up is left out.
    :raises EspoError: what would meet every row.
    """
    try:
        found = yield from look_up(key, lane)
    except EspoError as error:
        # If it is one row's value that EspoCRM cannot stand, the others need not suffer.
        if is_fatal(error, answered=True):
            raise
        found = None
    if found is not None:
        return {one: found.get(one, []) for one in (key.of(wire) for _, wire in lane)}
    result: dict[Key, list[Found]] = {}
    for one, wire in {key.of(wire): wire for _, wire in lane}.items():
        try:
            result[one] = yield from key.owners(wire)
        except EspoError as error:
            if is_fatal(error, answered=True):
                raise
    return result


def is_fatal(error: EspoError, *, answered: bool) -> bool:
    """Whether an error would meet every row.

    :param error: what one row met.
    :param answered: whether EspoCRM has answered before.
    """
    if isinstance(error, EspoBadAnswerError) and answered:
        # EspoCRM is there; a firewall in front of it did not like this row.
        return False
    return isinstance(error, _FATAL) or (isinstance(error, EspoServerError) and error.status != 500)
