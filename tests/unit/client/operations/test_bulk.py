from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoConnectionError,
    EspoInputError,
    EspoUnknownNameError,
)
from airflow_provider_espo.client.operations.bulk import Outcome, write_many
from tests.unit.client.driving import make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import Answer, Call, FakeEspo, Fault
from tests.unit.client.operations.many import actions, leads, write


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


# -- outcomes ------------------------------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_rows(fake: FakeEspo) -> None:
    rows = leads(60)
    for row in rows[::3]:
        fake.add("Lead", **row)
    for row in rows[1::3]:
        fake.add("Lead", **{**row, "lastName": "Other"})
    outcomes = write(fake, rows)
    assert [outcome["index"] for outcome in outcomes] == list(range(60))
    assert actions(outcomes) == ["unchanged", "updated", "created"] * 20
    by_id = {record["id"]: record for record in fake.of("Lead")}
    assert [by_id[str(outcome["id"])]["emailAddress"] for outcome in outcomes] == [row["emailAddress"] for row in rows]
    assert all(outcome["error"] is None for outcome in outcomes)


def test_a_row_that_fails_does_not_stop_the_others(fake: FakeEspo) -> None:
    rows = leads(5)
    rows[1]["status"] = "s3cret"
    outcomes = write(fake, rows)
    assert actions(outcomes) == ["created", "failed", "created", "created", "created"]
    assert "status" in str(outcomes[1]["error"])
    assert "s3cret" not in str(outcomes[1]["error"])
    assert outcomes[1]["id"] is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("s3cret", "not a dict"),
        (None, "not a dict"),
        (["s3cret"], "not a dict"),
        ({"lastName": "s3cret"}, "No usable value for emailAddress"),
        ({"emailAddress": "", "lastName": "s3cret"}, "No usable value for emailAddress"),
        ({"emailAddress": "a@example.com", "employees": float("nan")}, "employees"),
        ({"emailAddress": "a@example.com", "description": b"s3cret"}, "description"),
        ({"emailAddress": "a@example.com", None: ["s3cret"]}, "a name that is empty or no text"),
        ({"emailAddress": "a@example.com", "doNotCall": "s3cret"}, "doNotCall"),
    ],
)
@pytest.mark.parametrize("operation", ["upsert", "create"])
def test_a_bad_row_is_its_own_failure_in_clear_words_without_its_values(
    fake: FakeEspo, row: Any, words: str, operation: Any
) -> None:
    outcomes = write(fake, [leads(1)[0], row, leads(2)[1]], operation=operation)
    if operation == "create" and "emailAddress" in words:
        assert actions(outcomes) == ["created"] * 3
        return
    assert actions(outcomes) == ["created", "failed", "created"]
    assert words in str(outcomes[1]["error"])
    assert "s3cret" not in str(outcomes[1]["error"])


@pytest.mark.parametrize("operation", ["update", "delete"])
@pytest.mark.parametrize("record_id", [None, "", "s3cret@example.com", "../User", 5, ["a"]])
def test_a_row_without_a_usable_id_is_its_own_failure_and_nothing_is_sent_for_it(
    fake: FakeEspo, operation: Any, record_id: Any
) -> None:
    good = fake.add("Lead", lastName="Lee")
    rows = [{"id": record_id, "status": "Dead"}, {"id": good, "status": "Dead"}, {"status": "Dead"}]
    outcomes = write(fake, rows, operation=operation)
    assert actions(outcomes) == ["failed", f"{operation}d", "failed"]
    assert "id" in str(outcomes[0]["error"])
    assert "s3cret" not in str(outcomes[0]["error"])
    assert {call.path for call in fake.calls if call.method != "GET"} == {f"Lead/{good}"}


def test_no_rows_are_no_requests(fake: FakeEspo) -> None:
    assert write(fake, []) == []
    assert fake.calls == []


@pytest.mark.parametrize("rows", ["[]", b"[]", {"a": 1}, ({"a": 1} for _ in range(3)), {1, 2}, None, 5])
def test_rows_that_are_no_list_are_refused(fake: FakeEspo, rows: Any) -> None:
    with pytest.raises(EspoInputError, match="not a list of dicts"):
        write(fake, rows)
    assert fake.calls == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"operation": "merge"},
        {"match_by": []},
        {"on_duplicate": "merge"},
        {"entity_type": "../Lead"},
        {"entity_type": ""},
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(fake: FakeEspo, arguments: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError):
        write(fake, leads(2), **arguments)
    assert fake.calls == []


