from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoForbiddenError, EspoInputError
from airflow_provider_espo.client.operations.listing import iter_records, list_records
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Emit
from tests.unit.client.driving import emitted, make_state, run
from tests.unit.client.fake_espo import Call, FakeEspo

START = datetime(2026, 1, 5, 10, tzinfo=UTC)

#: What may happen to the data between two pages: which record (by its place) is deleted or changed, or one is added
#: with the id of a place, and how many seconds the clock goes on.
EVENTS = st.tuples(
    st.sampled_from(["insert_low", "insert_high", "delete", "touch", "nothing"]),
    st.integers(0, 30),
    st.integers(0, 2),
)


class Busy:
    """A fake with records that come, go and change while a list of them is walked."""

    def __init__(self, at_first: int, events: list[tuple[str, int, int]], *, burst: int = 1) -> None:
        self.now = START
        self.fake = FakeEspo(clock=lambda: self.now)
        for index in range(at_first):
            # A few share their second.
            self.now = START + timedelta(seconds=index // 3)
            self.add(f"5{index:016x}")
        self.there_throughout = set(self.fake.records.get("Case", {}))
        self.events = list(events)
        self.burst = burst
        self.fake.before_each = self.happen

    def add(self, record_id: str) -> None:
        self.fake.add("Case", name="case")
        records = self.fake.records["Case"]
        (last,) = list(records)[-1:]
        record = records.pop(last)
        record["id"] = record_id
        records[record_id] = record

    def happen(self, call: Call) -> None:
        if call.method != "GET" or call.path != "Case" or len(self.fake.seen("GET", "Case")) == 1:
            return
        for _ in range(self.burst):
            if self.events:
                self.one(*self.events.pop(0))

    def one(self, kind: str, place: int, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        records = self.fake.records.get("Case", {})
        if kind.startswith("insert"):
            self.add(f"{'1' if kind == 'insert_low' else '9'}{len(self.events):016x}")
        elif kind != "nothing" and records:
            record_id = sorted(records)[place % len(records)]
            if kind == "delete":
                del records[record_id]
                self.there_throughout.discard(record_id)
            else:
                records[record_id]["modifiedAt"] = self.now.strftime("%Y-%m-%d %H:%M:%S")

    def walk(self, **options: Any) -> list[str]:
        records = emitted(self.fake, iter_records(make_state(), "Case", select=["id"], validate=False, **options))
        return [str(record["id"]) for record in records]


@settings(deadline=None)
@given(
    at_first=st.integers(0, 25),
    events=st.lists(EVENTS, max_size=12),
    burst=st.integers(1, 4),
    page_size=st.integers(1, 9),
    order_by=st.sampled_from([None, "id", "createdAt", "modifiedAt", "number"]),
    order=st.sampled_from([None, "asc", "desc"]),
    counts=st.booleans(),
)
def test_what_is_there_throughout_comes_exactly_once_whatever_happens_meanwhile(
    at_first: int,
    events: list[tuple[str, int, int]],
    burst: int,
    page_size: int,
    order_by: str | None,
    order: str | None,
    counts: bool,
) -> None:
    busy = Busy(at_first, events, burst=burst)
    busy.fake.heeds_no_total = not counts
    ids = busy.walk(order_by=order_by, order=order, page_size=page_size)
    assert len(ids) == len(set(ids))
    assert busy.there_throughout <= set(ids)


@settings(deadline=None)
@given(
    at_first=st.integers(0, 25),
    events=st.lists(EVENTS, max_size=9),
    page_size=st.integers(1, 9),
    limit=st.integers(0, 30),
    order_by=st.sampled_from(["id", "createdAt", "modifiedAt", "number", "name"]),
    order=st.sampled_from(["asc", "desc"]),
)
def test_no_order_gives_a_record_twice_nor_more_than_the_limit(
    at_first: int, events: list[tuple[str, int, int]], page_size: int, limit: int, order_by: str, order: str
) -> None:
    busy = Busy(at_first, events)
    ids = busy.walk(order_by=order_by, order=order, page_size=page_size, limit=limit)
    assert len(ids) == len(set(ids)) <= limit
    if not events:
        assert len(ids) == min(limit, at_first)
    assert all(call.search["maxSize"] <= max(limit, 1) for call in busy.fake.seen("GET"))


@pytest.mark.parametrize("order_by", ["id", "createdAt", "modifiedAt", "number", "name"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_records_come_in_the_order_asked_for(order_by: str, order: str) -> None:
    busy = Busy(20, [])
    records = emitted(
        busy.fake, iter_records(make_state(), "Case", order_by=order_by, order=order, page_size=4, validate=False)
    )
    places = [(record[order_by], record["id"]) for record in records]
    assert places == sorted(places, reverse=order == "desc")
    assert len(places) == 20


@pytest.mark.parametrize(
    ("records", "page_size", "limit", "requests"),
    [
        (0, 5, None, 1),
        (3, 5, None, 1),
        (5, 5, None, 1),  # the server says that it was the last page
        (6, 5, None, 2),
        (10, 5, None, 2),
        (10, 5, 5, 1),
        (10, 5, 7, 2),
        (10, 5, 0, 0),
    ],
)
@pytest.mark.parametrize("order_by", ["id", "createdAt", "modifiedAt", "name"])
def test_no_more_pages_are_asked_for_than_there_are(
    records: int, page_size: int, limit: int | None, requests: int, order_by: str
) -> None:
    busy = Busy(records, [])
    busy.walk(order_by=order_by, page_size=page_size, limit=limit)
    assert busy.fake.count("GET", "Case") == requests


def test_a_server_that_counts_is_asked_until_a_page_is_not_full() -> None:
    # Its total may be one short, when a record is deleted between its two queries, so it is not what ends a walk.
    busy = Busy(10, [])
    busy.fake.heeds_no_total = False
    assert len(busy.walk(page_size=5)) == 10
    assert busy.fake.count("GET", "Case") == 3


def test_a_total_that_is_short_by_a_deleted_record_loses_no_other() -> None:
    pager = pager_for(Search(), page_size=2)
    pager.next_search()
    pager.receive({"total": 2, "list": [{"id": "a"}, {"id": "b"}]})
    pager.next_search()
    assert pager.receive({"total": 1, "list": [{"id": "c"}]}) == [{"id": "c"}]


def test_by_modified_at_from_new_to_old_one_page_needs_no_second_walk() -> None:
    busy = Busy(5, [])
    assert len(busy.walk(order_by="modifiedAt", order="desc", page_size=5)) == 5
    assert busy.fake.count("GET", "Case") == 1


def test_by_modified_at_from_new_to_old_what_moved_behind_the_walk_comes_at_the_end() -> None:
    busy = Busy(9, [("touch", 0, 5)])
    ids = busy.walk(order_by="modifiedAt", order="desc", page_size=3)
    assert ids[-1] == f"5{0:016x}"
    assert len(ids) == 9


@pytest.mark.parametrize("order_by", ["id", "createdAt", "name"])
def test_a_smaller_size_limit_of_the_server_makes_smaller_pages(order_by: str) -> None:
    busy = Busy(25, [])
    busy.fake.max_size_limit = 10
    assert len(busy.walk(order_by=order_by)) == 25
    assert [call.search["maxSize"] for call in busy.fake.seen("GET", "Case")] == [200, 10, 10, 10]


def test_a_size_limit_that_leaves_nothing_is_an_error_and_no_endless_walk() -> None:
    busy = Busy(3, [])
    busy.fake.max_size_limit = 0
    with pytest.raises(EspoForbiddenError, match="Max size"):
        busy.walk()


class Stuck:
    """Answers every page with the first records, whatever is asked."""

    def __init__(self, ids: str) -> None:
        self.ids = list(ids)

    def page(self, search: Search) -> dict[str, Any]:
        rows = [
            {"id": one, "createdAt": "2026-01-05 10:00:00", "modifiedAt": "2026-01-05 10:00:00"} for one in self.ids
        ]
        return {"total": -1, "list": rows[: search.max_size]}


@pytest.mark.parametrize("order_by", ["id", "createdAt", "modifiedAt", "name"])
@pytest.mark.parametrize("limit", [None, 5, 1000])
def test_a_server_that_gives_the_same_page_for_ever_is_an_error(order_by: str, limit: int | None) -> None:
    stuck = Stuck("abc")
    pager = pager_for(Search(order_by=order_by), page_size=3, limit=limit)
    handed_out: list[str] = []

    def walk() -> None:
        for _ in range(100):
            search = pager.next_search()
            if search is None:
                return
            handed_out.extend(row["id"] for row in pager.receive(stuck.page(search)))

    with pytest.raises(EspoBadAnswerError, match="last page once more"):
        walk()
    assert handed_out == ["a", "b", "c"]


def test_pages_by_offset_that_only_shift_are_not_mistaken_for_a_stuck_server() -> None:
    # Before each page three records come in front of the offset, so the whole page is known already.
    busy = Busy(6, [("insert_low", 0, 0)] * 15, burst=3)
    ids = busy.walk(order_by="name", page_size=3)
    assert busy.there_throughout <= set(ids)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"list": None},
        {"list": {"0": {"id": "a"}}},
        {"list": [{"name": "no id"}]},
        {"list": ["a"]},
        {"list": [None]},
    ],
)
@pytest.mark.parametrize("order_by", ["id", "createdAt", "name"])
def test_a_page_without_records_that_have_ids_is_a_bad_answer(answer: dict[str, Any], order_by: str) -> None:
    pager = pager_for(Search(order_by=order_by), page_size=3)
    pager.next_search()
    with pytest.raises(EspoBadAnswerError):
        pager.receive(answer)


def test_a_server_that_gives_more_than_was_asked_for_does_not_break_the_limit() -> None:
    pager = pager_for(Search(), page_size=10, limit=2)
    pager.next_search()
    assert pager.receive({"total": -1, "list": [{"id": one} for one in "abcde"]}) == [{"id": "a"}, {"id": "b"}]
    assert pager.next_search() is None


def test_a_short_page_is_not_the_last_if_the_server_says_that_there_is_more() -> None:
    pager = pager_for(Search(), page_size=10)
    pager.next_search()
    pager.receive({"total": -1, "list": [{"id": "a"}]})
    assert pager.next_search() is not None
    pager.receive({"total": -1, "list": []})
    assert pager.next_search() is None


def test_a_record_without_the_attribute_cannot_be_gone_on_from() -> None:
    pager = pager_for(Search(order_by="createdAt"), page_size=2)
    pager.next_search()
    with pytest.raises(EspoBadAnswerError, match="without createdAt"):
        pager.receive({"total": -1, "list": [{"id": "a", "createdAt": None}, {"id": "b", "createdAt": "2026-01-05"}]})


def test_a_record_without_the_attribute_does_no_harm_where_there_is_one_page() -> None:
    pager = pager_for(Search(order_by="createdAt"), page_size=2)
    pager.next_search()
    assert len(pager.receive({"total": -2, "list": [{"id": "a", "createdAt": None}, {"id": "b"}]})) == 2


def test_a_search_with_a_window_of_its_own_and_a_negative_limit_are_refused() -> None:
    with pytest.raises(EspoInputError):
        pager_for(Search(max_size=5), page_size=3)
    with pytest.raises(EspoInputError):
        pager_for(Search(offset=5), page_size=3)
    with pytest.raises(EspoInputError, match="negative"):
        pager_for(Search(), page_size=3, limit=-1)


def test_the_attribute_to_page_by_is_asked_for_beside_those_selected() -> None:
    busy = Busy(5, [])
    busy.walk(order_by="createdAt", page_size=2)
    assert {tuple(call.search["select"]) for call in busy.fake.seen("GET", "Case")} == {("id", "createdAt")}


def test_a_users_own_number_may_be_empty_and_is_paged_by_offset() -> None:
    fake = FakeEspo()
    for index in range(6):
        fake.add("CInvoice", name=f"I{index}", number=None if index % 2 else f"N{index}")
    found = run(fake, list_records(make_state(), "CInvoice", order_by="number", order="desc", page_size=2))
    assert len(found) == 6
    assert [call.search.get("offset") for call in fake.seen("GET", "CInvoice")] == [0, 2, 4]


def test_the_servers_own_number_is_paged_by_position() -> None:
    busy = Busy(6, [])
    found = run(busy.fake, list_records(make_state(), "Case", order_by="number", page_size=4))
    assert len(found) == 6
    assert all("offset" not in call.search for call in busy.fake.seen("GET", "Case"))


def test_a_walk_by_id_holds_one_page_only() -> None:
    stream = iter_records(make_state(), "Lead")
    pages = 100
    kilobyte = "x" * 1000
    item: Any = next(stream)
    page = count = 0
    tracemalloc.start()
    try:
        while True:
            if isinstance(item, Emit):
                count += 1
                item = next(stream)
                continue
            page += 1
            rows = b",".join(
                b'{"id":"%017d","description":"%s %d"}' % (page * 200 + row, kilobyte.encode(), row)
                for row in range(200)
            )
            item = stream.send(_response(b'{"total":%d,"list":[%s]}' % (-1 if page < pages else -2, rows)))
    except StopIteration:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == pages * 200
    # A page is 200 KB of text and as much as records; all of them would be 20 MB.
    assert peak < 2_000_000


def _response(content: bytes) -> Any:
    from airflow_provider_espo.client.wire import Response

    return Response(200, {"content-type": "application/json"}, content)
