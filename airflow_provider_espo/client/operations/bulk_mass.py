"""Rows written by EspoCRM's mass actions, with an outcome for each record.

A mass action says which records it was done to, and skips others without a word. So the records are looked at before,
and what was skipped is left to be done by itself: EspoCRM then says why it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from airflow_provider_espo.client.comparing import changed
from airflow_provider_espo.client.operations.mass_action import mass_action
from airflow_provider_espo.client.operations.mass_targets import records_by_id
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation

#: Ids in one request. EspoCRM works on one record after the other, so a long list takes long.
IDS_AT_ONCE: Final = 100


def id_lanes(ids: Sequence[str]) -> Iterator[list[str]]:
    """Cut ids into parts, a mass action each."""
    for start in range(0, len(ids), IDS_AT_ONCE):
        yield list(ids[start : start + IDS_AT_ONCE])


def mass_update_lane(
    state: ClientState, entity_type: str, ids: Sequence[str], values: Mapping[str, Any], schema: EntitySchema
) -> Operation[dict[str, str]]:
    """Set the same values in some records; those that have them already are left alone.

    :param ids: ids, each once.
    :param values: values ready to be sent, such as lists show.
    :param schema: of the entity type.
    :return: by id ``updated`` or ``unchanged``; records that are not there or were skipped are left out.
    """
    there = yield from records_by_id(state, entity_type, ids, ["id", *values])
    differing = [one for one in ids if one in there and changed(schema, values, there[one])]
    result = {one: "unchanged" for one in ids if one in there}
    for one in differing:
        del result[one]
    if differing:
        done = yield from mass_action(
            state, entity_type, "update", data={"values": dict(values)}, ids=differing, on_shortfall="warn"
        )
        left = set(done.get("skipped_ids") or ())
        result |= {one: "updated" for one in done.get("ids") or () if one not in left}
    return result


def mass_delete_lane(state: ClientState, entity_type: str, ids: Sequence[str]) -> Operation[dict[str, str]]:
    """Delete some records.

    :param ids: ids, each once.
    :return: by id ``deleted`` or ``missing``; records that were skipped are left out.
    """
    done = yield from mass_action(state, entity_type, "delete", ids=ids, on_shortfall="warn")
    deleted = set(done.get("ids") or ())
    left = set(done.get("skipped_ids") or ())
    return {one: "deleted" if one in deleted else "missing" for one in ids if one not in left}
