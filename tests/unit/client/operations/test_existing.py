"""Which of many records are still there is asked in requests that every web server takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoBadAnswerError
from airflow_provider_espo.client.extraction import Question
from airflow_provider_espo.client.operations.existing import batches_of, missing_of
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Response
from tests.unit.client.driving import run
from tests.unit.client.fake_espo import FakeEspo

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


def question(*where: dict[str, Any], page_size: int = 200) -> Question:
    return Question(entity_type="Case", search=Search(select=["id", "name"], where=where), page_size=page_size)


@pytest.fixture
def fake() -> FakeEspo:
    found = FakeEspo(clock=lambda: NOW)
    for number in range(30):
        found.add("Case", name="odd" if number % 2 else "even")
    return found


def test_those_that_are_gone_are_told_in_the_order_given(fake: FakeEspo) -> None:
    ids = sorted(fake.records["Case"])
    for gone in ("6746d1f3a0b1c2d3e", "6746d1f3a0b1c2d3f"):
        ids.insert(7, gone)
    assert run(fake, missing_of(question(), ids)) == ["6746d1f3a0b1c2d3f", "6746d1f3a0b1c2d3e"]
    assert len(fake.calls) == 1


def test_what_no_longer_matches_is_gone(fake: FakeEspo) -> None:
    ids = sorted(fake.records["Case"])
    even = {"type": "equals", "attribute": "name", "value": "even"}
    gone = run(fake, missing_of(question(even), ids))
    assert gone == [one for one in ids if fake.records["Case"][one]["name"] == "odd"]


def test_pages_that_are_smaller_than_a_batch_are_read_to_the_end(fake: FakeEspo) -> None:
    ids = sorted(fake.records["Case"])
    assert run(fake, missing_of(question(page_size=7), [*ids, "6746d1f3a0b1c2d3e"])) == ["6746d1f3a0b1c2d3e"]
    assert len(fake.calls) == 5


def test_a_server_that_does_not_filter_is_found_out(fake: FakeEspo) -> None:
    ids = sorted(fake.records["Case"])
    asked = missing_of(question(), ids[:3])
    next(asked)
    body = b'{"total": -2, "list": [{"id": "6746d1f3a0b1c2d3e"}]}'
    with pytest.raises(EspoBadAnswerError):
        asked.send(Response(200, {"content-type": "application/json"}, body))


@given(st.lists(st.text("abcdef0123456789", min_size=1, max_size=64), max_size=500))
def test_batches_have_all_ids_and_fit_into_an_address(ids: list[str]) -> None:
    batches = list(batches_of(iter(ids)))
    assert [one for batch in batches for one in batch] == ids
    for batch in batches:
        assert 0 < len(batch) <= 200
        search = question().search.and_where({"type": "in", "attribute": "id", "value": batch})
        ((_, text),) = search.to_query()
        encoded = text.replace('"', "%22").replace(",", "%2C")
        assert len(encoded) < 7_000


def test_a_batch_of_usual_ids_is_a_whole_page() -> None:
    assert [len(batch) for batch in batches_of(f"{number:017}" for number in range(450))] == [200, 200, 50]
