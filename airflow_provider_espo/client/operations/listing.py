"""Lists of records and of related records, and counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict, Unpack, cast

from airflow_provider_espo.client.config import MAX_PAGE_SIZE
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.operations.schema import linkable, listable
from airflow_provider_espo.client.paging import KEYSET_ATTRIBUTES, Pager, pager_for
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Emit,
    Operation,
    Record,
    Stream,
    build_request,
    drain,
    expect_object,
    name_segment,
    record_path,
)


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

    In the default order, by ``id``, and by ``createdAt``, ``modifiedAt`` and an autoincrement ``number``, every record
    that is there throughout comes exactly once. (By ``modifiedAt`` ``desc``, records that are changed meanwhile may
    come at the end.) By other attributes pages are taken by offset: a record can be missed when others are deleted or
    move during the walk.

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
    :raises EspoUnknownNameError: a name that the server does not have, before anything is listed.
    :raises EspoInputError: a malformed filter, a negative limit, a page size that EspoCRM does not allow.
    """
    wanted = _Wanted(state, options)
    path = record_path(entity_type)
    schema = yield from wanted.check_names(state, entity_type)
    yield from _walk(wanted.pager(schema), path)


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
    :raises EspoUnknownNameError: no such link.
    """
    wanted = _Wanted(state, options)
    # Without a link the path would be that of the record.
    path = record_path(entity_type, record_id, name_segment(link, "link"))
    schema = yield from linkable(state, entity_type, link, validate=wanted.validate, for_write=False)
    # Some paths list as a link does without being one (followers), and a parent may be of any type.
    related = schema.links.get(link) if schema is not None else None
    other_side = None
    if related is not None and related.entity_type:
        other_side = yield from wanted.check_names(state, related.entity_type)
    found: list[Record] = []
    yield from drain(_walk(wanted.pager(other_side), path), found.append)
    return found


def count_records(state: ClientState, entity_type: str, **filters: Unpack[Filters]) -> Operation[int]:
    """Return how many records match.

    EspoCRM counts, but for some entity types (``Email``) it does not; then the ids are read and counted here.

    :param entity_type: such as ``Lead``.
    :param where: as in :meth:`iter_records`, like ``primary_filter``, ``bool_filters`` and ``text_filter``.
    :return: the number.
    """
    _refuse_unknown(filters, Filters.__annotations__)
    search = build_search(cast("ListOptions", filters))
    outgoing = build_request("GET", record_path(entity_type), query=search.with_(max_size=0).to_query())
    total = expect_object(outgoing, (yield outgoing)).get("total")
    if isinstance(total, int) and total >= 0:
        return total
    pager = pager_for(search.with_(select=["id"]), state.config.page_size)
    count = 0
    while (page := (yield from next_page(pager, outgoing.path))) is not None:
        count += len(page)
    return count


def build_search(options: ListOptions) -> Search:
    """Check the parts of a search as users give them and put them together."""
    select, bool_filters = options.get("select"), options.get("bool_filters")
    where = options.get("where")
    return Search(
        where=where if where is not None else (),
        select=select,
        order_by=options.get("order_by"),
        order=options.get("order"),
        primary_filter=options.get("primary_filter"),
        bool_filters=bool_filters if bool_filters is not None else (),
        text_filter=options.get("text_filter"),
    )


class _Wanted:
    """Options of a list, checked before the first request."""

    def __init__(self, state: ClientState, options: ListOptions) -> None:
        _refuse_unknown(options, ListOptions.__annotations__)
        self.validate = options.get("validate", True)
        self.search = build_search(options)
        page_size = _whole("page_size", options.get("page_size"), least=1, most=MAX_PAGE_SIZE)
        self._page_size = state.config.page_size if page_size is None else page_size
        self._limit = _whole("limit", options.get("limit"), least=0)

    def check_names(self, state: ClientState, entity_type: str) -> Operation[EntitySchema | None]:
        """Refuse names in ``select`` and ``order_by`` that the server does not have."""
        return (
            yield from listable(state, entity_type, self.search.select, self.search.order_by, validate=self.validate)
        )

    def pager(self, schema: EntitySchema | None) -> Pager:
        """Pager for the order.

        :param schema: of the listed entity type, where known.
        """
        keyset: Collection[str] = KEYSET_ATTRIBUTES
        if schema is not None and schema.fields.get("number") != "autoincrement":
            # Somebody's own field of that name, which may be empty: records without a value have no position.
            keyset = KEYSET_ATTRIBUTES - {"number"}
        return pager_for(self.search, self._page_size, self._limit, keyset=keyset)


def _walk(pager: Pager, path: str) -> Stream[Record]:
    """Walk with a pager and emit what it hands out."""
    while (page := (yield from next_page(pager, path))) is not None:
        # Taken out one by one, so that no page is held while the next one is asked for.
        page.reverse()
        while page:
            yield Emit(page.pop())


def _whole(name: str, value: object, *, least: int, most: int | None = None) -> int | None:
    """Return a whole number within bounds, also one that a template rendered to text."""
    if value is None:
        return None
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise EspoInputError(f"{name} is not a whole number")
    if number < least:
        raise EspoInputError(f"{name} is {number}, the least is {least}", hint="Leave it out for the default")
    if most is not None and number > most:
        raise EspoInputError(f"{name} is {number}, the most that EspoCRM allows is {most}")
    return number


def _refuse_unknown(given: Mapping[str, object], known: Collection[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise TypeError(f"unexpected argument {', '.join(unknown)}; there are {', '.join(sorted(known))}")
