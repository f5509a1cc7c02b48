"""Streams: the notes of a record, of what a user follows, of everything a user may see, of one author.

They are always in the order of their numbers, the newest first.
"""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, note_view
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.posts import may_see
from airflow_provider_espo.sandbox.search import MORE, NO_MORE, Query, SearchParams, build
from airflow_provider_espo.sandbox.search.sql import Condition
from airflow_provider_espo.sandbox.subscriptions import FOLLOWED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

SqlCondition = tuple[str, "Sequence[Any]"]
NEWEST_FIRST = Condition("t.number DESC", ())
TYPES_OF_FILTERS: Mapping[str, tuple[str, ...]] = {"posts": ("Post",), "updates": ("Update", "Status")}
#: Pages of notes that are looked through for those that a user may see.
MOST_LOOKS = 50


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What is asked of a stream.

    :param search: the page and ``where``; an order is ignored
    :param types: types of notes; empty for all
    :param after: only notes written after this time
    :param before_number: only notes with a lower number
    :param skip_own: leave out what the user wrote
    """

    search: SearchParams
    types: tuple[str, ...] = ()
    after: str | None = None
    before_number: int | None = None
    skip_own: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, Any], limit: int) -> StreamRequest:
        """Read a request's query.

        :raises ApiError: 400 or 403 if it makes no sense
        """
        search = SearchParams.from_query(query, limit=limit)
        before = query.get("beforeNumber")
        if before is not None and not (isinstance(before, str) and before.lstrip("-").isdigit()):
            raise ApiError(400, "Bad beforeNumber.")
        after = query.get("after")
        return cls(
            search=replace(search, order_by=None, order=None, select=None),
            types=TYPES_OF_FILTERS.get(str(query.get("filter")), ()),
            after=after if isinstance(after, str) and after else None,
            before_number=None if before is None else int(before),
            skip_own=query.get("skipOwn") == "true",
        )

    def conditions(self, user: CurrentUser) -> list[SqlCondition]:
        """SQL of everything but the search."""
        found: list[SqlCondition] = []
        if self.types:
            found.append((f"t.type IN ({', '.join('?' * len(self.types))})", self.types))
        if self.after is not None:
            found.append(('t."createdAt" > ?', (self.after,)))
        if self.before_number is not None:
            found.append(("t.number < ?", (self.before_number,)))
        if self.skip_own:
            found.append(('t."createdById" <> ?', (user.id,)))
        return found


def query_of(
    storage: Storage, request: StreamRequest, user: CurrentUser, conditions: Sequence[SqlCondition]
) -> tuple[Query, int, int]:
    """The query for notes, with size and offset of the page.

    :raises ApiError: 400, 403 or 500 for a search that makes no sense
    """
    search, offset = request.search, request.search.offset or 0
    if search.max_size < 0 or offset < 0:
        raise ApiError(500)
    note_def = storage.definitions["Note"]
    query = build(storage, note_def, search, user, conditions=[*request.conditions(user), *conditions])
    return replace(query, order=NEWEST_FIRST), search.max_size, offset


def of_record(
    storage: Storage, entity_type: str, record_id: str, request: StreamRequest, user: CurrentUser
) -> tuple[int, list[dict[str, Any]]]:
    """Notes on a record, and of records that belong to it.

    :return: number of all that match, and the database values of the page
    """
    here = (
        '((t."parentType" = ? AND t."parentId" = ?) OR (t."superParentType" = ? AND t."superParentId" = ?))',
        (entity_type, record_id, entity_type, record_id),
    )
    conditions = [here, *visible_records(storage, user, near=(entity_type, record_id))]
    query, size, offset = query_of(storage, request, user, conditions)
    rows = storage.rows(*query.page(note_view.columns(storage, note_view.RECORD_STREAM), size, offset)) if size else []
    return int(storage.value(*query.count()) or 0), rows


def pinned(storage: Storage, entity_type: str, record_id: str) -> list[dict[str, Any]]:
    """Database values of the notes that are pinned on a record."""
    return storage.rows(
        f'SELECT {note_view.columns(storage, note_view.RECORD_STREAM)} FROM "Note" t WHERE t."parentType" = ?'
        ' AND t."parentId" = ? AND t."isPinned" = 1 AND t.deleted = 0 ORDER BY t.number DESC',
        [entity_type, record_id],
    )


def of_user(storage: Storage, request: StreamRequest, owner: CurrentUser) -> tuple[int, list[dict[str, Any]]]:
    """A user's own stream: notes of records that the user follows, posts to and by the user."""
    followed = (
        f'EXISTS (SELECT 1 FROM "{FOLLOWED}" s WHERE s."entityId" = t."parentId"'
        ' AND s."entityType" = t."parentType" AND s."userId" = ?)'
    )
    above = followed.replace('"parent', '"superParent')
    direct, params = posts_to(owner)
    conditions = [
        (f"({followed} OR {above} OR {direct})", (owner.id, owner.id, *params)),
        *visible_records(storage, owner),
    ]
    return uncounted(storage, *query_of(storage, request, owner, conditions))


