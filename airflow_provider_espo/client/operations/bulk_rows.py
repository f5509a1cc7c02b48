"""What is done for one row of many, once it is known which record is meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from airflow_provider_espo.client.errors import EspoInputError, EspoNotFoundError
from airflow_provider_espo.client.moments import utc_text
from airflow_provider_espo.client.operations.keys import Found, Key, MatchKey, Wire, only_owner
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.operations.records import delete_record, update_record, write_changes
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Operation, Record, record_id_segment, record_path

_BY_ID = ("id",)


def update_found(key: MatchKey, wire: Wire, found: list[Found] | None) -> Operation[Record]:
    """Update the one record that has the key.

    :param key: what makes the key, ``id`` or other attributes.
    :param wire: values ready to be sent, the key's among them.
    :param found: records with the key, if they were looked up a moment ago.
    :return: ``{"id", "action"}``, action ``updated`` or ``unchanged``.
    :raises EspoNotFoundError: no record has the key.
    :raises EspoAmbiguousMatchError: more than one has it.
    """
    by_id = key.names == _BY_ID
    if by_id and not found:
        # Lists may leave a record out that the user can read; and the answer says why where there is none.
        values = {name: value for name, value in wire.items() if name != "id"}
        return (yield from update_record(key.state, key.entity_type, wire["id"], values, validate=False))
    if found is None:
        found = yield from key.owners(wire)
    if (one := only_owner(found, key)) is None:
        raise EspoNotFoundError(f"No record of {key.entity_type} has this {key}")
    return (yield from write_changes(key, one, wire, skip_duplicate_check=not by_id))


def delete_found(key: MatchKey, wire: Wire, found: list[Found] | None) -> Operation[Record]:
    """Delete the one record that has the key.

    :param key: what makes the key.
    :param wire: values of the key, ready to be sent.
    :param found: records with the key, if they were looked up a moment ago.
    :return: ``{"id", "action"}``, action ``deleted`` or ``missing``.
    :raises EspoAmbiguousMatchError: more than one record has the key.
    """
    if key.names == _BY_ID:
        return (yield from delete_record(key.state, key.entity_type, wire["id"]))
    if found is None:
        found = yield from key.owners(wire)
    if (one := only_owner(found, key)) is None:
        return {"id": None, "action": "missing"}
    return (yield from delete_record(key.state, key.entity_type, one.id))


def created_since(
    key: MatchKey, wires: Sequence[Wire], since: datetime, claimed: Collection[str]
) -> Operation[dict[Key, list[str]]]:
    """Look for the records that an earlier try made of rows, by the rows' keys.

    Unlike a look for equal values it finds a record that a formula or a workflow of EspoCRM has changed meanwhile.

    :param key: what makes the key.
    :param wires: values ready to be sent, the key's among them; some dozens at most.
    :param since: when they were created at the earliest, by our clock.
    :param claimed: ids of records that are known to come from other rows.
    :return: their ids by key, the oldest first.
    """
    user_id = yield from my_user_id(key.state)
    search = Search(
        where=[
            {"type": "equals", "attribute": "createdById", "value": user_id},
            {"type": "greaterThanOrEquals", "attribute": "createdAt", "value": utc_text(since - CLOCK_SKEW)},
            *key.where(wires),
        ],
        select=sorted(key.names),
        order_by="id",
    )
    pager = pager_for(search, key.state.config.page_size)
    wanted = {key.of(wire) for wire in wires}
    found: dict[Key, list[str]] = {}
    while (page := (yield from next_page(pager, record_path(key.entity_type)))) is not None:
        for record in page:
            if str(record["id"]) not in claimed and has_key(key, record) and (its := key.of(record)) in wanted:
                found.setdefault(its, []).append(str(record["id"]))
    return found


def has_key(key: MatchKey, wire: Mapping[str, object]) -> bool:
    """Whether values have all that makes the key."""
    try:
        key.of(wire)
    except (EspoInputError, KeyError):
        return False
    return True


def is_record_id(value: object) -> bool:
    """Whether a value may be the id of a record."""
    try:
        record_id_segment(value)
    except EspoInputError:
        return False
    return True
