from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.client.driving import make_state
from tests.unit.client.fake_espo import FakeEspo, Fault
from tests.unit.client.operations.many import actions, leads, write


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


def writes(fake: FakeEspo) -> int:
    return sum(call.method != "GET" for call in fake.calls)


# -- upsert --------------------------------------------------------------------------------------------------------


def test_five_hundred_unchanged_rows_cost_ten_look_ups_and_no_write(fake: FakeEspo) -> None:
    rows = leads(500)
    for row in rows:
        fake.add("Lead", **row)
    assert set(actions(write(fake, rows))) == {"unchanged"}
    assert fake.count("GET", "Lead") == 10
    assert fake.count("GET", "Metadata") == 1
    assert writes(fake) == 0


def test_five_hundred_new_rows_cost_ten_look_ups_and_five_hundred_creates(fake: FakeEspo) -> None:
    assert set(actions(write(fake, leads(500)))) == {"created"}
    assert fake.count("GET", "Lead") == 10
    assert fake.count("POST") == 500


def test_rows_with_the_same_key_are_written_in_order_and_make_one_record(fake: FakeEspo) -> None:
    rows = leads(100)
    for index in (10, 40, 99):
        rows[index] = {
            "emailAddress": "SAME@example.com" if index == 40 else "same@example.com",
            "lastName": str(index),
        }
    outcomes = write(fake, rows)
    assert [outcomes[index]["action"] for index in (10, 40, 99)] == ["created", "updated", "updated"]
    assert [record["lastName"] for record in fake.of("Lead") if record["emailAddress"] == "same@example.com"] == ["99"]
    assert len(fake.of("Lead")) == 98


def test_equal_rows_with_a_known_key_are_looked_up_once(fake: FakeEspo) -> None:
    fake.add("Lead", **leads(1)[0])
    assert actions(write(fake, leads(1) * 20 + leads(2)[1:])) == ["unchanged"] * 20 + ["created"]
    assert fake.count("GET", "Lead") <= 2


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["lower", "upper"]), st.integers(0, 3)), max_size=40))
def test_lanes_side_by_side_make_one_record_for_each_key_with_the_last_rows_values(
    drawn: list[tuple[int, str, int]],
) -> None:
    fake = FakeEspo()
    fake.add("Lead", lastName="before", emailAddress="p0@example.com")
    rows = [
        {"emailAddress": getattr(f"p{person}@example.com", case)(), "lastName": f"N{value}"}
        for person, case, value in drawn
    ]
    outcomes = write(fake, rows)
    last = {row["emailAddress"].lower(): row["lastName"] for row in rows}
    found = {record["emailAddress"].lower(): record["lastName"] for record in fake.of("Lead")}
    assert len(fake.of("Lead")) == len(found)
    assert found == {"p0@example.com": "before", **last}
    assert "failed" not in actions(outcomes)


@pytest.mark.parametrize(
    "spellings",
    [
        ("phoneNumber", "+49 30 1234", "+49301234"),
        ("lastName", " Lee ", "LEE"),
        ("lastName", "Lu\u0308", "Lü"),
        ("employees", "7", 7),
    ],
)
def test_spellings_of_one_key_never_share_no_lane(fake: FakeEspo, spellings: tuple[str, Any, Any]) -> None:
    name, one, other = spellings
    rows = [*({name: str(index + 10), "accountName": "x"} for index in range(30)), {name: one}, {name: other}]
    outcomes = write(fake, rows, match_by=[name], validate=True)
    assert actions(outcomes)[-2:] == ["created", "unchanged"]
    assert outcomes[-1]["id"] == outcomes[-2]["id"]


def test_keys_with_quotes_and_any_letters_find_their_records(fake: FakeEspo) -> None:
    names = [
        'O"Hara',
        "D'Arc",
        "back\\slash",
        "%_*",
        "漢字",
        "🚀",
        "a&b=c?d#e",
        "Ünïcødé",
        "{{ jinja }}",
        "null",
        "0",
        "true",
    ]
    rows = [{"lastName": name, "status": "New"} for name in names]
    assert set(actions(write(fake, rows, match_by=["lastName"]))) == {"created"}
    assert set(actions(write(fake, rows, match_by=["lastName"]))) == {"unchanged"}
    assert sorted(record["lastName"] for record in fake.of("Lead")) == sorted(names)