@pytest.mark.parametrize("operation", ["upsert", "create", "update"])
def test_a_name_the_server_does_not_have_in_any_row_is_refused_before_anything_is_written(
    fake: FakeEspo, operation: Any
) -> None:
    rows = [{"id": "a1", **row} if operation == "update" else row for row in leads(3)]
    rows[2]["nope"] = "x"
    with pytest.raises(EspoUnknownNameError, match="nope"):
        write(fake, rows, operation=operation)
    assert {call.path for call in fake.calls} == {"Metadata"}


def test_an_id_among_the_values_of_an_upsert_is_refused_because_the_server_would_drop_it(fake: FakeEspo) -> None:
    with pytest.raises(EspoUnknownNameError, match="id"):
        write(fake, leads(1, id="a1"))


# -- create, update, delete ----------------------------------------------------------------------------------------


def test_equal_rows_make_as_many_records_also_when_answers_get_lost(fake: FakeEspo) -> None:
    # The second of two equal rows must not be taken for done because the first one's record is there.
    rows = [{"lastName": "Call back"}] * 3
    fake.faults.append(Fault(lambda call: call.method == "POST" and fake.count("POST") == 2, before=True))
    outcomes = write(fake, rows, operation="create", on_duplicate="force")
    assert actions(outcomes) == ["created"] * 3
    assert len({outcome["id"] for outcome in outcomes}) == 3 == len(fake.of("Lead"))


def test_of_two_equal_rows_neither_takes_the_record_of_the_other_for_its_own(fake: FakeEspo) -> None:
    rows = [{"lastName": "Call back"}] * 2
    fake.faults.append(Fault(lambda call: call.method == "POST" and fake.count("POST") == 1))
    fake.faults.append(Fault(lambda call: call.method == "POST" and fake.count("POST") == 2, before=True))
    outcomes = write(fake, rows, operation="create", on_duplicate="force")
    assert len({outcome["id"] for outcome in outcomes}) == 2 == len(fake.of("Lead"))


@pytest.mark.parametrize(
    ("rows", "on_duplicate"),
    [
        # EspoCRM looks for duplicates before it creates: two requests at once do not see each other's record.
        ([{"lastName": "A", "emailAddress": "a@x.org"}, {"lastName": "B", "emailAddress": "A@x.org"}], "fail"),
        # After two lost answers at once neither would know which record is its own.
        ([{"lastName": "A", "accountName": "x"}, {"accountName": "x", "lastName": "A"}], "force"),
        ([{"lastName": "A"}, {"lastName": "A"}], "skip"),
    ],
)
def test_creates_that_are_alike_never_run_side_by_side(fake: FakeEspo, rows: Any, on_duplicate: Any) -> None:
    plan = write_many(make_state(), "Lead", rows, operation="create", on_duplicate=on_duplicate)
    assert len(list(plan.operations(run(fake, plan.prepare())))) == 1


def test_rows_that_are_duplicates_of_each_other_are_not_created_side_by_side(fake: FakeEspo) -> None:
    rows = [{"lastName": "Lee", "emailAddress": "ann@example.com"}] * 4 + leads(10)
    outcomes = write(fake, rows, operation="create", on_duplicate="skip")
    assert actions(outcomes)[:4] == ["created", "skipped", "skipped", "skipped"]
    assert len(fake.of("Lead")) == 11


def test_duplicates_fail_in_their_own_row_with_the_ids_found(fake: FakeEspo) -> None:
    twin = fake.add("Lead", **leads(1)[0])
    outcomes = write(fake, leads(2), operation="create")
    assert actions(outcomes) == ["failed", "created"]
    assert twin in str(outcomes[0]["error"])


