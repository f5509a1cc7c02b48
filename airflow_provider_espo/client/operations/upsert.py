"""Create a record or update the one that has the same key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_espo.client.comparing import same_key
from airflow_provider_espo.client.errors import EspoApiError, EspoNotFoundError
from airflow_provider_espo.client.operations.keys import Found, MatchKey, Wire, check_match_names, only_owner
from airflow_provider_espo.client.operations.lost import create_once
from airflow_provider_espo.client.operations.records import (
    SKIP_DUPLICATE_CHECK,
    check_attributes,
    write_changes,
)
from airflow_provider_espo.client.operations.schema import writable
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import Operation, Record, Request, build_request, record_path


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

    A record has a key's e-mail address or phone number also when it is its second one. The key itself is never
    written to a record that has it: its letter case stays, and so does the first address.

    :param entity_type: such as ``Lead``.
    :param attributes: values by attribute name, the key's among them.
    :param match_by: attributes that make the key, such as ``["emailAddress"]``. Letter case does not count, accents do.
    :param validate: refuse names that the server does not have; it would drop them in silence.
    :return: ``{"id", "action"}``, action ``created``, ``updated`` or ``unchanged``.
    :raises EspoAmbiguousMatchError: more than one record has the key, or EspoCRM's database takes another one for it.
    :raises EspoValidationError: EspoCRM refused a value.
    """
    record_path(entity_type)
    names = check_match_names(match_by)
    values = check_attributes(attributes)
    MatchKey(state, entity_type, names).of(to_wire(values))
    schema = yield from writable(state, entity_type, [*values, *names], validate=validate)
    wire = to_wire(values, schema)
    key = MatchKey(state, entity_type, names, schema)
    key.of(wire)
    return (yield from upsert_wire(key, wire))


def upsert_wire(key: MatchKey, wire: Wire, known: list[Found] | None = None) -> Operation[Record]:
    """Upsert values that are checked and ready to be sent.

    :param known: records with the key, if they were looked up a moment ago.
    """
    found = known
    if found is None:
        found = yield from key.owners(wire)
    if one := only_owner(found, key):
        try:
            return (yield from write_changes(key, one, wire))
        except EspoNotFoundError:
            # Deleted since it was found: then the key is free, or another record's.
            if one := only_owner((yield from key.owners(wire)), key):
                return (yield from write_changes(key, one, wire))

    def find(_since: datetime) -> Operation[Found | None]:
        return only_owner((yield from key.owners(wire)), key)

    create = build_request("POST", record_path(key.entity_type), json=dict(wire), headers=SKIP_DUPLICATE_CHECK)
    record, found_later = yield from create_once(key.state, create, find)
    if found_later is None:
        _check_findable(create, record, wire, key)
        return {"id": str(record["id"]), "action": "created"}
    # Ours whose answer got lost, or somebody's who was faster and wrote other values.
    result = yield from write_changes(key, found_later, wire)
    return {**result, "action": "created"} if result["action"] == "unchanged" else result


def _check_findable(create: Request, record: Record, wire: Wire, key: MatchKey) -> None:
    """Refuse to go on when EspoCRM stored another key than was sent: each run would create one more record."""
    other = [
        name
        for name in key.names
        if record.get(name) is not None and not same_key(key.schema, name, wire[name], record[name])
    ]
    if other:
        raise EspoApiError(
            f"Record {record['id']} was created, but EspoCRM stored another {', '.join(other)} than was sent, so the "
            "next upsert will not find it",
            method=create.method,
            path=create.path,
            hint="Send the value in the form that EspoCRM keeps, or give other attributes in match_by",
        )
