"""A plan of parts: ranges of ids with the same number of records in each, whatever the ids look like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.extraction import Part, Question
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.paging import IdPager
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Operation, build_request, expect_object, record_path

#: Records that a part has at least: below this a plan costs more than it saves.
LEAST_RECORDS = 1_000


class Planning:
    """A plan in the making: count, find the borders, which may be done side by side, and cut.

    :param question: what records are meant.
    :param parts: how many parts at most; fewer when there are few records.
    :param within: range to cut further; everything by default.
    :param least_records: records that a part has at least.
    :raises EspoInputError: no positive number of parts.
    """

    def __init__(
        self, question: Question, parts: int, *, within: Part | None = None, least_records: int = LEAST_RECORDS
    ) -> None:
        if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
            raise EspoInputError("The number of parts is not a whole number from 1 up")
        self._whole = within or Part()
        self._parts = parts
        self._least = max(1, least_records)
        self._page_size = question.page_size
        self._search = question.search.with_(select=["id"]).and_where(*self._whole.where())
        self._path = record_path(question.entity_type)
        self._total = 0
        self._offsets: list[int] = []
        self._known: list[str] = []

    def count(self) -> Operation[None]:
        """Have EspoCRM count. Where it does not (``Email`` and others), all ids are read, which tells the borders."""
        total = yield from _count(self._search, self._path)
        if total is None:
            self._known, self._total = yield from _borders_of_all(
                self._search, self._path, self._parts, self._page_size, self._least
            )
            return
        self._total = total
        parts = max(1, min(self._parts, total // self._least))
        self._offsets = [number * total // parts - 1 for number in range(1, parts)]

    def borders(self) -> list[Operation[list[str]]]:
        """Return what finds the borders, one small query for each."""
        return [_border(self._search, self._path, offset) for offset in self._offsets]

    def cut(self, found: Iterable[list[str]]) -> list[Part]:
        """Return parts that follow each other without a gap; one, if there is nothing to cut.

        :param found: what :meth:`borders` found, in its order.
        """
        borders = [*self._known, *(border for one in found for border in one)]
        return _between(self._whole, list(dict.fromkeys(borders)), self._total)


def _count(search: Search, path: str) -> Operation[int | None]:
    outgoing = build_request("GET", path, query=search.with_(select=None, max_size=0).to_query())
    total = expect_object(outgoing, (yield outgoing)).get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _border(search: Search, path: str, offset: int) -> Operation[list[str]]:
    """Id at a place in the order of ids; none when records have gone meanwhile."""
    one = search.with_(order_by="id", order="asc", max_size=1, offset=offset)
    outgoing = build_request("GET", path, query=one.to_query(), headers={"X-No-Total": "true"})
    rows = expect_object(outgoing, (yield outgoing)).get("list")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
        raise EspoBadAnswerError("A page has no list of records with ids", method="GET", path=path)
    return [str(row["id"]) for row in rows]


def _borders_of_all(
    search: Search, path: str, parts: int, page_size: int, least_records: int
) -> Operation[tuple[list[str], int]]:
    """Borders for a type that EspoCRM does not count, and how many records there are.

    The last id of every stride is kept; whenever there are twice as many as can be needed, every second is dropped.
    So the memory stays small, and the parts are equal to within one stride.
    """
    pager = IdPager(search, page_size)
    stride, count = max(1, least_records // 10), 0
    kept: list[str] = []
    while (page := (yield from next_page(pager, path))) is not None:
        for row in page:
            count += 1
            if count % stride == 0:
                kept.append(str(row["id"]))
        if len(kept) >= 64 * parts:
            kept, stride = kept[1::2], 2 * stride
    parts = max(1, min(parts, count // max(1, least_records)))
    places = [number * count // parts // stride for number in range(1, parts)]
    return list(dict.fromkeys(kept[place - 1] for place in places if 0 < place <= len(kept))), count


def _between(whole: Part, borders: list[str], total: int) -> list[Part]:
    borders = [border for border in borders if border != whole.up_to]
    edges: list[str | None] = [whole.after, *borders, whole.up_to]
    of = len(edges) - 1
    return [
        replace(
            whole,
            number=number,
            of=of,
            after=edges[number],
            up_to=edges[number + 1],
            expected=(number + 1) * total // of - number * total // of,
        )
        for number in range(of)
    ]
