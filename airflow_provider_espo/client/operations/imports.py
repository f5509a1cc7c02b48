"""EspoCRM's own import of CSV files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, TypedDict, Unpack, get_args

from airflow_provider_espo.client import name_hints
from airflow_provider_espo.client.bodies import Work
from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoError,
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
    EspoUnknownNameError,
)
from airflow_provider_espo.client.files import Source, SourceBody, SourceFile
from airflow_provider_espo.client.operations.import_lookup import find_import
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW
from airflow_provider_espo.client.operations.schema import checked_schema, writable
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import (
    FileOperation,
    Operation,
    Record,
    Request,
    build_request,
    expect_json,
    expect_object,
    record_id_segment,
    record_path,
)

ImportAction: TypeAlias = Literal["create", "update", "createAndUpdate"]


class ImportOptions(TypedDict, total=False):
    """How a file is to be read and what is to be done with its rows.

    ``action``: ``create`` (default), ``update`` or ``createAndUpdate``.
    ``update_by``: attributes among the columns by which records are found; wanted by the two that update.
    ``default_values``: attributes of every record that is created.
    ``header_row``: whether the first row names the columns (default).
    ``delimiter``, ``text_qualifier``: ``,`` and ``"`` by default.
    ``date_format``, ``time_format``, ``timezone``: ``YYYY-MM-DD``, ``HH:mm``, ``UTC`` by default.
    ``decimal_mark``, ``currency``, ``person_name_format``: ``.``, the server's, ``f l`` by default.
    ``skip_duplicate_check``: whether not to look for duplicates; those found are created all the same, and marked.
    ``silent``: whether to write no notes to streams.
    ``background``: whether EspoCRM's cron or daemon is to do it (default), or the request itself.
    ``validate``: whether to refuse columns and default values that the server does not have (default).
    """

    action: ImportAction
    update_by: Sequence[str] | None
    default_values: Mapping[str, Any] | None
    header_row: bool
    delimiter: str
    text_qualifier: str
    date_format: str
    time_format: str
    timezone: str
    decimal_mark: str
    currency: str | None
    person_name_format: str
    skip_duplicate_check: bool
    silent: bool
    background: bool
    validate: bool


_DEFAULTS: Final[Mapping[str, Any]] = {
    "header_row": True,
    "delimiter": ",",
    "text_qualifier": '"',
    "date_format": "YYYY-MM-DD",
    "time_format": "HH:mm",
    "timezone": "UTC",
    "decimal_mark": ".",
    "currency": None,
    "person_name_format": "f l",
    "skip_duplicate_check": False,
    "silent": False,
    "background": True,
}
#: EspoCRM's words for those of ours.
_WORDS: Final[Mapping[str, str]] = {
    "header_row": "headerRow",
    "delimiter": "delimiter",
    "text_qualifier": "textQualifier",
    "date_format": "dateFormat",
    "time_format": "timeFormat",
    "timezone": "timezone",
    "decimal_mark": "decimalMark",
    "currency": "currency",
    "person_name_format": "personNameFormat",
    "skip_duplicate_check": "skipDuplicateChecking",
    "silent": "silentMode",
    "background": "idleMode",
}
_MOST_ERRORS_AT_ONCE: Final = 200


def upload_import_file(state: ClientState, file: SourceFile) -> FileOperation[Record]:
    """Upload a CSV file that is to be imported. It goes in one request, read in blocks.

    EspoCRM takes anything and removes what nobody imports, so it may be tried again.

    :param file: local path, ``ObjectStoragePath``, or the content as bytes; UTF-8.
    :return: ``{"attachment_id", "size", "sha256"}``, size in bytes.
    :raises EspoForbiddenError: the user's role has no access to *Import*.
    :raises EspoInputError: the file cannot be read, or changed meanwhile.
    """
    source = Source(file, None if not isinstance(file, bytes) else "import.csv")
    try:
        size = yield Work(source.open)
        outgoing = build_request("POST", "Import/file", content=SourceBody(source, size, "text/csv"), repeatable=True)
        answer = expect_object(outgoing, (yield outgoing))
    finally:
        source.close()
    attachment_id = answer.get("attachmentId")
    if not isinstance(attachment_id, str) or not attachment_id:
        raise EspoBadAnswerError("The answer to an upload has no id", method=outgoing.method, path=outgoing.path)
    return {"attachment_id": attachment_id, "size": size, "sha256": source.sha256}


def start_import(
    state: ClientState,
    entity_type: str,
    attachment_id: str,
    columns: Sequence[str | None],
    **options: Unpack[ImportOptions],
) -> Operation[Record]:
    """Have EspoCRM import an uploaded CSV file.

    Follow the job by :meth:`job_status`. Its success does not mean that every row was taken: see
    :meth:`import_errors`. A file is imported once: if the answer got lost, the import is looked for by its file before
    it is given up.

    :param entity_type: such as ``Lead``.
    :param attachment_id: what :meth:`upload_import_file` returned.
    :param columns: for each column the attribute it holds; ``None`` or ``""`` leaves a column out.
    :param action: ``create`` (default), ``update`` or ``createAndUpdate``.
    :param update_by: attributes among the columns by which records are found; wanted by the two that update.
    :param default_values: attributes of every record that is created.
    :param header_row: whether the first row names the columns (default).
    :param delimiter: what stands between values; ``,`` by default.
    :param text_qualifier: what stands around values; ``"`` by default.
    :param date_format: EspoCRM's pattern of dates; ``YYYY-MM-DD`` by default.
    :param time_format: its pattern of times; ``HH:mm`` by default.
    :param timezone: zone of the times; ``UTC`` by default.
    :param decimal_mark: ``.`` by default.
    :param currency: of amounts without one; by default the server's.
    :param person_name_format: order of the parts of a column ``name``: ``f l`` by default, first and last name.
    :param skip_duplicate_check: do not look for duplicates; those found are created all the same, and marked.
    :param silent: write no notes to streams.
    :param background: have EspoCRM's cron or daemon do it (default); the records' creator is then ``system``.
        Otherwise the answer waits for the end, which only small files reach within the time-out.
    :param validate: refuse columns and default values that the server does not have.
    :return: ``{"job_id", "created", "updated"}``; the numbers are 0 in the background.
    :raises EspoForbiddenError: the user's role has no access to *Import*, or may not create such records.
    :raises EspoInputError: a wrong action, or ``update_by`` is missing or no column.
    :raises EspoUnknownNameError: a column or default value that the server does not have.
    """
    since = datetime.now(UTC)
    outgoing = yield from prepare_import(state, entity_type, record_id_segment(attachment_id), columns, **options)
    try:
        answer = expect_object(outgoing, (yield outgoing))
    except EspoError as error:
        if not outcome_is_unknown(error):
            raise
        try:
            found = yield from find_import(state, since - CLOCK_SKEW, attachment_id=attachment_id)
        except EspoError as second:
            raise error from second
        if found is None:
            raise
        return {"job_id": found, "created": 0, "updated": 0}
    if not answer.get("id"):
        raise EspoBadAnswerError("The answer to an import has no id", method=outgoing.method, path=outgoing.path)
    return {
        "job_id": str(answer["id"]),
        "created": answer.get("countCreated") or 0,
        "updated": answer.get("countUpdated") or 0,
    }


def prepare_import(
    state: ClientState,
    entity_type: str,
    attachment_id: str,
    columns: Sequence[str | None],
    **options: Unpack[ImportOptions],
) -> Operation[Request]:
    """Check an import and return the request that starts it. Takes the arguments of :meth:`start_import`.

    :raises EspoInputError: a wrong action, or ``update_by`` is missing or no column.
    :raises EspoUnknownNameError: a column or default value that the server does not have.
    """
    if unknown := sorted(options.keys() - ImportOptions.__annotations__.keys()):
        raise TypeError(f"unexpected argument {', '.join(unknown)}")
    record_path(entity_type)
    action = options.get("action", "create")
    if action not in get_args(ImportAction):
        raise EspoInputError(
            "action is no action of an import",
            hint=f"EspoCRM would create records. Give one of {', '.join(get_args(ImportAction))}",
        )
    names = check_columns(columns)
    update_by = _update_by(action, options.get("update_by"), names)
    validate = bool(options.get("validate", True))
    defaults = options.get("default_values") or {}
    if not isinstance(defaults, Mapping):
        raise EspoInputError(f"default_values is {type(defaults).__name__} and not a dict")
    if validate:
        yield from checked_schema(state, entity_type, lambda schema: _check_names(schema, names))
    schema = yield from writable(state, entity_type, defaults, validate=validate and bool(defaults))
    body: dict[str, Any] = {
        "entityType": entity_type,
        "attachmentId": attachment_id,
        "attributeList": names,
        "action": action,
        "updateBy": update_by,
        "defaultValues": to_wire(defaults, schema),
        "manualMode": False,
    }
    for name, default in _DEFAULTS.items():
        value = options.get(name, default)
        if value is not None:
            body[_WORDS[name]] = value
    # Not repeatable: to import twice makes every record twice.
    return build_request("POST", "Import", json=body)


def import_errors(state: ClientState, job_id: str, *, limit: int = 20) -> Operation[Record]:
    """Return how many rows of an import failed, and the first of them.

    :param job_id: the import's id.
    :param limit: rows to return at most, up to 200.
    :return: ``{"count", "errors"}``; of each error ``{"line", "type", "fields", "row"}``: line of the file if no value
        before it has a line break, EspoCRM's word (``Validation``, ``No-Access``, ``Not-Found``), fields with the rule
        each broke, and the row's values.
    :raises EspoNotFoundError: no such import.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= _MOST_ERRORS_AT_ONCE:
        raise EspoInputError(f"limit is not a whole number between 0 and {_MOST_ERRORS_AT_ONCE}")
    search = Search(order_by="rowIndex", order="asc", max_size=limit)
    outgoing = build_request("GET", record_path("Import", record_id_segment(job_id), "errors"), query=search.to_query())
    answer = expect_object(outgoing, (yield outgoing))
    found, total = answer.get("list") or [], answer.get("total")
    if not isinstance(total, int) or total < 0:
        raise EspoBadAnswerError(
            "The answer does not say how many rows failed", method=outgoing.method, path=outgoing.path
        )
    return {"count": total, "errors": [_row_error(one) for one in found if isinstance(one, Mapping)]}


