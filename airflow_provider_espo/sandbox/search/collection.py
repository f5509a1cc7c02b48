"""Finds records: one page of them, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search import filters
from airflow_provider_espo.sandbox.search.context import SearchContext, UserAccess
from airflow_provider_espo.sandbox.search.failures import server_error
from airflow_provider_espo.sandbox.search.order import order_clause
from airflow_provider_espo.sandbox.search.sql import TRUE, Condition, all_of
from airflow_provider_espo.sandbox.search.text_filter import text_condition
from airflow_provider_espo.sandbox.search.where import where_condition
from airflow_provider_espo.sandbox.storage import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.search.context import Access
    from airflow_provider_espo.sandbox.search.params import SearchParams
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

#: ``total`` of a page for which nothing was counted: there are more records behind it, or there are none.
MORE = -1
NO_MORE = -2


@dataclass(frozen=True, slots=True)
class Collection:
    """A page of records.

    :param total: number of all that match, or :data:`MORE` or :data:`NO_MORE`
    :param rows: database values of the attributes that were asked for, by attribute
    """

    total: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """A search as SQL; the searched type's table has the alias ``t``.

    :param source: what stands behind ``FROM``: the table and its alias
    :param condition: what stands behind ``WHERE``
    :param order: what stands behind ``ORDER BY``
    """

    source: str
    condition: Condition
    order: Condition

    def page(self, columns: str, limit: int, offset: int) -> Condition:
        """Statement for some columns of a page.

        The page is picked by id first: else the columns would be worked out for every record that is sorted.
        """
        order = self.order.sql
        picked = (
            f"SELECT {ROOT}.id AS id FROM {self.source} WHERE {self.condition.sql}"  # noqa: S608
            f" ORDER BY {order} LIMIT ? OFFSET ?"
        )
        sql = (
            f"SELECT {columns} FROM ({picked}) picked CROSS JOIN {self.source}"  # noqa: S608
            f" ON {ROOT}.id = picked.id ORDER BY {order}"
        )
        return Condition(sql, (*self.condition.params, *self.order.params, limit, offset, *self.order.params))

    def count(self) -> Condition:
        """Statement for the number of all that match."""
        sql = f"SELECT COUNT(*) FROM {self.source} WHERE {self.condition.sql}"  # noqa: S608
        return Condition(sql, self.condition.params)

    def ids(self) -> Condition:
        """Statement for the ids of all that match, in order."""
        sql = f"SELECT t.id FROM {self.source} WHERE {self.condition.sql} ORDER BY {self.order.sql}"  # noqa: S608
        return Condition(sql, (*self.condition.params, *self.order.params))


def build(
    storage: Storage,
    entity_def: EntityDef,
    params: SearchParams,
    user: CurrentUser,
    *,
    conditions: Iterable[tuple[str, Sequence[Any]]] = (),
    access: Access | None = None,
) -> Query:
    """Check a search and make it into SQL, without running it. For arguments and errors see :func:`find`."""
    context = SearchContext(storage, entity_def, user, access or UserAccess(storage, user), storage.clock())
    order = order_clause(context, params)
    wanted = [Condition(f"{context.root}.deleted = 0")]
    wanted += [Condition(f"({sql})", tuple(values)) for sql, values in conditions]
    if params.where:
        wanted.append(where_condition(context, params.where))
    if params.primary_filter:
        wanted.append(filters.primary_condition(context, params.primary_filter))
    if params.bool_filters:
        wanted.append(filters.bool_condition(context, params.bool_filters))
    if params.text_filter:
        wanted.append(text_condition(context, params.text_filter))
    source = f"{quoted(entity_def.name)} {context.root}"
    return Query(source, all_of(w for w in wanted if w is not TRUE), order)


def find(
    storage: Storage,
    entity_def: EntityDef,
    params: SearchParams,
    user: CurrentUser,
    *,
    attributes: Iterable[str] = (),
    conditions: Iterable[tuple[str, Sequence[Any]]] = (),
    access: Access | None = None,
    no_total: bool | None = None,
) -> Collection:
    """Find a page of records.

    :param storage: where to look
    :param entity_def: type that is searched
    :param params: what the request asks for
    :param user: who asks
    :param attributes: names of attributes to read, beside the id; those without an SQL expression are left
        out
    :param conditions: further conditions as ``(sql, params)`` (what the user may read, what a link
        restricts); the searched type's table has the alias ``t``
    :param access: the user's rights, for filters that name attributes, links and other records; None for
        those of the roles
    :param no_total: whether to do without counting; None for what the request and the type say
    :return: the page
    :raises ApiError: 400 or 403 with a reason, or 500, as a real server has it
    """
    query = build(storage, entity_def, params, user, conditions=conditions, access=access)
    offset = params.offset or 0
    if params.max_size < 0 or offset < 0:
        raise server_error()
    columns = _columns(entity_def, attributes)
    if no_total is None:
        no_total = params.no_total or entity_def.count_disabled
    if no_total:
        rows = storage.rows(*query.page(columns, params.max_size + 1, offset))
        return Collection(MORE if len(rows) > params.max_size else NO_MORE, rows[: params.max_size])
    rows = storage.rows(*query.page(columns, params.max_size, offset)) if params.max_size else []
    if len(rows) < params.max_size and (rows or not offset):
        # The page is the last one, so that the number of all is known.
        return Collection(offset + len(rows), rows)
    return Collection(int(storage.value(*query.count()) or 0), rows)


def _columns(entity_def: EntityDef, names: Iterable[str]) -> str:
    """What stands behind ``SELECT``: the id, and each attribute under its name."""
    columns = {"id": f"{ROOT}.id"}
    for name in names:
        definition = entity_def.attributes.get(name)
        sql = definition.sql(ROOT) if definition else None
        if sql is not None:
            columns.setdefault(name, sql)
    return ", ".join(f"{sql} AS {quoted(name)}" for name, sql in columns.items())
