from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoForbiddenError,
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
    EspoUnknownNameError,
)
from airflow_provider_espo.client.operations.relations import link, unlink
from airflow_provider_espo.client.wire import Response
from tests.unit.client.driving import make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import FakeEspo


@pytest.fixture
def fake() -> FakeEspo:
    fake = FakeEspo()
    fake.add("TargetList", name="Fair")
    for index in range(250):
        fake.add("Lead", lastName=f"L{index}")
    return fake


@pytest.fixture
def list_id(fake: FakeEspo) -> str:
    return str(fake.of("TargetList")[0]["id"])


def lead_ids(fake: FakeEspo, count: int) -> list[str]:
    return [record["id"] for record in fake.of("Lead")][:count]


def linked(fake: FakeEspo, list_id: str) -> list[str]:
    return fake.linked.get(("TargetList", list_id, "leads"), [])


def test_records_are_linked_and_again_is_a_success(fake: FakeEspo, list_id: str) -> None:
    ids = lead_ids(fake, 3)
    for _ in range(2):
        assert run(fake, link(make_state(), "TargetList", list_id, "leads", ids)) == {"linked": 3}
    assert linked(fake, list_id) == ids


def test_records_are_unlinked_and_again_is_a_success(fake: FakeEspo, list_id: str) -> None:
    ids = lead_ids(fake, 3)
    run(fake, link(make_state(), "TargetList", list_id, "leads", ids))
    for _ in range(2):
        assert run(fake, unlink(make_state(), "TargetList", list_id, "leads", ids[:2])) == {"unlinked": 2}
    assert linked(fake, list_id) == ids[2:]


def test_one_id_may_be_a_text(fake: FakeEspo, list_id: str) -> None:
    (lead,) = lead_ids(fake, 1)
    assert run(fake, link(make_state(), "TargetList", list_id, "leads", lead)) == {"linked": 1}
    assert fake.seen("POST")[0].json == {"ids": [lead]}


def test_many_ids_go_in_several_requests_and_repeated_ones_once(fake: FakeEspo, list_id: str) -> None:
    ids = lead_ids(fake, 250)
    assert run(fake, link(make_state(), "TargetList", list_id, "leads", ids + ids[:100])) == {"linked": 250}
    assert [len(call.json["ids"]) for call in fake.seen("POST")] == [100, 100, 50]
    assert linked(fake, list_id) == ids


@pytest.mark.parametrize("operation", [link, unlink])
def test_an_empty_list_sends_nothing_at_all(fake: FakeEspo, list_id: str, operation: Any) -> None:
    assert set(run(fake, operation(make_state(), "TargetList", list_id, "leads", [])).values()) == {0}
    assert fake.calls == []


@pytest.mark.parametrize("operation", [link, unlink])
@pytest.mark.parametrize("answer", [b"false", b"", b"null", b"{}", b'"true"'])
def test_an_answer_that_is_not_true_is_an_error_because_nothing_was_done(
    fake: FakeEspo, list_id: str, operation: Any, answer: bytes
) -> None:
    steps = operation(make_state(), "TargetList", list_id, "leads", ["a1"], validate=False)
    next(steps)
    with pytest.raises(EspoNothingDoneError, match="nothing was done") as caught:
        steps.send(Response(200, {"content-type": "application/json"}, answer))
    assert caught.value.status == 200
    assert caught.value.path == f"TargetList/{list_id}/leads"


def test_an_unknown_related_record_is_not_found(fake: FakeEspo, list_id: str) -> None:
    ids = [*lead_ids(fake, 1), "0123456789abcdef0"]
    with pytest.raises(EspoNotFoundError):
        run(fake, link(make_state(), "TargetList", list_id, "leads", ids))


@pytest.mark.parametrize("operation", [link, unlink])
def test_a_belongs_to_link_is_refused_with_what_to_do_instead(fake: FakeEspo, operation: Any) -> None:
    contact = fake.add("Contact", lastName="Lee")
    with pytest.raises(EspoUnknownNameError, match="Set accountId by an update"):
        run(fake, operation(make_state(), "Contact", contact, "account", ["a1"]))
    assert {call.path for call in fake.calls} == {"Metadata"}
    with pytest.raises(EspoForbiddenError, match="Only manyMany"):
        run(fake, operation(make_state(), "Contact", contact, "account", ["a1"], validate=False))


@pytest.mark.parametrize("operation", [link, unlink])
def test_an_unknown_link_is_refused_before_anything_is_written(fake: FakeEspo, list_id: str, operation: Any) -> None:
    with pytest.raises(EspoUnknownNameError, match="leads"):
        run(fake, operation(make_state(), "TargetList", list_id, "lead", ["a1"]))
    assert {call.path for call in fake.calls} == {"Metadata"}


BAD_IDS = [None, "", " ", "../User", "a/b", "a?b", "a#b", 5]


@pytest.mark.parametrize("operation", [link, unlink])
@pytest.mark.parametrize("bad", BAD_IDS)
def test_bad_ids_are_refused_before_anything_is_sent(fake: FakeEspo, list_id: str, operation: Any, bad: Any) -> None:
    good = lead_ids(fake, 1)[0]
    for record_id, related in ((bad, [good]), (list_id, [good, bad])):
        with pytest.raises(EspoInputError, match="record id"):
            run(fake, operation(make_state(), "TargetList", record_id, "leads", related))
    assert fake.calls == []


@pytest.mark.parametrize("related", [None, 5, {"a1"}, {"id": "a1"}, (one for one in ["a1"])])
def test_ids_that_are_no_list_are_refused(fake: FakeEspo, list_id: str, related: Any) -> None:
    with pytest.raises(EspoInputError, match="not a list of ids"):
        run(fake, link(make_state(), "TargetList", list_id, "leads", related))
    assert fake.calls == []


@pytest.mark.parametrize("bad", [None, "", "../x", "leads/1", "leads?x", 5])
def test_bad_links_are_refused_before_anything_is_sent(fake: FakeEspo, list_id: str, bad: Any) -> None:
    with pytest.raises(EspoInputError, match="link"):
        run(fake, link(make_state(), "TargetList", list_id, bad, ["a1"]))
    assert fake.calls == []


def test_a_broken_connection_is_tried_again_because_linking_twice_is_linking_once(fake: FakeEspo, list_id: str) -> None:
    ids = lead_ids(fake, 2)
    fake.fail("POST", "TargetList")
    with over_requests(fake) as client:
        assert client.link("TargetList", list_id, "leads", ids) == {"linked": 2}
    assert linked(fake, list_id) == ids
    assert fake.count("POST") == 2


async def test_the_asynchronous_client_does_the_same(fake: FakeEspo, list_id: str) -> None:
    ids = lead_ids(fake, 2)
    fake.fail("DELETE", "TargetList")
    async with over_httpx(fake) as client:
        assert await client.link("TargetList", list_id, "leads", ids) == {"linked": 2}
        assert await client.unlink("TargetList", list_id, "leads", ids) == {"unlinked": 2}
    assert linked(fake, list_id) == []
    assert fake.count("DELETE") == 2
