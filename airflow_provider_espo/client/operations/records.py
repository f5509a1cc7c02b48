"""Read, create, update and delete one record (EspoCRM's CRUD)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from airflow_provider_espo.client.comparing import changed
from airflow_provider_espo.client.errors import (
    EspoDuplicateError,
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
)
from airflow_provider_espo.client.operations.keys import (
    Found,
    MatchKey,
    check_match_names,
    read_whole,
)
from airflow_provider_espo.client.operations.lost import (
    CLOCK_SKEW,
    LIST_TEXT_LIMIT,
    create_once,
    same_values,
)
from airflow_provider_espo.client.operations.schema import readable, writable
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_json,
    expect_object,
    record_id_segment,
    record_path,
)
from airflow_provider_espo.client.wording import a_kind

OnDuplicate = Literal["fail", "skip", "update", "force"]

SKIP_DUPLICATE_CHECK = {"X-Skip-Duplicate-Check": "true"}

#: EspoCRM names at most this many of the duplicates it finds.
_MOST_DUPLICATES = 5

#: Sent beside the attributes and no part of a record.
_FLAGS = frozenset({"_skipDuplicateCheck"})


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
    if isinstance(select, str):
        raise EspoInputError("select is a list of names, not a text")
    path = _path(entity_type, record_id)
    yield from readable(state, entity_type, select, validate=validate)
    record = yield from _read(path)
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
    record that the connection's user created since (or up to two minutes before, as clocks differ), with the same
    values in all given attributes, is taken for it.

    :param entity_type: such as ``Lead``.
    :param attributes: values by attribute name. Dates and times may be ``datetime`` objects or ISO texts.
    :param on_duplicate: what to do when EspoCRM finds duplicates: ``fail`` raises, ``skip`` and ``update`` leave or
        update the one found record that agrees on ``match_by`` and raise if there is not exactly one, ``force``
        creates all the same.
    :param match_by: attributes that must be equal for ``skip`` and ``update``; they are not written by ``update``.
    :param validate: refuse names that the server does not have; it would drop them in silence.
    :param look_for_earlier_since: look for a record made by an earlier try since this time before creating one.
    :return: ``{"id", "action"}``, action ``created``, ``skipped``, ``updated`` or ``unchanged``.
    :raises EspoDuplicateError: EspoCRM found duplicates and none may be taken.
    :raises EspoValidationError: EspoCRM refused a value.
    """
    record_path(entity_type)
    check_on_duplicate(on_duplicate)
    names = check_match_names(match_by)
    values = check_attributes(attributes)
    if on_duplicate in ("skip", "update"):
        MatchKey(state, entity_type, names).of(to_wire(values))
    schema = yield from writable(state, entity_type, values, validate=validate)
    key = MatchKey(state, entity_type, names, schema)
    return (
        yield from create_wire(
            key, to_wire(values, schema), on_duplicate=on_duplicate, look_since=look_for_earlier_since
        )
    )


def create_wire(
    key: MatchKey,
    wire: Mapping[str, Any],
    *,
    on_duplicate: OnDuplicate,
    look_since: datetime | None = None,
    claimed: Collection[str] = (),
) -> Operation[Record]:
    """Create a record of values that are checked and ready to be sent.

    :param claimed: ids of records that are known to come from other creates.
    """
    outgoing = build_request(
        "POST",
        record_path(key.entity_type),
        json=dict(wire),
        headers=SKIP_DUPLICATE_CHECK if on_duplicate == "force" else None,
    )
    if on_duplicate in ("skip", "update"):
        key.of(wire)
    find = same_values(key.state, outgoing, key.schema, claimed)
    if look_since is not None and (earlier := (yield from find(look_since - CLOCK_SKEW))) is not None:
        return {"id": earlier.id, "action": "created"}
    try:
        record, _ = yield from create_once(key.state, outgoing, find)
    except EspoDuplicateError as error:
        if on_duplicate in ("fail", "force"):
            raise
        twin = yield from _the_same(error, key, wire)
        if on_duplicate == "skip":
            return {"id": twin.id, "action": "skipped"}
        return (yield from write_changes(key, twin, wire))
    return {"id": str(record["id"]), "action": "created"}


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
    :raises EspoInputError: ``version_number`` for a record that has none, so that EspoCRM would not look at it.
    """
    path = _path(entity_type, record_id)
    values = check_attributes(attributes)
    version = None if version_number is None else _version(version_number)
    schema = yield from writable(state, entity_type, values, validate=validate, updating=True)
    wire = to_wire(values, schema)
    if only_changes:
        current = yield from _read(path)
        if version is not None and current.get("versionNumber") is None:
            raise EspoInputError(
                f"{entity_type} has no version numbers, so EspoCRM would not look at version_number",
                hint="Switch on optimistic concurrency control for the entity type in EspoCRM's Entity Manager",
            )
        wire = _differences(schema, wire, current)
        if not wire:
            return {"id": record_id, "action": "unchanged"}
    headers = {} if version is None else {"X-Version-Number": str(version)}
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
    :raises EspoNotFoundError: no such record and not ``missing_ok``; or no such entity type.
    :raises EspoNothingDoneError: EspoCRM answered that it did nothing.
    """
    outgoing = build_request("DELETE", _path(entity_type, record_id))
    try:
        done = expect_json(outgoing, (yield outgoing))
    except EspoNotFoundError as error:
        # "Controller 'Leed' does not exist.": that is no record that is gone but a wrong name.
        if not missing_ok or (error.reason or "").startswith("Controller"):
            raise
        return {"id": record_id, "action": "missing"}
    if done is False:
        raise EspoNothingDoneError(
            "EspoCRM answered that nothing was done", status=200, method=outgoing.method, path=outgoing.path
        )
    return {"id": record_id, "action": "deleted"}


