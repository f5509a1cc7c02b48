"""Read, create, update and delete one record (EspoCRM's CRUD)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from airflow_provider_espo.client.errors import (
    EspoDuplicateError,
    EspoInputError,
    EspoNotFoundError,
)
from airflow_provider_espo.client.operations.lost import create_once
from airflow_provider_espo.client.operations.schema import readable, writable
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import changed, same_key, to_wire
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_json,
    expect_object,
    record_path,
)

OnDuplicate = Literal["fail", "skip", "update", "force"]

SKIP_DUPLICATE_CHECK = {"X-Skip-Duplicate-Check": "true"}


def get_record(
    state: ClientState,
    entity_type: str,
    record_id: str,
    *,
    select: Sequence[str] | None = None,
    validate: bool = True,
) -> Operation[Record]:
    """Read one record.

    :param entity_type: such as ``Lead``.
    :param record_id: its id.
    :param select: attributes to return; all by default. ``id`` always comes along.
    :param validate: refuse ``select`` names that the server does not have.
    :return: the record, attribute by attribute.
    :raises EspoNotFoundError: no such record, or deleted, or hidden from the user.
    """
    yield from readable(state, entity_type, select, validate=validate)
    outgoing = build_request("GET", record_path(entity_type, record_id))
    record = expect_object(outgoing, (yield outgoing))
    if record.get("deleted"):
        # Administrators are shown deleted records, everybody else gets 404.
        raise EspoNotFoundError("The record was deleted", method=outgoing.method, path=outgoing.path)
    if select is None:
        return record
    # EspoCRM reads a record whole, whatever select says.
    return {name: record.get(name) for name in dict.fromkeys(("id", *select))}


def create_record(
    state: ClientState,
    entity_type: str,
    attributes: Mapping[str, Any],
    *,
    on_duplicate: OnDuplicate = "fail",
    match_by: Sequence[str] = ("emailAddress",),
    validate: bool = True,
    look_for_earlier_since: datetime | None = None,
) -> Operation[Record]:
    """Create a record.

    EspoCRM looks for duplicates of leads, contacts and accounts: records with the same name *or* e-mail address. So a
    found record may be a namesake only; ``skip`` and ``update`` act on one that agrees on ``match_by``.

    A create whose outcome is unknown (no answer in time, broken connection) is looked up before it is tried again: a
    record that the connection's user created since, with the same values in all given attributes, is taken for it.

    :param entity_type: such as ``Lead``.
    :param attributes: values by attribute name. Dates and times may be ``datetime`` objects or ISO texts.
    :param on_duplicate: what to do when EspoCRM finds duplicates: ``fail`` raises, ``skip`` and ``update`` leave or
        update the one found record that agrees on ``match_by`` and raise if there is not exactly one, ``force``
        creates all the same.
    :param match_by: attributes that must be equal for ``skip`` and ``update``.
    :param validate: refuse names that the server does not have; it would drop them in silence.
    :param look_for_earlier_since: look for a record made by an earlier try since this time before creating one.
    :return: ``{"id", "action"}``, action ``created``, ``skipped``, ``updated`` or ``unchanged``.
    :raises EspoDuplicateError: EspoCRM found duplicates and none may be taken.
    :raises EspoValidationError: EspoCRM refused a value.
    """
    if on_duplicate not in get_args(OnDuplicate):
        raise EspoInputError(f"on_duplicate is {on_duplicate!r}", hint=f"Give one of {', '.join(get_args(OnDuplicate))}")
    path = record_path(entity_type)
    values = check_attributes(attributes)
    if on_duplicate in ("skip", "update"):
        _check_match_by(match_by, values)
    schema = yield from writable(state, entity_type, values, validate=validate)
    wire = to_wire(values, schema)
    outgoing = build_request(
        "POST", path, json=wire, headers=SKIP_DUPLICATE_CHECK if on_duplicate == "force" else None
    )
    try:
        record_id = yield from create_once(state, outgoing, schema, look_for_earlier_since)
    except EspoDuplicateError as error:
        if on_duplicate == "fail":
            raise
        twin = _the_same(error, schema, wire, match_by)
        if on_duplicate == "skip":
            return {"id": twin["id"], "action": "skipped"}
        return (yield from write_changes(state, entity_type, twin, wire, schema))
    return {"id": record_id, "action": "created"}


def update_record(
    state: ClientState,
    entity_type: str,
    record_id: str,
    attributes: Mapping[str, Any],
    *,
    version_number: int | None = None,
    only_changes: bool = True,
    validate: bool = True,
) -> Operation[Record]:
    """Update a record.

    EspoCRM moves ``modifiedAt``, adds a version and fires webhooks for every update, even an empty one. So the record
    is read first, only what differs is sent, and nothing where nothing does.

    :param entity_type: such as ``Lead``.
    :param record_id: its id.
    :param attributes: new values by attribute name; others stay. ``None`` clears.
    :param version_number: ``versionNumber`` the values were decided on (EspoCRM's optimistic concurrency). If the
        record is at another version now and one of the attributes was changed, nothing is written.
    :param only_changes: ``False`` sends all attributes without reading first.
    :param validate: refuse names that the server does not have; it would drop them in silence.
    :return: ``{"id", "action"}``, action ``updated`` or ``unchanged``.
    :raises EspoNotFoundError: no such record.
    :raises EspoVersionConflictError: the record was changed since ``version_number``.
    """
    path = record_path(entity_type, record_id)
    values = check_attributes(attributes)
    headers = {} if version_number is None else {"X-Version-Number": str(_version(version_number))}
    schema = yield from writable(state, entity_type, values, validate=validate)
    wire = to_wire(values, schema)
    if only_changes:
        reading = build_request("GET", path)
        current = expect_object(reading, (yield reading))
        wire = changed(schema, wire, current)
        if not wire:
            return {"id": record_id, "action": "unchanged"}
    outgoing = build_request("PUT", path, json=wire, headers=headers)
    expect_object(outgoing, (yield outgoing))
    return {"id": record_id, "action": "updated"}


def delete_record(
    state: ClientState, entity_type: str, record_id: str, *, missing_ok: bool = True
) -> Operation[Record]:
    """Delete a record. EspoCRM keeps it, marked as deleted, for some weeks.

    :param entity_type: such as ``Lead``.
    :param record_id: its id.
    :param missing_ok: whether a record that is not there (any more) is a success.
    :return: ``{"id", "action"}``, action ``deleted`` or ``missing``.
    :raises EspoNotFoundError: no such record and not ``missing_ok``.
    """
    outgoing = build_request("DELETE", record_path(entity_type, record_id))
    try:
        expect_json(outgoing, (yield outgoing))
    except EspoNotFoundError:
        if not missing_ok:
            raise
        return {"id": record_id, "action": "missing"}
    return {"id": record_id, "action": "deleted"}


def write_changes(
    state: ClientState, entity_type: str, current: Mapping[str, Any], wire: Mapping[str, Any], schema: EntitySchema | None
) -> Operation[Record]:
    """Send what of ``wire`` differs from a record that was just read, and nothing where nothing does."""
    record_id = str(current["id"])
    differing = changed(schema, wire, current)
    if not differing:
        return {"id": record_id, "action": "unchanged"}
    outgoing = build_request(
        "PUT", record_path(entity_type, record_id), json=differing, headers=SKIP_DUPLICATE_CHECK
    )
    expect_object(outgoing, (yield outgoing))
    return {"id": record_id, "action": "updated"}


def _the_same(
    error: EspoDuplicateError, schema: EntitySchema | None, wire: Mapping[str, Any], match_by: Sequence[str]
) -> Mapping[str, Any]:
    """Of the records EspoCRM found, the one that agrees on all of ``match_by``; the error again if there is none."""
    same = [
        record for record in error.records if all(same_key(schema, name, wire.get(name), record.get(name)) for name in match_by)
    ]
    if len(same) == 1:
        return same[0]
    how_many = "none of them agrees" if not same else "more than one of them agrees"
    error.hint = f"{how_many.capitalize()} on {', '.join(match_by)}, so none was touched; on_duplicate='force' creates"
    raise error


def check_attributes(attributes: object) -> Mapping[str, Any]:
    """Return attributes, or say why what was given are none."""
    if not isinstance(attributes, Mapping):
        raise EspoInputError(
            f"Attributes are a {type(attributes).__name__} and not a dict",
            hint="With a template that gives a dict, set render_template_as_native_obj=True in the DAG or pass XCom's "
            "output directly",
        )
    return attributes


def _version(number: object) -> int:
    # A template renders to text.
    if isinstance(number, str) and number.strip().isdecimal():
        return int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        raise EspoInputError("version_number is not a whole number")
    return number


def _check_match_by(match_by: Sequence[str], attributes: Mapping[str, Any]) -> None:
    check_match_names(match_by)
    if lacking := [name for name in match_by if attributes.get(name) in (None, "")]:
        raise EspoInputError(
            f"No value for {', '.join(lacking)}, which match_by names", hint="Give match_by attributes that all records have"
        )


def check_match_names(match_by: object) -> tuple[str, ...]:
    """Return the names of ``match_by``, or refuse what is not a list of names."""
    names = (match_by,) if isinstance(match_by, str) else match_by
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
        raise EspoInputError("match_by is not a list of attribute names")
    return tuple(names)