@pytest.mark.parametrize("letter", ["k", "ü", "漢", '"', " x"])
@pytest.mark.parametrize("match_by", [["lastName"], ["lastName", "status", "accountName"]])
def test_look_ups_of_long_keys_stay_within_six_kilobytes_of_url(
    fake: FakeEspo, letter: str, match_by: list[str]
) -> None:
    rows = [
        {"lastName": (f"{index}" + letter * 200)[:100], "status": "New", "accountName": letter * 3 + "Acme"}
        for index in range(200)
    ]
    assert set(actions(write(fake, rows, match_by=match_by))) == {"created"}
    assert max(len(call.url) for call in fake.calls) < 6_000
    assert set(actions(write(fake, rows, match_by=match_by))) == {"unchanged"}


def test_many_attributes_leave_less_room_for_keys(fake: FakeEspo) -> None:
    fields = fake.definitions["Lead"]["fields"]
    for index in range(120):
        fields[f"cSomeRatherLongName{index}"] = {"type": "varchar"}
    rows = leads(60, **{f"cSomeRatherLongName{index}": "x" for index in range(120)})
    assert set(actions(write(fake, rows))) == {"created"}
    assert max(len(call.url) for call in fake.calls) < 6_000


def test_more_matches_than_one_answer_holds_are_looked_up_one_by_one(fake: FakeEspo) -> None:
    for index in range(205):
        fake.add("Lead", lastName="many", accountName=f"A{index}")
    fake.add("Lead", lastName="one")
    rows = [{"lastName": "many", "status": "New"}, {"lastName": "one", "status": "New"}, {"lastName": "none"}]
    outcomes = write(fake, rows, make_state(max_workers=1), match_by=["lastName"])
    assert actions(outcomes) == ["failed", "updated", "created"]
    assert "More than one record" in str(outcomes[0]["error"])


def test_a_second_address_belongs_to_its_row_also_when_the_first_belongs_to_another(fake: FakeEspo) -> None:
    both = fake.add("Lead", lastName="Lee", _emails=["main@example.com", "second@example.com"])
    alone = fake.add("Lead", lastName="Moe", _emails=["hidden@example.com", "shown@example.com"])
    rows = [
        {"emailAddress": "main@example.com", "lastName": "Lee"},
        {"emailAddress": "second@example.com", "lastName": "Lee"},
        {"emailAddress": "shown@example.com", "lastName": "Moe"},
        {"emailAddress": "new@example.com", "lastName": "New"},
    ]
    outcomes = write(fake, rows, make_state(max_workers=1))
    assert [outcome["id"] for outcome in outcomes[:3]] == [both, both, alone]
    assert actions(outcomes) == ["unchanged", "unchanged", "unchanged", "created"]
    assert fake.one("Lead", both)["emailAddress"] == "main@example.com"


def test_a_row_whose_key_two_records_have_fails_alone(fake: FakeEspo) -> None:
    fake.add("Lead", lastName="Lee", emailAddress="l0@example.com")
    fake.add("Lead", lastName="Lee", _emails=["other@example.com", "l0@example.com"])
    outcomes = write(fake, leads(3), make_state(max_workers=1))
    assert actions(outcomes) == ["failed", "created", "created"]
    assert "More than one record" in str(outcomes[0]["error"])


def test_accents_are_different_keys_and_make_no_new_record_on_each_run(fake: FakeEspo) -> None:
    rows = [{"lastName": name, "status": "New"} for name in ("Muller", "Müller", "Mueller")]
    assert actions(write(fake, rows, match_by=["lastName"])) == ["created"] * 3
    for _ in range(2):
        assert actions(write(fake, rows, match_by=["lastName"])) == ["unchanged"] * 3
    assert len(fake.of("Lead")) == 3


def test_an_address_the_database_takes_for_another_fails_alone(fake: FakeEspo) -> None:
    fake.add("Lead", lastName="L1", emailAddress="lé@example.com")
    rows = [{"lastName": "x", "emailAddress": "le@example.com"}, *leads(2)]
    outcomes = write(fake, rows, make_state(max_workers=1))
    assert actions(outcomes) == ["failed", "created", "created"]
    assert "written otherwise" in str(outcomes[0]["error"])


def test_a_value_that_breaks_the_look_up_of_many_harms_its_own_row_only(fake: FakeEspo) -> None:
    fake.faults.append(Fault(lambda call: "l1%40" in call.url, times=100, before=True, status=500))
    outcomes = write(fake, leads(4), make_state(max_workers=1))
    assert actions(outcomes) == ["created", "failed", "created", "created"]


def test_a_lost_answer_makes_no_second_record(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead", times=3)
    assert set(actions(write(fake, leads(20)))) == {"created"}
    assert len(fake.of("Lead")) == 20
