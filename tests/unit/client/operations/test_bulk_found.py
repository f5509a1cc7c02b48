"""Many updates and deletes whose records are found by a key, and creates after an earlier try."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoUnknownNameError
from tests.unit.client.fake_espo import FakeEspo
from tests.unit.client.operations.many import actions, leads, write

BY_EMAIL = ["emailAddress"]


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


def since() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


# -- update --------------------------------------------------------------------------------------------------------


def test_updates_look_their_records_up_by_the_dozen_and_send_what_differs(fake: FakeEspo) -> None:
    ids = [fake.add("Lead", **row, status="New") for row in leads(100)]
    rows = [{"id": one, "status": "Dead" if number % 4 == 0 else "New"} for number, one in enumerate(ids)]
    assert actions(write(fake, rows, operation="update")) == ["updated", "unchanged", "unchanged", "unchanged"] * 25
    assert fake.count("PUT") == 25
    assert len([call for call in fake.calls if call.method == "GET" and call.path.startswith("Lead")]) < 20


def test_an_update_of_a_record_that_lists_do_not_show_is_tried_by_itself(fake: FakeEspo) -> None:
    ids = [fake.add("Lead", **row) for row in leads(3)]
    outcomes = write(fake, [{"id": one, "status": "Dead"} for one in [*ids, "0123456789abcdef0"]], operation="update")
    assert actions(outcomes) == ["updated"] * 3 + ["failed"]
    assert "404" in str(outcomes[3]["error"])


def test_an_update_by_a_key_leaves_the_key_as_it_is(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", lastName="Lee", emailAddress="ann@example.com")
    rows = [
        {"emailAddress": "ANN@example.com", "status": "Dead"},
        {"emailAddress": "ANN@example.com", "status": "Dead"},
    ]
    assert actions(write(fake, rows, operation="update", match_by=BY_EMAIL)) == ["updated", "unchanged"]
    assert fake.one("Lead", record_id)["emailAddress"] == "ann@example.com"
    (sent,) = [call.json for call in fake.calls if call.method == "PUT"]
    assert sent == {"status": "Dead"}


@pytest.mark.parametrize("operation", ["update", "delete"])
def test_a_key_of_two_records_or_of_none_is_that_rows_own(fake: FakeEspo, operation: Any) -> None:
    for _ in range(2):
        fake.add("Lead", lastName="Twin", accountName="Acme")
    fake.add("Lead", lastName="Lee", accountName="Acme")
    rows = [{"lastName": name, "accountName": "Acme", "status": "Dead"} for name in ("Twin", "Lee", "Nobody")]
    outcomes = write(fake, rows, operation=operation, match_by=["lastName", "accountName"])
    none = "failed" if operation == "update" else "missing"
    assert actions(outcomes) == ["failed", f"{operation}d", none]
    assert "More than one record" in str(outcomes[0]["error"])
    assert "Nobody" not in str(outcomes[2]["error"])
    assert len([call for call in fake.calls if call.method in ("PUT", "DELETE")]) == 1


def test_a_key_may_be_an_attribute_that_cannot_be_written(fake: FakeEspo) -> None:
    ids = [fake.add("Case", name="a"), fake.add("Case", name="b")]
    number = fake.one("Case", ids[1])["number"]
    outcomes = write(
        fake, [{"number": number, "name": "c"}], operation="update", match_by=["number"], entity_type="Case"
    )
    assert actions(outcomes) == ["updated"]
    assert fake.one("Case", ids[1])["name"] == "c"


def test_a_key_the_server_does_not_have_is_refused_before_anything_is_written(fake: FakeEspo) -> None:
    for operation in ("update", "delete"):
        with pytest.raises(EspoUnknownNameError, match="nope"):
            write(fake, [{"nope": 1, "status": "Dead"}], operation=operation, match_by=["nope"])
    assert {call.method for call in fake.calls} == {"GET"}


def test_values_beside_the_key_of_a_delete_do_not_count(fake: FakeEspo) -> None:
    fake.add("Lead", lastName="Lee", emailAddress="ann@example.com")
    rows = [{"emailAddress": "ann@example.com", "nope": 1, "createdAt": float("nan")}]
    assert actions(write(fake, rows, operation="delete", match_by=BY_EMAIL)) == ["deleted"]


# -- create after an earlier try -----------------------------------------------------------------------------------


@pytest.mark.parametrize("match_by", [None, BY_EMAIL])
def test_what_an_earlier_try_created_is_not_created_again(fake: FakeEspo, match_by: Any) -> None:
    began = since()
    first = write(fake, leads(10), operation="create")
    fake.calls.clear()
    outcomes = write(fake, leads(12), operation="create", match_by=match_by, look_for_earlier_since=began)
    assert actions(outcomes) == ["created"] * 12
    assert [one["id"] for one in outcomes[:10]] == [one["id"] for one in first]
    assert fake.count("POST") == 2
    assert len(fake.of("Lead")) == 12


def test_by_its_key_a_record_is_found_that_was_changed_meanwhile(fake: FakeEspo) -> None:
    began = since()
    (first,) = write(fake, leads(1), operation="create")
    fake.one("Lead", str(first["id"]))["lastName"] = "as a formula has it"
    outcomes = write(fake, leads(1), operation="create", match_by=BY_EMAIL, look_for_earlier_since=began)
    assert outcomes[0]["id"] == first["id"]


@pytest.mark.parametrize("match_by", [None, BY_EMAIL])
def test_each_record_is_taken_for_one_row_only(fake: FakeEspo, match_by: Any) -> None:
    began = since()
    row = {"lastName": "Lee", "emailAddress": "ann@example.com"}
    write(fake, [row] * 2, operation="create", on_duplicate="force")
    again: Any = {"operation": "create", "on_duplicate": "force"}
    outcomes = write(fake, [row] * 5, look_for_earlier_since=began, match_by=match_by, **again)
    assert len({one["id"] for one in outcomes}) == 5 == len(fake.of("Lead"))


def test_what_was_there_before_or_is_somebody_elses_is_not_taken(fake: FakeEspo) -> None:
    fake.add("Lead", **leads(1)[0], createdAt="2020-01-01 00:00:00", createdById=fake.user_id)
    fake.add("Lead", **leads(2)[1], createdById="somebodyelse00000")
    write(fake, leads(2), operation="create", on_duplicate="force", look_for_earlier_since=since(), match_by=BY_EMAIL)
    assert len(fake.of("Lead")) == 4
