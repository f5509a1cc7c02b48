from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from airflow_provider_espo.sandbox.costs import Cores, Costs
from airflow_provider_espo.sandbox.http import Reply, Request
from airflow_provider_espo.sandbox.pace import Pace
from airflow_provider_espo.sandbox.server import SandboxServer

COSTS = Costs()


def page(**params: object) -> Request:
    return Request("GET", "/Lead", "searchParams=" + quote(json.dumps({"maxSize": 200, **params})), {})


def test_page_by_id_costs_the_same_at_any_depth() -> None:
    first = page(orderBy="id", order="asc")
    where = [{"type": "greaterThan", "attribute": "id", "value": "5f"}]
    deep = page(orderBy="id", order="asc", where=where)
    assert COSTS.of_request(first) == COSTS.of_request(deep) == pytest.approx(0.075)


@pytest.mark.parametrize(("offset", "seconds"), [(0, 0.12), (25_000, 0.52), (50_000, 0.92), (100_000, 1.37)])
def test_page_in_another_order_costs_more_the_deeper_it_is(offset: int, seconds: float) -> None:
    assert COSTS.of_request(page(offset=offset)) == pytest.approx(seconds)


def test_pages_of_a_whole_list_by_offset_take_as_long_as_was_observed() -> None:
    assert sum(COSTS.of_request(page(offset=offset)) for offset in range(0, 100_000, 200)) == pytest.approx(
        416, rel=0.01
    )


def test_smaller_page_costs_less_but_never_less_than_a_request() -> None:
    assert COSTS.request < COSTS.of_request(page(orderBy="id", maxSize=100)) < COSTS.of_request(page(orderBy="id"))
    assert COSTS.of_request(page(maxSize=0)) == COSTS.request


@pytest.mark.parametrize(
    ("method", "path", "seconds"),
    [
        ("POST", "/Lead", 0.087),
        ("PUT", "/Lead/1", 0.087),
        ("DELETE", "/Lead/1", 0.087),
        ("GET", "/Lead/1", 0.03),
        ("GET", "/Metadata", 0.03),
        ("POST", "/Import", 0.03),
        ("POST", "/Lead/action/convert", 0.03),
    ],
)
def test_other_requests_cost_by_their_kind(method: str, path: str, seconds: float) -> None:
    assert COSTS.of_request(Request(method, path, "", {})) == pytest.approx(seconds)


def test_import_costs_by_its_rows() -> None:
    reply = Reply(content=json.dumps({"id": "1", "countCreated": 50, "countUpdated": 10}).encode())
    assert COSTS.of_answer(Request("POST", "/Import", "", {}), reply) == pytest.approx(1)
    assert COSTS.of_answer(Request("POST", "/Lead", "", {}), reply) == 0
    assert COSTS.of_result({"count": 120}) == pytest.approx(2)


def test_requests_queue_for_the_cores_in_their_order() -> None:
    cores = Cores(2)
    assert [cores.take(10.0, 3) for _ in range(4)] == [13, 13, 16, 16]
    assert cores.take(20.0, 1) == 21, "what was idle before is no credit"


@dataclass
class Clock:
    now: float = 100.0
    step: float = field(default=0.0)

    def __call__(self) -> float:
        return self.now


def test_answer_waits_for_what_is_left_of_its_cost_and_then_for_the_latency() -> None:
    clock = Clock()
    pace = Pace(0.02, COSTS, clock)
    request = page(orderBy="id")
    until = pace.begin(request)
    clock.now += 0.05
    assert pace.wait_after(request, Reply(), until) == pytest.approx(0.025 + 0.02)
    clock.now += 10
    assert pace.wait_after(request, Reply(), until) == pytest.approx(0.02)


def test_without_a_model_only_the_latency_is_waited_for() -> None:
    clock = Clock()
    pace = Pace(0.02, None, clock)
    request = Request("POST", "/Lead", "", {})
    until = pace.begin(request)
    clock.now += 0.5
    assert pace.wait_after(request, Reply(content=b'{"countCreated": 5}'), until) == pytest.approx(0.02)
    assert Pace(clock=clock).wait_after(request, Reply(), pace.begin(request)) == 0
    assert pace.wait_after_job({"count": 1000}) == 0


def test_four_streams_are_twice_as_fast_as_one() -> None:
    def last_answer(streams: int) -> float:
        pace = Pace(0.0, COSTS, Clock(0.0))
        return max(pace.begin(page(orderBy="id")) for _ in range(streams))

    assert last_answer(4) == pytest.approx(2 * last_answer(1))


def test_job_shows_as_running_for_as_long_as_its_records_cost() -> None:
    pace = Pace(0.0, COSTS, Clock())
    assert pace.wait_after_job({"countCreated": 30}) == pytest.approx(0.5)
    with SandboxServer(costs=COSTS) as server:
        assert server.sandbox.jobs.lasting({"count": 60}) == pytest.approx(1, abs=0.5)
