"""Parts: every record in exactly one, and all of one size."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Part, Question
from airflow_provider_espo.client.operations.extract import extract_part
from airflow_provider_espo.client.search import Search
from tests.unit.client.driving import run
from tests.unit.client.fake_espo import Call, FakeEspo
from tests.unit.client.operations.planning import planned
from tests.unit.client.operations.test_pages import Ids

#: Ids as they may be: EspoCRM's own, UUIDs, in upper and lower case, which the server's collation folds.
IDS = st.sets(
    st.from_regex(r"\A[0-9a-fA-F]{17}\Z") | st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,11}\Z"), max_size=60
).map(lambda ids: list({one.casefold(): one for one in sorted(ids)}.values()))


def with_ids(entity_type: str, ids: list[str]) -> FakeEspo:
    fake = FakeEspo()
    for record_id in ids:
        made = fake.add(entity_type, name="x")
        record = fake.records[entity_type].pop(made)
        fake.records[entity_type][record_id] = {**record, "id": record_id}
    return fake


def question(entity_type: str = "Case", page_size: int = 7) -> Question:
    return Question(entity_type=entity_type, search=Search(select=["id"]), page_size=page_size)


def read(fake: FakeEspo, part: Part, entity_type: str = "Case") -> list[str]:
    sink = Ids()
    assert run(fake, extract_part(question(entity_type), part, sink))
    return sink.ids


@settings(deadline=None)
@given(ids=IDS, parts=st.integers(1, 9), entity_type=st.sampled_from(["Case", "Email"]))
def test_every_record_is_in_exactly_one_part_whatever_its_id(ids: list[str], parts: int, entity_type: str) -> None:
    fake = with_ids(entity_type, ids)
    plan = planned(fake, question(entity_type), parts, least_records=1)
    found = [record_id for part in plan for record_id in read(fake, part, entity_type)]
    assert sorted(found) == sorted(ids)
    assert len(plan) <= parts
    assert [part.number for part in plan] == list(range(len(plan)))
    assert {part.of for part in plan} == {len(plan)}
    assert plan[0].after is None
    assert plan[-1].up_to is None
    assert all(one.up_to == following.after for one, following in pairwise(plan))


@settings(deadline=None)
@given(ids=IDS, parts=st.integers(1, 9))
def test_parts_are_of_one_size(ids: list[str], parts: int) -> None:
    fake = with_ids("Case", ids)
    plan = planned(fake, question(), parts, least_records=1)
    sizes = [len(read(fake, part)) for part in plan]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == [part.expected for part in plan]


@settings(deadline=None)
@given(ids=IDS.filter(lambda ids: len(ids) > 3), parts=st.integers(1, 4), within=st.integers(1, 4))
def test_a_part_can_be_cut_further(ids: list[str], parts: int, within: int) -> None:
    fake = with_ids("Case", ids)
    plan = planned(fake, question(), parts, least_records=1)
    smaller = [one for part in plan for one in planned(fake, question(), within, within=part, least_records=1)]
    assert sorted(record_id for part in smaller for record_id in read(fake, part)) == sorted(ids)
    assert all(one.up_to == following.after for one, following in pairwise(smaller))


def test_few_records_are_not_cut() -> None:
    fake = with_ids("Case", [f"{index:017x}" for index in range(1500)])
    assert len(planned(fake, question(page_size=200), 8)) == 1
    assert len(planned(fake, question(page_size=200), 8, least_records=500)) == 3


def test_a_plan_costs_one_count_and_one_row_for_each_border() -> None:
    fake = with_ids("Case", [f"{index:017x}" for index in range(400)])
    planned(fake, question(), 4, least_records=1)
    assert [call.search["maxSize"] for call in fake.seen("GET", "Case")] == [0, 1, 1, 1]
    assert all(call.search["select"] == ["id"] for call in fake.seen("GET", "Case")[1:])


def test_records_that_go_while_it_is_planned_leave_no_gap() -> None:
    fake = with_ids("Case", [f"{index:017x}" for index in range(40)])

    def lose_some(call: Call) -> None:
        if call.search.get("maxSize") == 1:
            for record_id in sorted(fake.records["Case"])[-15:]:
                del fake.records["Case"][record_id]

    fake.before_each = lose_some
    plan = planned(fake, question(), 4, least_records=1)
    fake.before_each = None
    assert [one for part in plan for one in read(fake, part)] == sorted(fake.records["Case"])


def test_the_filter_counts() -> None:
    fake = with_ids("Case", [f"{index:017x}" for index in range(40)])
    for index, record in enumerate(fake.records["Case"].values()):
        record["status"] = "New" if index < 8 else "Closed"
    new = question().narrowed({"type": "equals", "attribute": "status", "value": "New"})
    plan = planned(fake, new, 4, least_records=1)
    assert [part.expected for part in plan] == [2, 2, 2, 2]


@pytest.mark.parametrize("parts", [0, -1, True, 1.5, "4", None])
def test_a_number_of_parts_that_is_none_is_refused(parts: object) -> None:
    with pytest.raises(EspoInputError, match="number of parts"):
        planned(FakeEspo(), question(), parts)  # type: ignore[arg-type]
