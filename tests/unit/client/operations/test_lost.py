from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoConnectionError,
    EspoDuplicateError,
    EspoError,
    EspoServerError,
    EspoTimeoutError,
)
from airflow_provider_espo.client.operations.records import create_record
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Record, Response
from tests.unit.client.driving import answer_of, make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import Call, FakeEspo

ANN = {"firstName": "Ann", "lastName": "Lee", "emailAddress": "ann@example.com"}


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


#: How an answer gets lost after the record was created.
AFTER: list[dict[str, Any]] = [{}, {"timed_out": True}, {"status": 500}, {"status": 502}, {"status": 504}]


@pytest.mark.parametrize("lost", AFTER)
def test_a_record_whose_answer_got_lost_is_found_and_not_made_again(fake: FakeEspo, lost: dict[str, Any]) -> None:
    fake.fail("POST", "Lead", **lost)
    made = run(fake, create_record(make_state(), "Lead", ANN))
    assert made == {"id": fake.of("Lead")[0]["id"], "action": "created"}
    assert len(fake.of("Lead")) == 1
    assert fake.count("POST") == 1


@pytest.mark.parametrize("lost", AFTER)
def test_the_blocking_client_finds_it_too(fake: FakeEspo, lost: dict[str, Any]) -> None:
    fake.fail("POST", "Lead", **lost)
    with over_requests(fake) as client:
        assert client.create_record("Lead", ANN)["action"] == "created"
    assert len(fake.of("Lead")) == 1


@pytest.mark.parametrize("lost", AFTER)
async def test_the_asynchronous_client_finds_it_too(fake: FakeEspo, lost: dict[str, Any]) -> None:
    fake.fail("POST", "Lead", **lost)
    async with over_httpx(fake) as client:
        assert (await client.create_record("Lead", ANN))["action"] == "created"
    assert len(fake.of("Lead")) == 1


@pytest.mark.parametrize("lost", [{}, {"status": 500}, {"status": 502}])
def test_a_request_that_broke_before_anything_was_done_is_sent_once_more(fake: FakeEspo, lost: dict[str, Any]) -> None:
    fake.fail("POST", "Lead", before=True, **lost)
    made = run(fake, create_record(make_state(), "Lead", ANN))
    assert made == {"id": fake.of("Lead")[0]["id"], "action": "created"}
    assert len(fake.of("Lead")) == 1
    assert fake.count("POST") == 2