def by_author(
    storage: Storage, request: StreamRequest, author_id: str, user: CurrentUser
) -> tuple[int, list[dict[str, Any]]]:
    """Everything that a user wrote or caused, as far as another one may see it."""
    query, size, offset = query_of(storage, request, user, [('t."createdById" = ?', (author_id,))])
    return looked_through(storage, query, size, offset, user)


def of_all(storage: Storage, request: StreamRequest, user: CurrentUser) -> tuple[int, list[dict[str, Any]]]:
    """Everything that a user may see.

    :raises ApiError: 400 if an offset is given
    """
    if request.search.offset:
        raise ApiError(400, "Offset is not supported.")
    types = [name for name, d in storage.definitions.items() if d.stream and may_look(user, name)]
    direct, params = posts_to(user)
    condition = f't."parentType" IN ({", ".join("?" * len(types))}) OR {direct}'
    query, size, offset = query_of(storage, request, user, [(condition, (*types, *params))])
    return looked_through(storage, query, size, offset, user)


def may_look(user: CurrentUser, entity_type: str) -> bool:
    """Whether a user may see records of a type and their streams, as far as the type goes."""
    return acl.may(user, entity_type, "read") and acl.may(user, entity_type, "stream")


def posts_to(user: CurrentUser) -> SqlCondition:
    """SQL for posts on no record that are by a user, to the user, or to all."""
    marks = ", ".join("?" * len(user.team_ids))
    everybody = "" if user.is_api else ' OR t."isGlobal" = 1'
    sql = (
        '(t."parentId" IS NULL AND t.type = \'Post\' AND (t."createdById" = ?'
        ' OR EXISTS (SELECT 1 FROM "NoteUser" m WHERE m."noteId" = t.id AND m."userId" = ? AND m.deleted = 0)'
        f' OR EXISTS (SELECT 1 FROM "NoteTeam" m WHERE m."noteId" = t.id AND m."teamId" IN ({marks})'
        f" AND m.deleted = 0){everybody}))"
    )
    return sql, (user.id, user.id, *user.team_ids)


def visible_records(storage: Storage, user: CurrentUser, near: tuple[str, str] | None = None) -> list[SqlCondition]:
    """SQL for notes about records that a user may see.

    :param near: type and id of a record that the user is known to see
    """
    found: list[SqlCondition] = []
    for name, entity_def in storage.definitions.items():
        if "object" not in entity_def.traits:
            continue
        if not may_look(user, name) and (near is None or near[0] != name):
            if entity_def.stream or not acl.may(user, name, "read"):
                found.append(('t."relatedType" IS NOT ? AND t."parentType" IS NOT ?', (name, name)))
            continue
        restriction = acl.restriction(user, entity_def)
        if restriction is None:
            continue
        inner = f'IN (SELECT t.id FROM "{name}" t WHERE t.deleted = 0 AND {restriction[0]})'
        found.append((f't."relatedType" IS NOT ? OR t."relatedId" {inner}', (name, *restriction[1])))
        if near is None or near[0] != name:
            found.append((f't."parentType" IS NOT ? OR t."parentId" {inner}', (name, *restriction[1])))
    return found


def uncounted(storage: Storage, query: Query, size: int, offset: int) -> tuple[int, list[dict[str, Any]]]:
    """A page of a stream of which nobody knows how long it is."""
    rows = storage.rows(*query.page(note_view.columns(storage, note_view.USER_STREAM), size + 1, offset))
    return MORE if len(rows) > size else NO_MORE, rows[:size]


def looked_through(
    storage: Storage, query: Query, size: int, offset: int, user: CurrentUser
) -> tuple[int, list[dict[str, Any]]]:
    """The same, with a look at the record of each note whether the user may see it."""
    columns, wanted = note_view.columns(storage, note_view.USER_STREAM), offset + size + 1
    rows: list[dict[str, Any]] = []
    seen: dict[tuple[Any, Any], bool] = {}
    for look in range(MOST_LOOKS):
        found = storage.rows(*query.page(columns, wanted, look * wanted))
        for row in found:
            key = (row["parentType"], row["parentId"] or row["id"])
            if key not in seen:
                seen[key] = may_see_near(storage, user, row)
            if seen[key]:
                rows.append(row)
        if len(found) < wanted or len(rows) >= wanted:
            break
    rows = rows[offset:]
    return MORE if len(rows) > size else NO_MORE, rows[:size]


def may_see_near(storage: Storage, user: CurrentUser, row: Mapping[str, Any]) -> bool:
    """Whether a note may be seen; whoever wrote a note on a record has to see the record to see it."""
    nobodys = {**row, "createdById": None} if row["parentId"] else row
    if row["parentId"] and user.is_admin:
        sql = f'SELECT 1 FROM "{row["parentType"]}" WHERE id = ? AND deleted = 0'
        return row["parentType"] in storage.definitions and storage.value(sql, [row["parentId"]]) is not None
    return may_see(storage, user, nobodys)
