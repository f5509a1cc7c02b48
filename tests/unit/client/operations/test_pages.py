"""A page that is too much for the server is asked for in a smaller size."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoConnectionError, EspoServerError, EspoTimeoutError
from airflow_provider_espo.client.extraction import Part, Question
from airflow_provider_espo.client.operations.extract import extract_part
from airflow_provider_espo.client.operations.listing import list_records
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import FileOperation
from tests.unit.client.driving import make_state, over_httpx, over_requests
from tests.unit.client.fake_espo import Call, FakeEspo, Fault


class Ids:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.finished = False

    def write(self, page: Any) -> None:
        self.ids += page.ids

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def fake() -> FakeEspo:
    fake = FakeEspo()
    for _ in range(450):
        fake.add("Case", name="case")
    return fake


def too_much_above(size: int, **what: Any) -> Fault:
    return Fault(lambda call: call.method == "GET" and call.search.get("maxSize", 0) > size, times=99, **what)


def sizes(fake: FakeEspo) -> list[int]:
    return [call.search["maxSize"] for call in fake.seen("GET", "Case")]


def walk(sink: Ids) -> FileOperation[bool]:
    return extract_part(Question(entity_type="Case", search=Search(select=["id"])), Part(), sink)


@pytest.mark.parametrize("what", [{"status": 504}, {"status": 413}, {"status": 524}, {"timed_out": True}])
def test_a_list_goes_on_in_smaller_pages(fake: FakeEspo, what: dict[str, Any]) -> None:
    fake.faults.append(too_much_above(60, **what))
    with over_requests(fake) as client:
        records = client.list_records("Case", select=["id"])
    assert [record["id"] for record in records] == sorted(fake.records["Case"])
    assert sizes(fake) == [200, 50] + [50] * 8


async def test_an_extraction_goes_on_in_smaller_pages_over_both_transports(fake: FakeEspo) -> None:
    fake.faults.append(too_much_above(50, timed_out=True))
    sink = Ids()
    async with over_httpx(fake) as client:
        assert await client.run(walk(sink))
    assert sink.ids == sorted(fake.records["Case"])
    assert sink.finished
    assert sizes(fake)[:2] == [200, 50]


def test_a_small_page_is_tried_again_like_any_other_request_and_then_the_error_comes(fake: FakeEspo) -> None:
    fake.faults.append(too_much_above(0, status=504))
    with over_requests(fake, make_state(max_retries=2)) as client, pytest.raises(EspoServerError, match="504"):
        client.list_records("Case", select=["id"])
    assert sizes(fake) == [200, 50, 12, 10, 10, 10]


def test_a_server_that_cannot_be_reached_is_not_asked_for_less(fake: FakeEspo) -> None:
    fake.faults.append(too_much_above(0))
    with over_requests(fake, make_state(max_retries=1)) as client, pytest.raises(EspoConnectionError):
        client.list_records("Case", select=["id"])
    assert sizes(fake) == [200, 200]


def test_one_slow_moment_costs_a_smaller_page_and_no_error(fake: FakeEspo) -> None:
    fake.fail("GET", "Case", timed_out=True)
    with over_requests(fake, make_state(max_retries=0)) as client:
        assert len(client.list_records("Case", select=["id"])) == 450
    assert sizes(fake)[0] == 200
    assert set(sizes(fake)[1:]) == {50}


def test_other_requests_are_tried_again_when_there_was_no_answer_in_time(fake: FakeEspo) -> None:
    fake.fail("GET", "Case/", timed_out=True)
    with over_requests(fake) as client:
        assert client.get_record("Case", sorted(fake.records["Case"])[0])["name"] == "case"
    fake.fail("GET", "Case/", timed_out=True, times=9)
    with over_requests(fake, make_state(max_retries=1)) as client, pytest.raises(EspoTimeoutError):
        client.get_record("Case", sorted(fake.records["Case"])[0])


def test_a_smaller_limit_of_the_administrator_is_kept_to(fake: FakeEspo) -> None:
    fake.max_size_limit = 70
    sink = Ids()
    with over_requests(fake) as client:
        client.run(walk(sink))
        assert len(client.run(list_records(client.state, "Case", select=["id"]))) == 450
    assert sink.ids == sorted(fake.records["Case"])


def test_calls_say_that_nothing_is_to_be_counted(fake: FakeEspo) -> None:
    with over_requests(fake) as client:
        client.run(walk(Ids()))

    def counts(call: Call) -> bool:
        return call.headers.get("x-no-total") != "true"

    assert not any(map(counts, fake.seen("GET", "Case")))
