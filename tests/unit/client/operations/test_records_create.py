from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoDuplicateError,
    EspoInputError,
    EspoUnknownNameError,
    EspoValidationError,
)
from airflow_provider_espo.client.operations.records import create_record, update_record
from tests.unit.client.driving import make_state, run
from tests.unit.client.fake_espo import FakeEspo

ANN = {"firstName": "Ann", "lastName": "Lee", "emailAddress": "ann@example.com"}


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


# -- create --------------------------------------------------------------------------------------------------------


def test_a_record_is_created_once_with_what_was_given(fake: FakeEspo) -> None:
    made = run(fake, create_record(make_state(), "Lead", ANN))
    assert made == {"id": fake.of("Lead")[0]["id"], "action": "created"}
    assert fake.one("Lead", made["id"])["name"] == "Ann Lee"
    assert fake.count("POST") == 1


def test_times_with_a_zone_are_sent_in_utc(fake: FakeEspo) -> None:
    fake.definitions["Lead"]["fields"]["calledAt"] = {"type": "datetime"}
    run(fake, create_record(make_state(), "Lead", {"lastName": "Lee", "calledAt": "2026-01-05T10:00:00+02:00"}))
    assert fake.of("Lead")[0]["calledAt"] == "2026-01-05 08:00:00"


def test_a_refused_value_is_raised_as_it_is_and_not_tried_again(fake: FakeEspo) -> None:
    with pytest.raises(EspoValidationError) as caught:
        run(fake, create_record(make_state(), "Lead", {**ANN, "status": "Odd"}))
    assert (caught.value.field, caught.value.rule) == ("status", "valid")
    assert fake.count("POST") == 1
    assert fake.count("GET", "Lead") == 0


def test_unknown_and_read_only_names_are_refused_before_anything_is_written(fake: FakeEspo) -> None:
    for name in ("nope", "createdAt", "id"):
        with pytest.raises(EspoUnknownNameError, match=name):
            run(fake, create_record(make_state(), "Lead", {**ANN, name: "x"}))
    assert fake.count("POST") == 0


@pytest.mark.parametrize("attributes", [None, [("a", 1)], "{}", 5])
def test_attributes_that_are_no_dict_are_refused_before_anything_is_sent(fake: FakeEspo, attributes: Any) -> None:
    for operation in (
        create_record(make_state(), "Lead", attributes),
        update_record(make_state(), "Lead", "a1", attributes),
    ):
        with pytest.raises(EspoInputError, match="not a dict"):
            run(fake, operation)
    assert fake.calls == []


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), b"s3cret", {"s3cret"}, ["s3cret", float("nan")], object()]
)
def test_values_that_are_not_json_are_refused_without_being_repeated(fake: FakeEspo, value: Any) -> None:
    with pytest.raises(EspoInputError, match="description") as caught:
        run(fake, create_record(make_state(), "Lead", {**ANN, "description": value}))
    assert "s3cret" not in str(caught.value)
    assert fake.count("POST") == 0


# -- duplicates ----------------------------------------------------------------------------------------------------


def test_a_duplicate_is_an_error_with_the_found_records(fake: FakeEspo) -> None:
    twin = fake.add("Lead", **ANN)
    with pytest.raises(EspoDuplicateError) as caught:
        run(fake, create_record(make_state(), "Lead", ANN))
    assert caught.value.record_ids == [twin]
    assert len(fake.of("Lead")) == 1


def test_skip_leaves_the_record_with_the_same_address_as_it_is(fake: FakeEspo) -> None:
    twin = fake.add("Lead", **ANN)
    again = {**ANN, "lastName": "Other", "emailAddress": "ANN@example.com"}
    result = run(fake, create_record(make_state(), "Lead", again, on_duplicate="skip"))
    assert result == {"id": twin, "action": "skipped"}
    assert fake.one("Lead", twin)["lastName"] == "Lee"
    assert len(fake.of("Lead")) == 1


