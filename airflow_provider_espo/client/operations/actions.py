"""Actions on one record (EspoCRM's ``Action`` and controller actions), and linking by a filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_espo.client.errors import (
    EspoConflictError,
    EspoForbiddenError,
    EspoInputError,
    EspoNothingDoneError,
)
from airflow_provider_espo.client.operations.keys import read_whole
from airflow_provider_espo.client.operations.listing import count_records
from airflow_provider_espo.client.operations.relations import record_ids, send_and_expect_true
from airflow_provider_espo.client.operations.schema import linkable, writable
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.where_check import check_where, is_match_all
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_json,
    expect_object,
    name_segment,
    record_id_segment,
    record_path,
)

#: Actions that leave the same behind when they are carried out twice.
_REPEATABLE = frozenset({"convertCurrency", "lock", "unlock"})

_ADMIN_HINT = (
    "Only administrators may do this, and API users never are: use a connection with auth_method basic or token"
)


def run_action(
    state: ClientState, entity_type: str, record_id: str, action: str, data: Mapping[str, Any] | None = None
) -> Operation[Record]:
    """Carry out one of EspoCRM's actions on a record, such as ``convertCurrency``, ``lock`` or ``unlock``.

    :param entity_type: such as ``Opportunity``.
    :param record_id: its id.
    :param action: the action's name, as in EspoCRM.
    :param data: what the action needs, such as ``{"targetCurrency": "EUR"}``.
    :return: the record afterwards.
    :raises EspoNotFoundError: no such record or action.
    """
    record_path(entity_type, record_id_segment(record_id))
    if data is not None and not isinstance(data, Mapping):
        raise EspoInputError("data is not a dict")
    outgoing = build_request(
        "POST",
        "Action",
        json={
            "entityType": entity_type,
            "action": name_segment(action, "name of an action"),
            "id": record_id,
            "data": dict(data or {}),
        },
        repeatable=action in _REPEATABLE,
    )
    return expect_object(outgoing, (yield outgoing))


def merge_records(
    state: ClientState,
    entity_type: str,
    record_id: str,
    source_ids: Sequence[str],
    attributes: Mapping[str, Any] | None = None,
) -> Operation[Record]:
    """Merge records into one: what is linked to the sources moves to it, then they are deleted.

    May be tried again: sources that are gone are left out, and where all are gone nothing is sent.

    :param entity_type: such as ``Account``.
    :param record_id: id of the record that stays.
    :param source_ids: ids of the records that are merged into it.
    :param attributes: values that the record is to have afterwards.
    :return: ``{"id", "action", "merged"}``: action ``merged`` or ``unchanged``, and the ids that were merged now.
    :raises EspoInputError: no source, or the record itself among them.
    :raises EspoNotFoundError: the record that is to stay is not there.
    """
    ids = record_ids(source_ids)
    record_path(entity_type, record_id_segment(record_id))
    if not ids or record_id in ids:
        raise EspoInputError("source_ids are the other records, at least one")
    values = dict(attributes or {})
    schema = yield from writable(state, entity_type, values, validate=bool(values))
    wire = to_wire(values, schema)
    there = []
    for source_id in ids:
        record = yield from read_whole(entity_type, source_id)
        there += [] if record is None else [source_id]
    if not there:
        reading = build_request("GET", record_path(entity_type, record_id))
        expect_object(reading, (yield reading))
        return {"id": record_id, "action": "unchanged", "merged": []}
    yield from run_action(state, entity_type, record_id, "merge", {"sourceIdList": there, "attributes": wire})
    return {"id": record_id, "action": "merged", "merged": there}


def restore_deleted(state: ClientState, entity_type: str, record_id: str) -> Operation[Record]:
    """Bring a deleted record back. Administrators only.

    :param entity_type: such as ``Lead``.
    :param record_id: its id.
    :return: ``{"id", "action"}``, action ``restored`` or ``unchanged`` for one that is not deleted.
    :raises EspoForbiddenError: the connection's user is no administrator.
    :raises EspoNotFoundError: no such record; EspoCRM removes deleted ones for good after some weeks.
    """
    outgoing = build_request(
        "POST",
        f"{record_path(entity_type)}/action/restoreDeleted",
        json={"id": record_id_segment(record_id)},
        repeatable=True,
    )
    try:
        expect_json(outgoing, (yield outgoing))
    except EspoConflictError:
        return {"id": record_id, "action": "unchanged"}
    except EspoForbiddenError as error:
        error.hint = _ADMIN_HINT
        raise
    return {"id": record_id, "action": "restored"}


def run_formula(
    state: ClientState, expression: str, *, entity_type: str | None = None, record_id: str | None = None
) -> Operation[Record]:
    """Run a formula script. Administrators only. EspoCRM answers 200 also when the script fails; that is an error here.

    :param expression: the script.
    :param entity_type: with ``record_id``: the record it runs on; what it sets there is saved.
    :param record_id: id of that record.
    :return: ``{"output"}``: what the script printed, or ``None``.
    :raises EspoInputError: the script is wrong, or failed.
    :raises EspoForbiddenError: the connection's user is no administrator.
    """
    if not isinstance(expression, str) or not expression.strip():
        raise EspoInputError("There is no expression to run")
    if (entity_type is None) != (record_id is None):
        raise EspoInputError("A record needs entity_type and record_id")
    body: dict[str, Any] = {"expression": expression}
    if entity_type is not None:
        record_path(entity_type, record_id_segment(record_id))
        body |= {"targetType": entity_type, "targetId": record_id}
    outgoing = build_request("POST", "Formula/action/run", json=body)
    try:
        answer = expect_object(outgoing, (yield outgoing))
    except EspoForbiddenError as error:
        error.hint = _ADMIN_HINT
        raise
    if answer.get("isSuccess") is not True:
        kind = "has a syntax error" if answer.get("isSyntaxError") else "failed"
        raise EspoInputError(
            f"The formula {kind}: {answer.get('message') or 'EspoCRM does not say why'}",
            method=outgoing.method,
            path=outgoing.path,
        )
    return {"output": answer.get("output")}


def print_pdf(
    state: ClientState, entity_type: str, record_ids_to_print: Sequence[str], template_id: str
) -> Operation[Record]:
    """Print records to one PDF file, by one of EspoCRM's PDF templates. At most 50, as EspoCRM is set by default.

    :param entity_type: such as ``Opportunity``.
    :param record_ids_to_print: their ids.
    :param template_id: id of the template.
    :return: ``{"attachment_id"}``: download it with :meth:`download_attachment`.
    """
    ids = record_ids(record_ids_to_print)
    if not ids:
        raise EspoInputError("There is nothing to print")
    outgoing = build_request(
        "POST",
        "Pdf/action/massPrint",
        json={
            "entityType": record_path(entity_type),
            "idList": ids,
            "templateId": record_id_segment(template_id),
        },
        # Twice makes a second file that nobody has asked for, and no other harm.
        repeatable=True,
    )
    answer = expect_object(outgoing, (yield outgoing))
    return {"attachment_id": answer.get("id")}


def opt_out(
    state: ClientState, target_list_id: str, entity_type: str, record_id: str, *, cancel: bool = False
) -> Operation[Record]:
    """Opt a record out of a target list, or take that back. May be tried again.

    :param target_list_id: id of the target list.
    :param entity_type: type of the target: ``Lead``, ``Contact``, ``Account`` or ``User``.
    :param record_id: id of the target.
    :param cancel: take it back.
    :return: ``{"id", "action"}``, action ``opted_out`` or ``opted_in``.
    :raises EspoNotFoundError: no such target list or target.
    """
    record_path(entity_type, record_id_segment(record_id))
    name = "cancelOptOut" if cancel else "optOut"
    outgoing = build_request(
        "POST",
        f"TargetList/action/{name}",
        json={"id": record_id_segment(target_list_id), "targetType": entity_type, "targetId": record_id},
        repeatable=True,
    )
    yield from send_and_expect_true(outgoing)
    return {"id": record_id, "action": "opted_in" if cancel else "opted_out"}


def link_matching(
    state: ClientState,
    entity_type: str,
    record_id: str,
    link: str,
    *,
    where: Sequence[Mapping[str, Any]] | None = None,
    primary_filter: str | None = None,
    all_records: bool = False,
    max_records: int | None = None,
) -> Operation[Record]:
    """Link all records that match a filter, where the link allows it (``TargetList.leads``, for one).

    EspoCRM links *every* record when no filter is given, and does not say how many. So an empty filter, and one that
    matches everything in disguise, is refused unless ``all_records``, and the number is counted before. May be tried
    again: those linked stay linked.

    :param entity_type: entity type of the record, such as ``TargetList``.
    :param record_id: its id.
    :param link: name of the link, such as ``leads``.
    :param where: list of items on the related records; all must hold.
    :param primary_filter: one of EspoCRM's filters.
    :param all_records: link every record there is.
    :param max_records: refuse to link more.
    :return: ``{"linked": n}``, the number that matched before.
    :raises EspoInputError: no filter, or more records than ``max_records``; nothing was linked.
    :raises EspoForbiddenError: this link cannot be filled by a filter.
    :raises EspoNothingDoneError: EspoCRM answered that it did nothing.
    """
    if not isinstance(all_records, bool):
        raise EspoInputError("all_records is neither True nor False")
    items = check_where(where, rendered=True) if where is not None else []
    if is_match_all(items) and not primary_filter and not all_records:
        raise EspoInputError(
            "The filter matches every record", hint="Narrow it, or say all_records=True if all are meant"
        )
    most = _whole_number("max_records", max_records)
    path = record_path(entity_type, record_id_segment(record_id), name_segment(link, "link"))
    schema = yield from linkable(state, entity_type, link, validate=True, for_write=True)
    related = schema.links[link].entity_type if schema is not None and link in schema.links else None
    if related is None:
        raise EspoInputError(f"{link} leads to records of several types: link them by their ids")
    count = yield from count_records(state, related, where=items, primary_filter=primary_filter)
    if most is not None and count > most:
        raise EspoInputError(f"{count} records match, and max_records is {most}. Nothing was linked")
    if not count:
        return {"linked": 0}
    search = Search(where=items, primary_filter=primary_filter).to_params()
    outgoing = build_request(
        "POST",
        path,
        json={"massRelate": True, "where": search.get("where", []), "searchParams": search},
        repeatable=True,
    )
    if expect_json(outgoing, (yield outgoing)) is not True:
        raise EspoNothingDoneError(
            "EspoCRM answered that nothing was linked", status=200, method=outgoing.method, path=outgoing.path
        )
    return {"linked": count}


def _whole_number(name: str, number: object) -> int | None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
        raise EspoInputError(f"{name} is not a whole number of 0 or more")
    return number
