"""Paging as small state machines: which page to ask for next, what of it is new, when it is over.

Promise: every record that is there throughout the walk, and matches throughout, comes exactly once, whatever is
created or deleted meanwhile, as long as the order is by an attribute that never changes and is never null (``id``,
``createdAt``, an autoincrement ``number``). Ordered by ``modifiedAt`` too: a record that is changed during the walk is
not lost and not repeated. Ordered by anything else only the offset is left to page by, and a record can be missed when
another is deleted, or changes its place, during the walk; none comes twice.

A walk by ``id``, ``createdAt`` or ``number`` remembers the ids of one page. One by ``modifiedAt`` or by offset has to
remember the ids of all it has handed out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Record

#: Attributes that are never null. With the id as tie-breaker (EspoCRM adds it since 7.1) they make a position that
#: holds while records come and go.
KEYSET_ATTRIBUTES = frozenset({"createdAt", "modifiedAt", "number"})
_CHANGING = frozenset({"modifiedAt"})

#: ``total`` of a page when EspoCRM does not count: there are more records, there are no more.
_MORE = -1
_NO_MORE = -2

#: Pages in a row with nothing new on them that a walk by offset puts up with. New records in front of the offset push
#: known ones onto the next page; a server that ignores the offset does so for ever.
_STALE_PAGES = 10

_SAME_PAGE = "The server gave records of the last page once more, so it ignores where the next one is to begin"


class Pager(Protocol):
    """Walks a list page by page."""

    def next_search(self) -> Search | None:
        """Search for the next page, ``None`` when the walk is over."""

    def receive(self, answer: Mapping[str, Any]) -> list[Record]:
        """Take a page's answer and return what of it is new."""

    def shrink(self, page_size: int) -> None:
        """Ask for smaller pages from now on."""


def pager_for(
    search: Search,
    page_size: int,
    limit: int | None = None,
    *,
    keyset: Collection[str] = KEYSET_ATTRIBUTES,
) -> Pager:
    """Return the pager that fits a search's order.

    :param search: what to list; ``max_size`` and ``offset`` must not be set.
    :param page_size: records a request.
    :param limit: records in all, ``None`` for all there are.
    :param keyset: attributes to page by as a position; any other but ``id`` goes by offset.
    :raises EspoInputError: the limit is negative, or the search has a window of its own.
    """
    if limit is not None and limit < 0:
        raise EspoInputError("limit is negative")
    if search.order_by in (None, "id"):
        return IdPager(search, page_size, limit)
    if search.order_by in keyset:
        return KeysetPager(search, page_size, limit)
    return OffsetPager(search, page_size, limit)


class _Walk:
    """What all pagers count."""

    def __init__(self, search: Search, page_size: int, limit: int | None) -> None:
        if search.max_size is not None or search.offset is not None:
            raise EspoInputError("A search to be paged has no max_size and no offset of its own")
        self._search = search
        self._page_size = page_size
        self._left = limit
        self._asked = 0
        self._over = limit == 0
        self._last_page: frozenset[object] = frozenset()

    def shrink(self, page_size: int) -> None:
        """Ask for smaller pages from now on."""
        self._page_size = page_size

    @property
    def _descending(self) -> bool:
        return self._search.order == "desc"

    @property
    def _beyond(self) -> str:
        return "lessThan" if self._descending else "greaterThan"

    def _size(self) -> int:
        self._asked = self._page_size if self._left is None else min(self._page_size, self._left)
        return self._asked

    def _take(self, answer: Mapping[str, Any]) -> list[Record]:
        """Records of a page; notes whether it is the last."""
        rows = answer.get("list")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
            raise EspoBadAnswerError("A page has no list of records with ids")
        total = answer.get("total")
        # A real total is no reason to stop: EspoCRM counts in a query of its own, and when a record goes between the
        # two queries the total is one short of what there is.
        self._over = not rows or total == _NO_MORE or (len(rows) < self._asked and total != _MORE)
        return rows

    def _refuse_same_page(self, places: frozenset[object]) -> None:
        """Places are strictly beyond the last page's, or the server did not do as asked."""
        if places & self._last_page:
            raise EspoBadAnswerError(_SAME_PAGE)
        self._last_page = places

    def _hand_out(self, rows: list[Record]) -> list[Record]:
        if self._left is not None:
            rows = rows[: self._left]
            self._left -= len(rows)
            self._over = self._over or self._left == 0
        return rows