def test_update_writes_what_differs_to_the_record_with_the_same_address(fake: FakeEspo) -> None:
    twin = fake.add("Lead", **ANN)
    result = run(fake, create_record(make_state(), "Lead", {**ANN, "status": "Dead"}, on_duplicate="update"))
    assert result == {"id": twin, "action": "updated"}
    (put,) = fake.seen("PUT")
    assert (put.path, put.json) == (f"Lead/{twin}", {"status": "Dead"})


def test_update_that_would_change_nothing_writes_nothing(fake: FakeEspo) -> None:
    teams = ["team1", "team2"]
    twin = fake.add("Lead", **ANN, teamsIds=teams)
    wanted = {**ANN, "teamsIds": teams[::-1]}
    result = run(fake, create_record(make_state(), "Lead", wanted, on_duplicate="update"))
    assert result == {"id": twin, "action": "unchanged"}
    assert fake.count("PUT") == 0


@pytest.mark.parametrize("on_duplicate", ["skip", "update"])
def test_a_namesake_is_never_touched(fake: FakeEspo, on_duplicate: Any) -> None:
    namesake = fake.add("Lead", **{**ANN, "emailAddress": "other.ann@example.com"})
    with pytest.raises(EspoDuplicateError, match="None of them agrees on emailAddress") as caught:
        run(fake, create_record(make_state(), "Lead", {**ANN, "status": "Dead"}, on_duplicate=on_duplicate))
    assert caught.value.record_ids == [namesake]
    assert fake.one("Lead", namesake)["status"] is None
    assert fake.count("PUT") == 0


@pytest.mark.parametrize("on_duplicate", ["skip", "update"])
def test_of_a_namesake_and_the_same_person_the_same_person_is_meant(fake: FakeEspo, on_duplicate: Any) -> None:
    fake.add("Lead", **{**ANN, "emailAddress": "other.ann@example.com"})
    same = fake.add("Lead", **ANN)
    result = run(fake, create_record(make_state(), "Lead", {**ANN, "status": "Dead"}, on_duplicate=on_duplicate))
    assert result["id"] == same


@pytest.mark.parametrize("on_duplicate", ["skip", "update"])
def test_two_records_that_agree_are_both_left_alone(fake: FakeEspo, on_duplicate: Any) -> None:
    fake.add("Lead", **ANN)
    fake.add("Lead", **ANN)
    with pytest.raises(EspoDuplicateError, match="More than one of them agrees"):
        run(fake, create_record(make_state(), "Lead", {**ANN, "status": "Dead"}, on_duplicate=on_duplicate))
    assert fake.count("PUT") == 0


def test_the_one_that_agrees_is_found_behind_many_namesakes(fake: FakeEspo) -> None:
    # EspoCRM names five of the duplicates and no more.
    for index in range(7):
        fake.add("Lead", **{**ANN, "emailAddress": f"ann{index}@example.com"})
    same = fake.add("Lead", **ANN)
    result = run(fake, create_record(make_state(), "Lead", ANN, on_duplicate="skip"))
    assert result == {"id": same, "action": "skipped"}


def test_a_second_agreeing_record_behind_the_first_five_is_not_overlooked(fake: FakeEspo) -> None:
    fake.add("Lead", **ANN)
    for index in range(7):
        fake.add("Lead", **{**ANN, "emailAddress": f"ann{index}@example.com"})
    fake.add("Lead", **ANN)
    with pytest.raises(EspoDuplicateError, match="More than one of them agrees"):
        run(fake, create_record(make_state(), "Lead", ANN, on_duplicate="skip"))


def test_the_second_address_of_a_record_agrees_and_its_first_one_stays(fake: FakeEspo) -> None:
    twin = fake.add("Lead", lastName="Lee", _emails=["first@example.com", "ann@example.com"])
    result = run(fake, create_record(make_state(), "Lead", {**ANN, "status": "Dead"}, on_duplicate="update"))
    assert result == {"id": twin, "action": "updated"}
    assert fake.one("Lead", twin)["emailAddress"] == "first@example.com"
    assert fake.one("Lead", twin)["status"] == "Dead"


def test_force_creates_all_the_same(fake: FakeEspo) -> None:
    fake.add("Lead", **ANN)
    assert run(fake, create_record(make_state(), "Lead", ANN, on_duplicate="force"))["action"] == "created"
    assert len(fake.of("Lead")) == 2