def write_changes(
    key: MatchKey, found: Found, wire: Mapping[str, Any], *, skip_duplicate_check: bool = True
) -> Operation[Record]:
    """Send what of ``wire`` differs from a record with the key, and nothing where nothing does.

    The key itself is not written: it agrees but for letter case, or is one of several addresses of the record.

    :param skip_duplicate_check: whether a namesake is not to stop it, as the key decides.
    :raises EspoNotFoundError: the record was deleted meanwhile.
    """
    path = _path(key.entity_type, found.id)
    rest = {name: value for name, value in wire.items() if name not in key.names}
    differing = _differences(key.schema, rest, found.record)
    if not found.whole and (any(name not in found.record for name in differing) or _has_long_text(rest)):
        differing = _differences(key.schema, rest, (yield from _read(path)))
    if not differing:
        return {"id": found.id, "action": "unchanged"}
    outgoing = build_request(
        "PUT", path, json=differing, headers=SKIP_DUPLICATE_CHECK if skip_duplicate_check else None
    )
    expect_object(outgoing, (yield outgoing))
    return {"id": found.id, "action": "updated"}


def check_attributes(attributes: object) -> Mapping[str, Any]:
    """Return attributes, or say why what was given are none."""
    if not isinstance(attributes, Mapping):
        raise EspoInputError(
            f"Attributes are {a_kind(attributes)} and not a dict",
            hint="With a template that gives a dict, set render_template_as_native_obj=True in the DAG or pass "
            "XCom's output directly",
        )
    return attributes


def check_on_duplicate(on_duplicate: object) -> None:
    """Refuse what is no way to treat duplicates."""
    if on_duplicate not in get_args(OnDuplicate):
        raise EspoInputError(
            f"on_duplicate is {on_duplicate!r}", hint=f"Give one of {', '.join(get_args(OnDuplicate))}"
        )


def _path(entity_type: str, record_id: str) -> str:
    # Without an id the path would be that of the list.
    return record_path(entity_type, record_id_segment(record_id))


def _read(path: str) -> Operation[Record]:
    outgoing = build_request("GET", path)
    record = expect_object(outgoing, (yield outgoing))
    if record.get("deleted"):
        # Administrators are shown deleted records, everybody else gets 404.
        raise EspoNotFoundError("The record was deleted", method=outgoing.method, path=outgoing.path)
    return record


def _differences(schema: EntitySchema | None, wire: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    differing = changed(schema, wire, current)
    return differing if differing.keys() - _FLAGS else {}


def _has_long_text(wire: Mapping[str, Any]) -> bool:
    """Whether a list may show less of a text than there is."""
    return any(isinstance(value, str) and len(value) >= LIST_TEXT_LIMIT for value in wire.values())


def _the_same(error: EspoDuplicateError, key: MatchKey, wire: Mapping[str, Any]) -> Operation[Found]:
    """Of the records EspoCRM found, the one that agrees on the whole key; the error again if there is none."""
    same: list[Found] = []
    if len(error.records) >= _MOST_DUPLICATES:
        # There may be more, and the one that agrees, or a second one, among those.
        same = yield from key.owners(wire)
    else:
        for record in error.records:
            if key.is_shown(record, wire):
                same.append(Found(dict(record)))
            elif key.may_be_elsewhere(record, wire):
                whole = yield from read_whole(key.entity_type, str(record.get("id")))
                if whole is not None and key.is_had(whole, wire):
                    same.append(Found(whole, whole=True))
    if len(same) == 1:
        return same[0]
    how_many = "None of them agrees" if not same else "More than one of them agrees"
    error.hint = f"{how_many} on {key}, so none was touched; on_duplicate='force' creates"
    raise error


def _version(number: object) -> int:
    # A template renders to text.
    if isinstance(number, str) and number.strip().isdecimal():
        return int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        raise EspoInputError("version_number is not a whole number")
    return number
