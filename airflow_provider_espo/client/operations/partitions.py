"""A plan of parts: ranges of ids with the same number of records in each, whatever the ids look like."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.extraction import Part, Question
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.paging import IdPager
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Operation, build_request, expect_object, record_path

#: Records that a part has at least: below this a plan costs more than it saves.
LEAST_RECORDS = 1_000


def plan_parts(
    question: Question, parts: int, *, within: Part | None = None, least_records: int = LEAST_RECORDS
) -> Operation[list[Part]]:
    """Cut the records that match into parts of equal size.

    EspoCRM counts once; then one small query for each border finds the id at which a part ends. Where EspoCRM does not
    count (``Email`` and others), all ids are read instead.

    :param question: what records are meant.
    :param parts: how many parts at most; fewer when there are few records.
    :param within: range to cut further; everything by default.
    :param least_records: records that a part has at least.
    :return: parts that follow each other without a gap; one, if there is nothing to cut.
    :raises EspoInputError: no positive number of parts.
    """
    if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
        raise EspoInputError("The number of parts is not a whole number from 1 up")
    whole = within or Part()
    search = question.search.with_(select=["id"]).and_where(*whole.where())
    path = record_path(question.entity_type)
    total = yield from _count(search, path)
    if total is None:
        borders, total = yield from _borders_of_all(search, path, parts, question.page_size, least_records)
    else:
        parts = max(1, min(parts, total // max(1, least_records)))
        borders = yield from _borders(search, path, [number * total // parts - 1 for number in range(1, parts)])
    return _between(whole, borders, total)


def _count(search: Search, path: str) -> Operation[int | None]:
    outgoing = build_request("GET", path, query=search.with_(select=None, max_size=0).to_query())
    total = expect_object(outgoing, (yield outgoing)).get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _borders(search: Search, path: str, offsets: list[int]) -> Operation[list[str]]:
    """Ids at places in the order of ids; fewer when records have gone meanwhile."""
    found: list[str] = []
    one = search.with_(order_by="id", order="asc", max_size=1)
    for offset in offsets:
        outgoing = build_request("GET", path, query=one.with_(offset=offset).to_query(), headers={"X-No-Total": "true"})
        rows = expect_object(outgoing, (yield outgoing)).get("list")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
            raise EspoBadAnswerError("A page has no list of records with ids", method="GET", path=path)
        found += [str(row["id"]) for row in rows]
    return list(dict.fromkeys(found))


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