class IdPager(_Walk):
    """Pages by ``id``, which costs the server the same at any depth."""

    def __init__(self, search: Search, page_size: int, limit: int | None = None) -> None:
        super().__init__(search, page_size, limit)
        self._last_id: str | None = None

    def next_search(self) -> Search | None:
        """Search for the next page, ``None`` when the walk is over."""
        if self._over:
            return None
        page = self._search.with_(order_by="id", order=self._search.order or "asc", max_size=self._size())
        if self._last_id is None:
            return page
        return page.and_where({"type": self._beyond, "attribute": "id", "value": self._last_id})

    def receive(self, answer: Mapping[str, Any]) -> list[Record]:
        """Take a page's answer and return its records."""
        rows = self._take(answer)
        if rows:
            self._refuse_same_page(frozenset(str(row["id"]) for row in rows))
            self._last_id = str(rows[-1]["id"])
        return self._hand_out(rows)


class KeysetPager(_Walk):
    """Pages by an attribute that is never null, and by ``id`` among equals.

    :param after: value and id of the record that the walk begins behind.
    """

    def __init__(
        self, search: Search, page_size: int, limit: int | None = None, *, after: tuple[Any, str] | None = None
    ) -> None:
        if search.select is not None and search.order_by not in search.select:
            search = search.with_(select=[*search.select, search.order_by])
        super().__init__(search.with_(order=search.order or "asc"), page_size, limit)
        self._attribute = str(search.order_by)
        self._position = after
        self._changing = self._attribute in _CHANGING
        self._seen: set[str] = set()
        self._newest: Any = None

    def next_search(self) -> Search | None:
        """Search for the next page, ``None`` when the walk is over."""
        if self._over:
            return None
        page = self._search.with_(max_size=self._size())
        if self._position is None:
            return page
        value, record_id = self._position
        return page.and_where(
            {
                "type": "or",
                "value": [
                    {"type": self._beyond, "attribute": self._attribute, "value": value},
                    {
                        "type": "and",
                        "value": [
                            {"type": "equals", "attribute": self._attribute, "value": value},
                            {"type": self._beyond, "attribute": "id", "value": record_id},
                        ],
                    },
                ],
            }
        )

    def receive(self, answer: Mapping[str, Any]) -> list[Record]:
        """Take a page's answer and return what of it is new."""
        rows = self._take(answer)
        only_page = self._over and self._position is None
        self._move_to_end_of(rows)
        if not self._changing:
            return self._hand_out(rows)
        new = [row for row in rows if str(row["id"]) not in self._seen]
        self._seen.update(str(row["id"]) for row in new)
        if self._over and self._descending and not only_page:
            self._go_after_the_changed()
        return self._hand_out(new)

    def _move_to_end_of(self, rows: list[Record]) -> None:
        if not rows:
            return
        places = [(row.get(self._attribute), str(row["id"])) for row in rows]
        if not self._over and not all(isinstance(value, str | int) for value, _ in places):
            raise EspoBadAnswerError(
                f"A record without {self._attribute} came in a list ordered by it, which cannot be paged by it",
                hint="Order by id",
            )
        self._refuse_same_page(frozenset((str(value), record_id) for value, record_id in places))
        if self._position is None:
            self._newest = places[0][0]
        self._position = places[-1]

    def _go_after_the_changed(self) -> None:
        """After a walk from new to old: records changed meanwhile have moved behind it, so walk once more upwards."""
        self._search = self._search.with_(order="asc").and_where(
            {"type": "greaterThanOrEquals", "attribute": self._attribute, "value": self._newest}
        )
        self._position = None
        self._last_page = frozenset()
        self._over = False


class OffsetPager(_Walk):
    """Pages by offset, for orders that give no position to go on from."""

    def __init__(self, search: Search, page_size: int, limit: int | None = None) -> None:
        super().__init__(search, page_size, limit)
        self._offset = 0
        self._seen: set[str] = set()
        self._stale = 0

    def next_search(self) -> Search | None:
        """Search for the next page, ``None`` when the walk is over."""
        if self._over:
            return None
        return self._search.with_(max_size=self._size(), offset=self._offset)

    def receive(self, answer: Mapping[str, Any]) -> list[Record]:
        """Take a page's answer and return what of it is new."""
        rows = self._take(answer)
        self._offset += len(rows)
        new = [row for row in rows if str(row["id"]) not in self._seen]
        self._seen.update(str(row["id"]) for row in new)
        self._stale = 0 if new else self._stale + 1
        if self._stale >= _STALE_PAGES and not self._over:
            raise EspoBadAnswerError(_SAME_PAGE)
        return self._hand_out(new)
