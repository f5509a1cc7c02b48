"""A walk over parts hands out every record once, also after a death in the middle."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoServerError, EspoUnknownNameError
from airflow_provider_espo.client.extraction import Halt, Page, Part, Question
from airflow_provider_espo.client.operations.extract import ask, extract_part
from airflow_provider_espo.client.operations.partitions import Planning
from airflow_provider_espo.client.search import Search
from tests.unit.client.driving import make_state, over_requests, run, run_all
from tests.unit.client.fake_espo import Call, FakeEspo
from tests.unit.client.operations.planning import planned
from tests.unit.client.operations.test_pages import Ids

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


class Killed(BaseException):
    pass


class Store(Ids):
    """Keeps what was written until it is killed."""

    def __init__(self, pages: int | None = None) -> None:
        super().__init__()
        self.left = pages

    def write(self, page: Page) -> None:
        if self.left == 0:
            raise Killed
        super().write(page)
        self.left = None if self.left is None else self.left - 1


def cases(count: int) -> FakeEspo:
    fake = FakeEspo(clock=lambda: NOW)
    for _ in range(count):
        fake.add("Case", name="case")
    return fake


def question(page_size: int = 4) -> Question:
    return Question(entity_type="Case", search=Search(select=["id"]), page_size=page_size)


@settings(deadline=None)
@given(
    count=st.integers(0, 40),
    parts=st.integers(1, 5),
    page_size=st.integers(1, 9),
    deaths=st.lists(st.integers(0, 5), max_size=4),
)
def test_after_any_death_the_walk_goes_on_without_a_gap_or_a_repeat(
    count: int, parts: int, page_size: int, deaths: list[int]
) -> None:
    fake = cases(count)
    plan = planned(fake, question(), parts, least_records=1)
    stored: dict[int, list[str]] = {part.number: [] for part in plan}
    for pages in [*deaths, None]:
        for part in plan:
            sink = Store(pages)
            known = stored[part.number]
            walk = extract_part(question(page_size), part, sink, after=known[-1] if known else None)
            with suppress(Killed):
                run(fake, walk)
            known += sink.ids
    assert [one for part in plan for one in stored[part.number]] == sorted(fake.records.get("Case", {}))


@settings(deadline=None)
@given(
    parts=st.integers(1, 5),
    events=st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=30),
    page_size=st.integers(1, 6),
)
def test_what_is_there_throughout_comes_once_from_parts_walked_side_by_side(
    parts: int, events: list[tuple[bool, int]], page_size: int
) -> None:
    fake = cases(30)
    plan = planned(fake, question(), parts, least_records=1)
    throughout = set(fake.records["Case"])
    todo = list(events)

    def happen(call: Call) -> None:
        if not todo:
            return
        deletes, place = todo.pop()
        records = fake.records["Case"]
        if deletes and records:
            gone = sorted(records)[place % len(records)]
            del records[gone]
            throughout.discard(gone)
        else:
            fake.add("Case", name="new")

    fake.before_each = happen
    sinks = [Ids() for _ in plan]
    run_all(fake, [extract_part(question(page_size), part, sink) for part, sink in zip(plan, sinks, strict=True)])
    found = [one for sink in sinks for one in sink.ids]
    assert len(found) == len(set(found))
    assert throughout <= set(found)


def test_side_by_side_over_threads_nothing_is_mixed_up() -> None:
    fake = cases(300)
    with over_requests(fake, make_state(max_workers=4)) as client:
        planning = Planning(question(), 8, least_records=1)
        client.run(planning.count())
        plan = planning.cut(one for one in client.run_many(planning.borders()) if isinstance(one, list))
        sinks = [Ids() for _ in plan]
        walks = [extract_part(question(), part, sink) for part, sink in zip(plan, sinks, strict=True)]
        assert list(client.run_many(walks)) == [True] * 8
    assert [one for sink in sinks for one in sink.ids] == sorted(fake.records["Case"])
    assert all(sink.finished for sink in sinks)


def test_one_failure_ends_the_other_walks_and_no_sink_of_theirs_is_finished() -> None:
    fake = cases(40)
    plan = planned(fake, question(), 4, least_records=1)
    halt = Halt()
    sinks = [Store(0 if part.number == 2 else None) for part in plan]
    walks = [extract_part(question(2), part, sink, halt=halt) for part, sink in zip(plan, sinks, strict=True)]
    with pytest.raises(Killed):
        run_all(fake, [walks[2]])
    walks[2].close()  # as both transports do
    assert halt.called
    assert run_all(fake, [walks[0], walks[1], walks[3]]) == [False] * 3
    assert not any(sink.finished for sink in sinks)


def test_a_server_error_ends_the_other_walks_too() -> None:
    fake = cases(8)
    fake.fail("GET", "Case", status=500, times=9)
    halt = Halt()
    with pytest.raises(EspoServerError):
        run(fake, extract_part(question(), Part(), Ids(), halt=halt))
    assert halt.called


# -- what is asked for ---------------------------------------------------------------------------------------------


def test_texts_come_whole_and_names_of_linked_records_do_not() -> None:
    fake = FakeEspo()
    asked, _ = run(fake, ask(make_state(), "Contact"))
    assert "accountId" in asked.columns
    assert "accountName" not in asked.columns
    assert asked.columns[0] == "id"
    assert asked.search.max_text_length is not None
    assert asked.search.max_text_length > 10_000


def test_the_page_size_is_the_connections_unless_said() -> None:
    fake = FakeEspo()
    assert run(fake, ask(make_state(page_size=120), "Lead"))[0].page_size == 120
    assert run(fake, ask(make_state(page_size=120), "Lead", page_size=30))[0].page_size == 30


@pytest.mark.parametrize("options", [{"select": ["emial"]}, {"select": ["id", "email"]}])
def test_names_that_the_server_does_not_have_are_refused_before_anything_is_read(options: dict[str, Any]) -> None:
    fake = FakeEspo()
    fake.add("Lead", lastName="Roe")
    with pytest.raises(EspoUnknownNameError):
        run(fake, ask(make_state(), "Lead", **options))
    assert not fake.seen("GET", "Lead")


def test_what_only_a_single_record_shows_is_read_of_each_record() -> None:
    fake = FakeEspo()
    fake.add("Lead", lastName="Roe", emailAddress="a@example.com")
    fake.add("Lead", lastName="Doe")
    asked, _ = run(fake, ask(make_state(), "Lead", select=["lastName", "emailAddressData"]))
    assert asked.columns == ("id", "lastName", "emailAddressData")
    kept: list[dict[str, Any]] = []

    class Keep(Ids):
        def write(self, page: Page) -> None:
            kept.extend(page.records)

    run(fake, extract_part(asked, Part(), Keep()))
    assert [record["lastName"] for record in kept] == ["Roe", "Doe"]
    assert kept[0]["emailAddressData"] == [{"emailAddress": "a@example.com", "primary": True}]
    assert fake.count("GET", "Lead/") == 2


def test_a_record_that_goes_before_it_is_read_is_left_out() -> None:
    fake = FakeEspo()
    ids = [fake.add("Lead", lastName=name, emailAddress=f"{name}@example.com") for name in "abc"]

    def delete(call: Call) -> None:
        if call.path == f"Lead/{ids[0]}":
            fake.records["Lead"].pop(ids[1], None)

    fake.before_each = delete
    asked, _ = run(fake, ask(make_state(), "Lead", select=["emailAddressData"]))
    sink = Ids()
    run(fake, extract_part(asked, Part(), sink))
    assert sink.ids == [ids[0], ids[2]]
