"""Lists of records and of related records, and counts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from airflow_provider_espo.client.errors import EspoForbiddenError, EspoInputError
from airflow_provider_espo.client.operations.schema import linkable, readable
from airflow_provider_espo.client.paging import Pager, pager_for
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.where_check import check_where
from airflow_provider_espo.client.wire import (
    Emit,
    Operation,
    Record,
    Stream,
    build_request,
    drain,
    expect_object,
    record_path,
)

#: Without it EspoCRM counts all matching records for every page.
_NO_TOTAL: Mapping[str, str] = {"X-No-Total": "true"}

_SIZE_LIMIT = re.compile(r"Max size should not exceed (\d+)")


class Filters(TypedDict, total=False):
    """What records are meant. All given must hold.

    ``where``: list of items as of :mod:`airflow_provider_espo.where`.
    ``primary_filter``: name of one of EspoCRM's filters, such as ``actual``.
    ``bool_filters``: names of EspoCRM's on/off filters, such as ``onlyMy``.
    ``text_filter``: text to search for, as in EspoCRM's search box.
    """

    where: Sequence[Mapping[str, Any]] | None
    primary_filter: str | None
    bool_filters: Sequence[str] | None
    text_filter: str | None


class ListOptions(Filters, total=False):
    """Which records, what of them, in which order and how many.

    ``select``: attributes to return, all by default; ``id`` always comes along.
    ``order_by``: attribute to order by, ``id`` by default.
    ``order``: ``asc`` (default) or ``desc``.
    ``limit``: records at most, all by default.
    ``page_size``: records a request, the connection's by default.
    ``validate``: whether to refuse names in ``select`` and ``order_by`` that the server does not have (default).
    """

    select: Sequence[str] | None
    order_by: str | None
    order: str | None
    limit: int | None
    page_size: int | None
    validate: bool


def iter_records(state: ClientState, entity_type: str, **options: Unpack[ListOptions]) -> Stream[Record]:
    """Yield the records that match, one by one, asking for page after page: the memory needed stays small.

    In the default order, by ``id``, and by ``createdAt``, ``modifiedAt`` and ``number``, every record that is there
    throughout comes exactly once. By other attributes pages are taken by offset: a record can be missed when others
    are deleted or move during the walk.

    :param entity_type: such as ``Lead``.
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold.
    :param primary_filter: name of one of EspoCRM's filters, such as ``actual``.
    :param bool_filters: names of EspoCRM's on/off filters, such as ``onlyMy``.
    :param text_filter: text to search for, as in EspoCRM's search box.
    :param select: attributes to return; all by default. Give it: it is faster by much. ``id`` always comes along.
    :param order_by: attribute to order by; ``id`` by default.
    :param order: ``asc`` (default) or ``desc``.
    :param limit: records at most; all by default.
    :param page_size: records a request; the connection's by default.
    :param validate: refuse ``select`` and ``order_by`` names that the server does not have.
    :return: records. Long texts are cut to 10,000 characters by EspoCRM in lists; read the record for the whole.
    """
    search, pager = _search_and_pager(state, options)
    path = record_path(entity_type)
    yield from _check_names(state, entity_type, search, validate=options.get("validate", True))
    yield from _pages(pager, path)


def list_records(state: ClientState, entity_type: str, **options: Unpack[ListOptions]) -> Operation[list[Record]]:
    """Return the records that match as a list, all in memory.

    Takes the arguments of :meth:`iter_records`, which is the better choice for many records.

    :return: list of records.
    """
    found: list[Record] = []
    yield from drain(iter_records(state, entity_type, **options), found.append)
    return found


def list_related(
    state: ClientState, entity_type: str, record_id: str, link: str, **options: Unpack[ListOptions]
) -> Operation[list[Record]]:
    """Return the records at the other end of a link.

    Takes the other arguments of :meth:`iter_records`; they are about the related records.

    :param entity_type: entity type of the record, such as ``Account``.
    :param record_id: its id.
    :param link: name of the link, such as ``contacts``.
    :return: list of records.
    :raises EspoNotFoundError: no such record.
    """
    search, pager = _search_and_pager(state, options)
    validate = options.get("validate", True)
    path = record_path(entity_type, record_id, link)
    schema = yield from linkable(state, entity_type, link, validate=validate, for_write=False)
    if schema is not None and (related := schema.links[link].entity_type):
        yield from _check_names(state, related, search, validate=validate)
    found: list[Record] = []
    yield from drain(_pages(pager, path), found.append)
    return found


def count_records(state: ClientState, entity_type: str, **filters: Unpack[Filters]) -> Operation[int]:
    """Return how many records match.

    EspoCRM counts, but for some entity types (``Email``) it does not; then the ids are read and counted here.

    :param entity_type: such as ``Lead``.
    :param where: as in :meth:`iter_records`, like ``primary_filter``, ``bool_filters`` and ``text_filter``.
    :return: the number.
    """
    search = build_search(filters)
    outgoing = build_request("GET", record_path(entity_type), query=search.with_(max_size=0).to_query())
    total = expect_object(outgoing, (yield outgoing)).get("total")
    if isinstance(total, int) and total >= 0:
        return total
    ids: list[Record] = []
    yield from drain(_pages(pager_for(search.with_(select=["id"]), state.config.page_size), outgoing.path), ids.append)
    return len(ids)


def build_search(options: ListOptions | Filters) -> Search:
    """Check the parts of a search as users give them and put them together."""
    select, bool_filters = options.get("select"), options.get("bool_filters")
    if isinstance(select, str) or isinstance(bool_filters, str):
        raise EspoInputError("select and bool_filters are lists of names, not a text")
    where = options.get("where")
    return Search(
        where=check_where(where, rendered=True) if where is not None else None,
        select=list(select) if select is not None else None,
        order_by=options.get("order_by"),
        order=options.get("order"),
        primary_filter=options.get("primary_filter"),
        bool_filters=list(bool_filters) if bool_filters is not None else None,
        text_filter=options.get("text_filter"),
    )


def _search_and_pager(state: ClientState, options: ListOptions) -> tuple[Search, Pager]:
    if unknown := set(options) - set(ListOptions.__annotations__):
        raise TypeError(f"unexpected argument {', '.join(sorted(unknown))}")
    search = build_search(options)
    return search, pager_for(search, _page_size(state, options.get("page_size")), options.get("limit"))


def _page_size(state: ClientState, page_size: int | None) -> int:
    if page_size is None:
        return state.config.page_size
    if isinstance(page_size, bool) or not isinstance(page_size, int) or not 1 <= page_size <= 200:
        raise EspoInputError("page_size is not a whole number from 1 to 200, EspoCRM's own limit")
    return page_size


def _check_names(state: ClientState, entity_type: str, search: Search, *, validate: bool) -> Operation[None]:
    names = [*(search.select or ()), *((search.order_by,) if search.order_by else ())]
    yield from readable(state, entity_type, names, validate=validate, what="select or order_by")


def _pages(pager: Pager, path: str) -> Stream[Record]:
    """Walk with a pager and emit what it hands out."""
    while (search := pager.next_search()) is not None:
        outgoing = build_request("GET", path, query=search.to_query(), headers=_NO_TOTAL)
        try:
            answer = expect_object(outgoing, (yield outgoing))
        except EspoForbiddenError as error:
            # An administrator may have set a smaller limit than EspoCRM's own 200.
            allowed = _SIZE_LIMIT.search(error.reason or "")
            if allowed is None or int(allowed[1]) >= (search.max_size or 0):
                raise
            pager.shrink(int(allowed[1]))
            continue
        for record in pager.receive(answer):
            yield Emit(record)