def test_one_name_to_match_by_may_be_a_text(fake: FakeEspo) -> None:
    twin = fake.add("Lead", **ANN)
    result = run(fake, create_record(make_state(), "Lead", ANN, on_duplicate="skip", match_by="emailAddress"))
    assert result["id"] == twin


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_duplicate": "merge"},
        {"on_duplicate": None},
        {"match_by": []},
        {"match_by": None},
        {"match_by": [""]},
        {"match_by": 5},
        {"on_duplicate": "skip", "match_by": ["phoneNumber"]},
        {"on_duplicate": "update", "match_by": ["status"]},
    ],
)
def test_ways_to_treat_duplicates_that_make_no_sense_are_refused_before_anything_is_sent(
    fake: FakeEspo, arguments: dict[str, Any]
) -> None:
    with pytest.raises(EspoInputError):
        run(fake, create_record(make_state(), "Lead", {**ANN, "status": " "}, **arguments))
    assert fake.calls == []


# -- creates by an earlier try -------------------------------------------------------------------------------------


def earlier(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def test_the_record_of_an_earlier_try_is_found_and_not_made_again(fake: FakeEspo) -> None:
    first = run(fake, create_record(make_state(), "Lead", {**ANN, "teamsIds": ["t1"]}, on_duplicate="force"))
    again = run(
        fake,
        create_record(
            make_state(),
            "Lead",
            {**ANN, "teamsIds": ["t1"]},
            on_duplicate="force",
            look_for_earlier_since=earlier(10),
        ),
    )
    assert again == {"id": first["id"], "action": "created"}
    assert fake.count("POST") == 1


def test_it_is_found_although_what_it_has_is_not_all_in_lists(fake: FakeEspo) -> None:
    wanted = {"lastName": " Lee ", "phoneNumber": "+49 30 1234", "description": "long " * 3000, "importKey": "k1"}

    def again(**change: str) -> str:
        operation = create_record(
            make_state(),
            "Lead",
            {**wanted, **change},
            on_duplicate="force",
            look_for_earlier_since=earlier(10),
        )
        return str(run(fake, operation)["id"])

    first = again()
    assert again() == first
    assert again(description="long " * 3000 + "tail") != first
    assert again(importKey="k2") != first


@pytest.mark.parametrize(
    "change",
    [
        {"createdById": "somebody"},
        {"status": "Dead"},
        {"lastName": "Ly"},
        {"createdAt": "2020-01-01 00:00:00"},
    ],
)
def test_a_strangers_record_is_not_taken_for_it(fake: FakeEspo, change: dict[str, str]) -> None:
    stranger = fake.add("Lead", **ANN, status="New")
    fake.records["Lead"][stranger].update(change)
    made = run(
        fake,
        create_record(
            make_state(),
            "Lead",
            {**ANN, "status": "New"},
            on_duplicate="force",
            look_for_earlier_since=earlier(60),
        ),
    )
    assert made["id"] != stranger
    assert len(fake.of("Lead")) == 2


def test_a_server_clock_that_is_a_little_behind_does_not_hide_it(fake: FakeEspo) -> None:
    fake.clock = lambda: datetime.now(UTC) - timedelta(seconds=90)
    first = run(fake, create_record(make_state(), "Lead", ANN))
    again = run(fake, create_record(make_state(), "Lead", ANN, look_for_earlier_since=earlier(0)))
    assert again["id"] == first["id"]


def test_a_time_without_a_zone_counts_as_utc(fake: FakeEspo) -> None:
    first = run(fake, create_record(make_state(), "Lead", ANN))
    since = earlier(10).replace(tzinfo=None)
    assert run(fake, create_record(make_state(), "Lead", ANN, look_for_earlier_since=since))["id"] == first["id"]
    (look,) = fake.seen("GET", "Lead")
    floor = next(item["value"] for item in look.search["where"] if item["attribute"] == "createdAt")
    assert floor == (since - timedelta(minutes=2)).strftime("%Y-%m-%d %H:%M:%S")
