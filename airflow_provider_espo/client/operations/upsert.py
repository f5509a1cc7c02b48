"""Create a record or update the one that has the same key, for one record or a handful at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_espo.client.errors import EspoAmbiguousMatchError, EspoInputError
from airflow_provider_espo.client.operations.lost import create_once
from airflow_provider_espo.client.operations.records import (
    SKIP_DUPLICATE_CHECK,
    check_attributes,
    check_match_names,
    write_changes,
)
from airflow_provider_espo.client.operations.schema import writable
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import same_key, to_wire
from airflow_provider_espo.client.wire import Operation, Record, build_request, expect_object, record_path

#: EspoCRM cuts texts in lists to this many characters.
_LIST_TEXT_LIMIT = 10_000
_MAX_FOUND = 200

Wire = Mapping[str, Any]
Found = list[Record]


def upsert_record(
    state: ClientState,
    entity_type: str,
    attributes: Mapping[str, Any],
    *,
    match_by: Sequence[str],
    validate: bool = True,
) -> Operation[Record]:
    """Update the one record that has the same key, or create it.

    Only what differs is sent, and nothing where nothing does. EspoCRM's own check for duplicates (same name or e-mail
    address) is not asked: the key decides, so a namesake does not stop it. After an unknown outcome the key is looked
    up again before anything is repeated, so the whole may be tried again at any time.

    :param entity_type: such as ``Lead``.
    :param attributes: values by attribute name, the key's among them.
    :param match_by: attributes that make the key, such as ``["emailAddress"]``. Letter case does not count.
    :param validate: refuse names that the server does not have; it would drop them in silence.
    :return: ``{"id", "action"}``, action ``created``, ``updated`` or ``unchanged``.
    :raises EspoAmbiguousMatchError: more than one record has the key.
    :raises EspoValidationError: EspoCRM refused a value.
    """
    names = check_match_names(match_by)
    values = check_attributes(attributes)
    schema = yield from writable(state, entity_type, [*values, *names], validate=validate)
    wire = to_wire(values, schema)
    check_key(wire, names)
    return (yield from upsert_wire(state, entity_type, wire, names, schema))


def upsert_wire(
    state: ClientState,
    entity_type: str,
    wire: Wire,
    match_by: Sequence[str],
    schema: EntitySchema | None,
    found: Found | None = None,
) -> Operation[Record]:
    """Upsert values that are checked and ready to be sent.

    :param found: records with the key, if they were looked up a moment ago.
    """
    if found is None:
        found = yield from look_up(state, entity_type, [wire], match_by)
    if len(found) > 1:
        ids = [str(record["id"]) for record in found]
        raise EspoAmbiguousMatchError(
            f"{len(ids)} records of {entity_type} have the same {', '.join(match_by)}: {', '.join(ids[:5])}",
            record_ids=ids,
        )
    if found:
        return (yield from _update(state, entity_type, found[0], wire, match_by, schema))
    create = build_request("POST", record_path(entity_type), json=dict(wire), headers=SKIP_DUPLICATE_CHECK)
    return {"id": (yield from create_once(state, create, schema)), "action": "created"}


def look_up(
    state: ClientState, entity_type: str, wires: Sequence[Wire], match_by: Sequence[str]
) -> Operation[Found]:
    """Records that have the key of one of the given, with what is needed to compare them."""
    search = Search(
        where=[_any_key(wires, match_by)],
        select=sorted({name for wire in wires for name in wire} | set(match_by)),
        order_by="id",
        order="asc",
        max_size=_MAX_FOUND,
    )
    reading = build_request(
        "GET", record_path(entity_type), query=search.to_query(), headers={"X-No-Total": "true"}
    )
    rows: Found = expect_object(reading, (yield reading)).get("list", [])
    return rows


def is_whole_answer(found: Found) -> bool:
    """Whether a look-up gave all there is."""
    return len(found) < _MAX_FOUND


def has_key(record: Mapping[str, Any], wire: Wire, match_by: Sequence[str], schema: EntitySchema | None) -> bool:
    """Whether a record shows the key of the given values."""
    return all(same_key(schema, name, wire[name], record.get(name)) for name in match_by)


def check_key(wire: Wire, match_by: Sequence[str]) -> None:
    """Refuse values without a complete key: an empty one would match strangers."""
    for name in match_by:
        value = wire.get(name)
        if value is None or value == "" or isinstance(value, list | dict):
            raise EspoInputError(f"No usable value for {name}, which match_by names")


def _any_key(wires: Sequence[Wire], match_by: Sequence[str]) -> dict[str, Any]:
    keys = list(dict.fromkeys(tuple(wire[name] for name in match_by) for wire in wires))
    if len(match_by) == 1 and len(keys) > 1:
        return {"type": "in", "attribute": match_by[0], "value": [value for (value,) in keys]}
    items = [
        {
            "type": "and",
            "value": [
                {"type": "equals", "attribute": name, "value": value}
                for name, value in zip(match_by, key, strict=True)
            ],
        }
        for key in keys
    ]
    return items[0] if len(items) == 1 else {"type": "or", "value": items}


def _update(
    state: ClientState,
    entity_type: str,
    current: Record,
    wire: Wire,
    match_by: Sequence[str],
    schema: EntitySchema | None,
) -> Operation[Record]:
    # The key is not written: it agrees but for letter case, or is one of several e-mail addresses of the record.
    rest = {name: value for name, value in wire.items() if name not in match_by}
    if any(_is_cut_in_lists(name, value) for name, value in rest.items()):
        reading = build_request("GET", record_path(entity_type, current["id"]))
        current = expect_object(reading, (yield reading))
    return (yield from write_changes(state, entity_type, current, rest, schema))


def _is_cut_in_lists(name: str, value: object) -> bool:
    """Whether a list may show less of an attribute than the record."""
    return name.endswith(("Data", "Columns")) or (isinstance(value, str) and len(value) >= _LIST_TEXT_LIMIT)
