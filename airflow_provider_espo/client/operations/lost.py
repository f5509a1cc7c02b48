"""Create a record once, also when an answer gets lost.

EspoCRM has no idempotency key. So when it is not known whether a create was carried out, the record is looked for
before it is created again: by its key where it has one, otherwise made by the connection's user, since the request was
sent, equal in all values given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from airflow_provider_espo.client.comparing import changed, differs
from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoDuplicateError,
    EspoError,
    EspoServerError,
    EspoTimeoutError,
)
from airflow_provider_espo.client.moments import utc_text
from airflow_provider_espo.client.operations.keys import Found, read_whole
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, Request, expect_object

#: How far the server's clock may be behind ours.
CLOCK_SKEW = timedelta(minutes=2)

#: EspoCRM cuts texts in lists to this many characters.
LIST_TEXT_LIMIT = 10_000

#: Found records to compare at most; more were made by the user in the time only by a mass import.
_MAX_COMPARED = 2000

#: A proxy gave up waiting: the server behind it may still be at work.
_GATEWAY_TIMEOUTS = frozenset({504, 524})

#: Attributes whose values EspoCRM stores as they are sent and can filter by, whatever the entity type.
_EXACT_NAMES = frozenset({"name", "firstName", "lastName", "emailAddress"})

#: Looks for the record that a create since a time may have made.
Finder: TypeAlias = Callable[[datetime], Operation[Found | None]]


def create_once(state: ClientState, outgoing: Request, find: Finder) -> Operation[tuple[Record, Found | None]]:
    """Send a create; after an unknown outcome look before trying again.

    :param outgoing: the ``POST`` request, with the attributes as body.
    :param find: looks for the record.
    :return: the new record as EspoCRM answered, or as it was found; and how it was found, ``None`` if it was answered.
    :raises EspoError: the create failed, or its outcome is unknown and the record is not there (yet).
    """
    since = datetime.now(UTC) - CLOCK_SKEW
    tries = 0
    while True:
        try:
            return _with_id(outgoing, expect_object(outgoing, (yield outgoing))), None
        except EspoDuplicateError as error:
            # After a first try that got lost: it may have been late and not in vain.
            if not tries:
                raise
            if (found := (yield from find(since))) is None:
                error.outcome_unknown = True
                raise
            return found.record, found
        except EspoError as error:
            if not outcome_is_unknown(error):
                # Of this request it is known; an earlier one may still be carried out.
                error.outcome_unknown = tries > 0
                raise
            failure = error
        try:
            found = yield from find(since)
        except EspoError as second:
            _add_hint(failure, "Whether the record was created could not be looked up")
            raise failure from second
        if found is not None:
            return found.record, found
        if _may_be_under_way(failure) or tries >= min(1, state.retry.max_retries):
            _add_hint(failure, "The record was not there when looked for; look again before you create it again")
            raise failure
        tries += 1


def same_values(
    state: ClientState, outgoing: Request, schema: EntitySchema | None, claimed: Collection[str] = ()
) -> Finder:
    """Return a finder that goes by the values sent.

    :param outgoing: the ``POST`` request.
    :param schema: the entity type's schema, where known.
    :param claimed: ids of records that are known to come from other requests.
    """

    def find(since: datetime) -> Operation[Found | None]:
        wanted: Mapping[str, Any] = outgoing.json
        user_id = yield from my_user_id(state)
        search = Search(
            where=[
                {"type": "equals", "attribute": "createdById", "value": user_id},
                {"type": "greaterThanOrEquals", "attribute": "createdAt", "value": utc_text(since)},
                *_exact(wanted),
            ],
            select=sorted({"createdAt", *wanted}),
            order_by="createdAt",
            order="desc",
        )
        pager = pager_for(search, state.config.page_size, limit=_MAX_COMPARED)
        while (page := (yield from next_page(pager, outgoing.path))) is not None:
            for record in page:
                if str(record["id"]) in claimed or not _may_be(schema, wanted, record):
                    continue
                if all(_list_shows(name, wanted[name], record) for name in wanted):
                    return Found(record)
                whole = yield from read_whole(outgoing.path, str(record["id"]))
                if whole is not None and _is_the_same(schema, wanted, whole):
                    return Found(whole, whole=True)
        return None

    return find


def _with_id(outgoing: Request, record: Record) -> Record:
    if not record.get("id"):
        raise EspoBadAnswerError(
            "The answer to a create has no id", method=outgoing.method, path=outgoing.path, outcome_unknown=True
        )
    return record


def _may_be_under_way(error: EspoError) -> bool:
    """Whether the server may still be at it, so that to send again now could make two."""
    return isinstance(error, EspoTimeoutError) or (
        isinstance(error, EspoServerError) and error.status in _GATEWAY_TIMEOUTS
    )


def _add_hint(error: EspoError, hint: str) -> None:
    error.hint = f"{error.hint.rstrip('.')}. {hint}" if error.hint else hint


def _list_shows(name: str, value: object, record: Mapping[str, Any]) -> bool:
    """Whether a list shows the whole value of an attribute, if the record has this value."""
    return name in record and not (isinstance(value, str) and len(value) >= LIST_TEXT_LIMIT)


def _may_be(schema: EntitySchema | None, wanted: Mapping[str, Any], listed: Mapping[str, Any]) -> bool:
    shown = {name: value for name, value in wanted.items() if _list_shows(name, value, listed)}
    return not shown or _is_the_same(schema, shown, listed)


def _is_the_same(schema: EntitySchema | None, wanted: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a record has all values that were sent.

    What it has no attribute for, EspoCRM dropped (or hides, such as a password); a record of which nothing is left to
    compare is none to go by.
    """
    known = {name: value for name, value in wanted.items() if name in record}
    if not known or changed(schema, known, record):
        return False
    once = [
        name for name in known if schema is not None and (it := schema.attribute(name)) is not None and it.create_only
    ]
    return not any(differs(schema, name, known[name], record[name]) for name in once)


def _exact(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Conditions on values that EspoCRM stores as they were sent, so that few records come back."""
    return [
        {"type": "equals", "attribute": name, "value": value.lower() if name == "emailAddress" else value}
        for name, value in sorted(wanted.items())
        if name in _EXACT_NAMES and isinstance(value, str) and 0 < len(value) <= 100 and value == value.strip()
    ]
