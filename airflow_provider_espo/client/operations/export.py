"""EspoCRM's own export of records to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, Unpack, cast, get_args

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.operations.listing import Filters, ListOptions, build_search
from airflow_provider_espo.client.operations.relations import record_ids
from airflow_provider_espo.client.operations.schema import listable
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, Request, build_request, expect_object, record_path

ExportFormat: TypeAlias = Literal["csv", "xlsx"]

_FILTERS: Final = ("where", "primary_filter", "bool_filters", "text_filter")


class ExportOptions(Filters, total=False):
    """What to export, and how.

    ``ids``: ids of the records, instead of a filter. An empty list is refused: EspoCRM would export everything.
    ``select``: attributes, in the order of the columns; all fields by default.
    ``order_by``: attribute to order by, ``id`` by default.
    ``order``: ``asc`` (default) or ``desc``.
    ``file_format``: ``csv`` (default) or ``xlsx``.
    ``background``: whether EspoCRM's cron or daemon is to do it (default), or the request itself.
    ``validate``: whether to refuse names in ``select`` and ``order_by`` that the server does not have (default).
    """

    ids: Sequence[str] | None
    select: Sequence[str] | None
    order_by: str | None
    order: str | None
    file_format: ExportFormat
    background: bool
    validate: bool


def start_export(state: ClientState, entity_type: str, **options: Unpack[ExportOptions]) -> Operation[Record]:
    """Have EspoCRM export records to a file.

    Follow the job by :meth:`job_status`; its end gives the ``attachment_id`` for :meth:`download_attachment`. To export
    twice does no harm.

    :param entity_type: such as ``Lead``.
    :param ids: ids of the records, instead of a filter. An empty list is refused: EspoCRM would export everything.
    :param where: list of items as of :mod:`airflow_provider_espo.where`; without any filter everything is exported.
    :param primary_filter: name of one of EspoCRM's filters, such as ``actual``.
    :param bool_filters: names of EspoCRM's on/off filters, such as ``onlyMy``.
    :param text_filter: text to search for, as in EspoCRM's search box.
    :param select: attributes, in the order of the columns; all fields by default.
    :param order_by: attribute to order by; ``id`` by default.
    :param order: ``asc`` (default) or ``desc``.
    :param file_format: ``csv`` (default) or ``xlsx``.
    :param background: have EspoCRM's cron or daemon do it (default). Otherwise the answer waits for the file, which
        only small ones do within the time-out.
    :param validate: refuse ``select`` and ``order_by`` names that the server does not have; it would drop them.
    :return: ``{"job_id", "attachment_id"}``: the one in the background, the other otherwise; the rest ``None``.
    :raises EspoForbiddenError: the user's role has no export permission, or may not read such records.
    :raises EspoInputError: no ids, ids and a filter, a wrong format.
    :raises EspoUnknownNameError: a name that the server does not have.
    """
    outgoing = yield from prepare_export(state, entity_type, **options)
    answer = expect_object(outgoing, (yield outgoing))
    job_id, attachment_id = answer.get("exportId"), answer.get("id")
    if not job_id and not attachment_id:
        raise EspoBadAnswerError("The answer to an export has no id", method=outgoing.method, path=outgoing.path)
    return {"job_id": job_id, "attachment_id": attachment_id}


def prepare_export(state: ClientState, entity_type: str, **options: Unpack[ExportOptions]) -> Operation[Request]:
    """Check what is to be exported and return the request that starts it. Takes the arguments of :meth:`start_export`.

    :raises EspoInputError: no ids, ids and a filter, a wrong format.
    :raises EspoUnknownNameError: a name that the server does not have.
    """
    if unknown := sorted(options.keys() - ExportOptions.__annotations__.keys()):
        raise TypeError(f"unexpected argument {', '.join(unknown)}")
    record_path(entity_type)
    file_format = options.get("file_format", "csv")
    if file_format not in get_args(ExportFormat):
        raise EspoInputError(f"file_format is none of {', '.join(get_args(ExportFormat))}")
    ids = _ids(options)
    order_by = options.get("order_by")
    wanted = {name: options.get(name) for name in (*_FILTERS, "select")}
    search = build_search(cast("ListOptions", {**wanted, "order_by": order_by or "id", "order": options.get("order")}))
    schema = yield from listable(
        state, entity_type, search.select, order_by, validate=bool(options.get("validate", True))
    )
    body: dict[str, Any] = {"entityType": entity_type, "format": file_format}
    if options.get("background", True):
        body["idle"] = True
    if ids is not None:
        body["ids"] = ids
    else:
        body["searchParams"] = search.with_(select=None).to_params()
    if search.select is not None:
        body["attributeList"] = list(search.select)
        body["fieldList"] = _fields_of(search.select, schema)
    return build_request("POST", "Export", json=body, repeatable=True)


def _ids(options: ExportOptions) -> list[str] | None:
    ids = options.get("ids")
    if ids is None:
        return None
    if given := [name for name in (*_FILTERS, "order_by", "order") if options.get(name) is not None]:
        raise EspoInputError(f"ids and {', '.join(given)} contradict each other", hint="Give ids or a filter")
    wanted = record_ids(ids)
    if not wanted:
        raise EspoInputError(
            "ids is empty: EspoCRM would export every record",
            hint="Was an upstream task's result empty? Without ids and filter everything is exported",
        )
    return wanted


def _fields_of(select: Sequence[str], schema: EntitySchema | None) -> list[str]:
    """Fields that the attributes belong to: EspoCRM wants both for a spreadsheet."""
    fields = []
    for name in select:
        attribute = schema.attribute(name) if schema is not None else None
        fields.append(attribute.field if attribute is not None else name)
    return list(dict.fromkeys(fields))