def test_it_is_sent_once_more_and_no_oftener(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead", before=True, times=10)
    with pytest.raises(EspoConnectionError, match="look again before you create it again") as caught:
        run(fake, create_record(make_state(), "Lead", ANN))
    assert caught.value.outcome_unknown
    assert fake.count("POST") == 2


def test_it_is_not_sent_once_more_if_the_connection_says_no_retries(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead", before=True)
    with pytest.raises(EspoConnectionError):
        run(fake, create_record(make_state(max_retries=0), "Lead", ANN))
    assert fake.count("POST") == 1


@pytest.mark.parametrize(
    ("lost", "kind"),
    [({"timed_out": True}, EspoTimeoutError), ({"status": 504}, EspoServerError), ({"status": 524}, EspoServerError)],
)
def test_after_a_time_out_it_is_not_sent_again_because_the_server_may_still_be_at_it(
    fake: FakeEspo, lost: dict[str, Any], kind: type[EspoError]
) -> None:
    fake.fail("POST", "Lead", before=True, **lost)
    with pytest.raises(kind, match="not there when looked for"):
        run(fake, create_record(make_state(), "Lead", ANN))
    assert fake.count("POST") == 1
    assert fake.count("GET", "Lead") == 1


def test_the_hint_keeps_what_was_said_before(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead", before=True, status=500, times=10)
    with pytest.raises(EspoServerError, match=r"log.*not there when looked for"):
        run(fake, create_record(make_state(), "Lead", ANN))


def test_a_look_that_fails_leaves_the_first_error_because_its_outcome_is_still_unknown(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead")
    fake.fail("GET", "Lead", before=True, times=100)
    with pytest.raises(EspoConnectionError, match="could not be looked up") as caught:
        run(fake, create_record(make_state(), "Lead", ANN))
    assert caught.value.outcome_unknown
    assert caught.value.method == "POST"
    assert fake.count("POST") == 1


def test_a_record_that_was_late_is_no_duplicate_of_itself(fake: FakeEspo) -> None:
    # The first request is carried out only after it was looked for, so the second one is refused as its duplicate.
    state = make_state()
    fake.fail("POST", "Lead", before=True)

    def late(call: Call) -> None:
        if call.method == "POST" and fake.count("POST") == 2:
            fake.add("Lead", **ANN)

    fake.before_each = late
    made = run(fake, create_record(state, "Lead", ANN))
    assert made == {"id": fake.of("Lead")[0]["id"], "action": "created"}
    assert len(fake.of("Lead")) == 1


def test_a_refusal_after_a_lost_request_leaves_open_what_became_of_that(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead", before=True)

    def refuse(call: Call) -> None:
        if call.method == "POST" and fake.count("POST") == 2:
            fake.add("Lead", lastName="Other", emailAddress=ANN["emailAddress"])

    fake.before_each = refuse
    with pytest.raises(EspoDuplicateError) as caught:
        run(fake, create_record(make_state(), "Lead", ANN))
    assert caught.value.outcome_unknown


def test_a_duplicate_at_the_first_try_is_a_duplicate_even_if_one_made_it_oneself(fake: FakeEspo) -> None:
    fake.add("Lead", **ANN)
    with pytest.raises(EspoDuplicateError):
        run(fake, create_record(make_state(), "Lead", ANN))


def test_somebody_elses_record_is_not_taken_for_the_lost_one(fake: FakeEspo) -> None:
    stranger = fake.add("Lead", **ANN)
    fake.records["Lead"][stranger]["createdById"] = "somebody"
    fake.fail("POST", "Lead", before=True)
    made = run(fake, create_record(make_state(), "Lead", ANN, on_duplicate="force"))
    assert made["id"] != stranger


def test_attributes_that_the_server_dropped_do_not_hide_the_record(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead")
    made = run(fake, create_record(make_state(), "Lead", {**ANN, "nope": "x"}, validate=False))
    assert made["action"] == "created"
    assert len(fake.of("Lead")) == 1


def test_where_nothing_can_be_compared_nothing_is_taken_for_it(fake: FakeEspo) -> None:
    other = fake.add("Lead", lastName="Other")
    fake.fail("POST", "Lead", before=True)
    made = run(fake, create_record(make_state(), "Lead", {"nope": "x"}, validate=False))
    assert made["id"] != other


def test_link_ids_and_long_texts_are_compared_whole(fake: FakeEspo) -> None:
    text = "x" * 12_000
    near = fake.add("Lead", lastName="Lee", teamsIds=["t1"], description=text + "y")
    wanted = {"lastName": "Lee", "teamsIds": ["t1"], "description": text}
    fake.fail("POST", "Lead")
    made = run(fake, create_record(make_state(), "Lead", wanted, on_duplicate="force"))
    assert made["id"] != near
    assert len(fake.of("Lead")) == 2


def test_a_small_page_limit_of_the_server_does_not_stop_the_look(fake: FakeEspo) -> None:
    fake.max_size_limit = 20
    fake.fail("POST", "Lead")
    assert run(fake, create_record(make_state(), "Lead", ANN))["action"] == "created"
    assert len(fake.of("Lead")) == 1


def test_the_user_is_asked_for_once(fake: FakeEspo) -> None:
    state = make_state()
    for name in ("Lee", "Moe"):
        fake.fail("POST", "Lead")
        run(fake, create_record(state, "Lead", {"lastName": name}))
    assert fake.count("GET", "App/user") == 1


def with_empty_answer(fake: FakeEspo, state: ClientState, *, is_there: bool) -> Record:
    """Create a record whose answer is an empty object, and go on to the end."""
    operation = create_record(state, "Lead", ANN, validate=False)
    response = answer_of(fake, next(operation))
    if not is_there:
        fake.records.clear()
    request = operation.send(Response(200, response.headers, b"{}"))
    try:
        while True:
            request = operation.send(answer_of(fake, request))
    except StopIteration as stop:
        result: Record = stop.value
        return result


def test_an_answer_without_an_id_is_looked_up_like_one_that_did_not_come(fake: FakeEspo) -> None:
    made = with_empty_answer(fake, make_state(), is_there=True)
    assert made == {"id": fake.of("Lead")[0]["id"], "action": "created"}
    assert fake.count("POST") == 1


def test_an_answer_without_an_id_and_no_record_is_a_bad_answer(fake: FakeEspo) -> None:
    with pytest.raises(EspoBadAnswerError, match="no id"):
        with_empty_answer(fake, make_state(max_retries=0), is_there=False)