def export_import_errors(state: ClientState, job_id: str) -> Operation[str | None]:
    """Have EspoCRM write the rows of an import that failed to a CSV file, as they were.

    :param job_id: the import's id.
    :return: id of the file for :meth:`download_attachment`; ``None`` if no row failed.
    """
    outgoing = build_request("POST", f"Import/{record_id_segment(job_id)}/exportErrors", repeatable=True)
    answer = expect_object(outgoing, (yield outgoing))
    attachment_id = answer.get("attachmentId")
    return str(attachment_id) if attachment_id else None


def revert_import(state: ClientState, job_id: str) -> Operation[Record]:
    """Delete the records that an import created, and the import. What it updated stays as it is.

    :param job_id: the import's id.
    :return: ``{"id", "action"}``, action ``deleted``, or ``missing`` if there is no such import (any more).
    :raises EspoNothingDoneError: EspoCRM answered that it did nothing.
    """
    # If the first answer got lost, the second says that there is no such import.
    outgoing = build_request("POST", f"Import/{record_id_segment(job_id)}/revert", repeatable=True)
    try:
        done = expect_json(outgoing, (yield outgoing))
    except EspoNotFoundError:
        return {"id": job_id, "action": "missing"}
    if done is not True:
        raise EspoNothingDoneError(
            "EspoCRM did not revert the import", status=200, method=outgoing.method, path=outgoing.path
        )
    return {"id": job_id, "action": "deleted"}