def test_updates_of_one_record_are_written_in_order(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", lastName="Lee")
    rows = [{"id": record_id, "accountName": str(index)} for index in range(10)]
    assert set(actions(write(fake, rows, operation="update"))) == {"updated"}
    assert fake.one("Lead", record_id)["accountName"] == "9"


def test_a_delete_of_the_same_record_twice_says_missing(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", lastName="Lee")
    outcomes = write(fake, [{"id": record_id}, {"id": record_id}], operation="delete")
    assert actions(outcomes) == ["deleted", "missing"]
    assert fake.count("GET") == 0


# -- what meets every row ------------------------------------------------------------------------------------------


def test_what_would_meet_every_row_is_raised_once_with_the_outcomes_and_the_rest_is_not_tried(fake: FakeEspo) -> None:
    def refuse(call: Call) -> None:
        if fake.count("POST") > 3:
            fake.refuse_everything = 401

    fake.before_each = refuse
    with pytest.raises(EspoAuthenticationError) as caught:
        write(fake, leads(200))
    outcomes: Any = caught.value.outcomes
    assert [outcome["index"] for outcome in outcomes] == list(range(200))
    assert actions(outcomes).count("created") == 3 == len(fake.of("Lead"))
    assert sum("Not tried" in str(outcome["error"]) for outcome in outcomes) > 180
    assert fake.count("POST") < 20


@pytest.mark.parametrize("operation", ["upsert", "create"])
def test_an_unreachable_server_is_asked_no_oftener_than_there_are_lanes_at_once(fake: FakeEspo, operation: Any) -> None:
    state = make_state()
    fake.fail("GET", "Lead", before=True, times=1000)
    fake.fail("POST", "Lead", before=True, times=1000)
    with pytest.raises(EspoConnectionError) as caught, over_requests(fake, state) as client:
        client.write_many("Lead", leads(300), operation=operation)
    outcomes: Any = caught.value.outcomes
    assert set(actions(outcomes)) == {"failed"}
    assert len(outcomes) == 300
    # Each of the lanes at work tries as often as the policy says, all others do not try.
    assert (
        len({call.url + str(call.body) for call in fake.calls if call.path == "Lead"}) <= 4 * state.config.max_workers
    )


def test_a_page_of_a_firewall_harms_its_own_row_only(fake: FakeEspo) -> None:
    with over_requests(fake) as client:
        outcomes = _with_firewall(fake, client)
    assert actions(outcomes) == ["created", "failed", "created"]


def _with_firewall(fake: FakeEspo, client: Any) -> list[Outcome]:
    answer = fake.answer

    def guarded(method: str, url: str, headers: dict[str, str], body: bytes | None) -> Any:
        if b"DROP TABLE" in (body or b""):
            return type(answer(method, url, headers, b"{}"))(
                403, {"content-type": "text/html"}, b"<html>Blocked</html>"
            )
        return answer(method, url, headers, body)

    fake.answer = guarded  # type: ignore[method-assign]
    rows = leads(3)
    rows[1]["description"] = "DROP TABLE leads"
    return list(client.write_many("Lead", rows))


def test_nothing_but_pages_means_that_there_is_no_espocrm(fake: FakeEspo) -> None:
    def page(*_: Any) -> Any:
        return Answer(200, {"content-type": "text/html"}, b"<html>Welcome</html>")

    fake.answer = page  # type: ignore[method-assign, assignment]
    with pytest.raises(EspoBadAnswerError):
        write(fake, leads(3), validate=False)


# -- both clients --------------------------------------------------------------------------------------------------


def test_the_blocking_client_writes_side_by_side(fake: FakeEspo) -> None:
    rows = [*leads(120), {"emailAddress": "l5@example.com", "lastName": "last"}]
    rows[7]["status"] = "Odd"
    with over_requests(fake) as client:
        outcomes = client.write_many("Lead", rows)
    assert [outcome["index"] for outcome in outcomes] == list(range(121))
    assert outcomes[7]["action"] == "failed"
    assert outcomes[120]["action"] == "updated"
    assert len(fake.of("Lead")) == 119


async def test_the_asynchronous_client_does_the_same(fake: FakeEspo) -> None:
    rows = [*leads(120), {"emailAddress": "l5@example.com", "lastName": "last"}]
    rows[7]["status"] = "Odd"
    async with over_httpx(fake) as client:
        outcomes = await client.write_many("Lead", rows)
        fake.refuse_everything = 401
        with pytest.raises(EspoAuthenticationError) as caught:
            await client.write_many("Lead", rows)
    assert [outcome["index"] for outcome in outcomes] == list(range(121))
    assert outcomes[7]["action"] == "failed"
    assert outcomes[120]["action"] == "updated"
    assert len(fake.of("Lead")) == 119
    assert len(caught.value.outcomes) == 121


def test_an_error_that_is_none_of_ours_is_not_swallowed(fake: FakeEspo) -> None:
    class Odd(Exception):
        pass

    def break_down(call: Call) -> None:
        if call.method == "POST":
            raise Odd

    fake.before_each = break_down
    with pytest.raises(Odd), over_requests(fake) as client:
        client.write_many("Lead", leads(3))