def check_columns(columns: object) -> list[str]:
    """Return names of columns, ``""`` for those to be left out, or say why what was given are none."""
    if isinstance(columns, str | Mapping) or not isinstance(columns, Sequence):
        raise EspoInputError(f"columns is a {type(columns).__name__} and not a list of attributes")
    # EspoCRM fails at null.
    names = ["" if name is None else name for name in columns]
    if not all(isinstance(name, str) for name in names):
        raise EspoInputError("columns has something that is no name")
    used = [name for name in names if name]
    if not used:
        raise EspoInputError("columns names no attribute")
    if twice := sorted({name for name in used if used.count(name) > 1}):
        raise EspoInputError(f"columns names {', '.join(twice)} more than once")
    return names


def _update_by(action: str, update_by: Sequence[str] | None, names: list[str]) -> list[int]:
    wanted = [update_by] if isinstance(update_by, str) else list(update_by or ())
    if action == "create":
        if wanted:
            raise EspoInputError("update_by goes with the actions update and createAndUpdate only")
        return []
    if not wanted:
        raise EspoInputError(
            f"The action {action} wants update_by", hint="Without it EspoCRM updates nothing, and calls it a success"
        )
    if missing := [name for name in wanted if not name or name not in names]:
        raise EspoInputError(f"update_by names {', '.join(map(repr, missing))}, which no column holds")
    return [names.index(name) for name in wanted]


def _check_names(schema: EntitySchema, names: Sequence[str]) -> None:
    bad = [name for name in names if name and schema.attribute(name) is None and not _is_one_of_several(schema, name)]
    if bad:
        told = [f"{name_hints.quoted(name)}{name_hints.or_these(_near(schema, name))}" for name in bad]
        raise EspoUnknownNameError(
            f"{schema.entity_type} has no attribute for the column {', '.join(told)}",
            hint="Leave a column out with None. validate=False skips this check",
        )


def _near(schema: EntitySchema, name: str) -> list[str]:
    return list(name_hints.nearest(name, schema.attributes))


def _is_one_of_several(schema: EntitySchema, name: str) -> bool:
    """Whether a column holds a further number or address, such as ``phoneNumberMobile`` or ``emailAddress2``."""
    patterns = {"phone": r"[A-Z]\w*", "email": r"[2-9]"}
    return any(
        kind in patterns and re.fullmatch(re.escape(field) + patterns[kind], name)
        for field, kind in schema.fields.items()
    )


def _row_error(error: Mapping[str, Any]) -> Record:
    index = error.get("rowIndex")
    failures = error.get("validationFailures")
    return {
        "line": index + 1 if isinstance(index, int) else None,
        "type": error.get("type"),
        "fields": {
            str(one.get("field")): one.get("type")
            for one in (failures if isinstance(failures, list) else [])
            if isinstance(one, Mapping)
        },
        "row": error.get("row"),
    }
