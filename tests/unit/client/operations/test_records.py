from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoError,
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
    EspoUnknownNameError,
    EspoVersionConflictError,
)
from airflow_provider_espo.client.operations.records import create_record, delete_record, get_record, update_record
from airflow_provider_espo.client.wire import Response
from tests.unit.client.driving import make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import FakeEspo

ANN = {"firstName": "Ann", "lastName": "Lee", "emailAddress": "ann@example.com"}
BAD_IDS = [None, "", " ", "../User", "a/b", "a?b", "a#b", "%2e%2e", "ä", 5, ["a"], "x" * 65]


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


def writes(fake: FakeEspo) -> list[Any]:
    return [(call.method, call.path, call.json) for call in fake.calls if call.method != "GET"]


# -- read ----------------------------------------------------------------------------------------------------------


def test_a_record_is_read_whole_or_with_the_attributes_asked_for(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    assert run(fake, get_record(make_state(), "Lead", record_id))["emailAddressData"][0]["primary"] is True
    some = run(fake, get_record(make_state(), "Lead", record_id, select=["lastName", "description"]))
    assert some == {"id": record_id, "lastName": "Lee", "description": None}


def test_what_is_not_there_is_not_found(fake: FakeEspo) -> None:
    with pytest.raises(EspoNotFoundError):
        run(fake, get_record(make_state(), "Lead", "0123456789abcdef0"))


def test_a_deleted_record_is_not_found_although_an_administrator_is_shown_it(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    fake.records["Lead"][record_id]["deleted"] = True
    with pytest.raises(EspoNotFoundError, match="was deleted"):
        run(fake, get_record(make_state(), "Lead", record_id))
    with pytest.raises(EspoNotFoundError, match="was deleted"):
        run(fake, update_record(make_state(), "Lead", record_id, {"lastName": "Lee"}))


def test_unknown_names_to_read_are_refused_before_the_record_is_asked_for(fake: FakeEspo) -> None:
    with pytest.raises(EspoUnknownNameError, match="nope"):
        run(fake, get_record(make_state(), "Lead", "0123456789abcdef0", select=["nope"]))
    with pytest.raises(EspoInputError, match="list of names"):
        run(fake, get_record(make_state(), "Lead", "0123456789abcdef0", select="lastName"))
    assert fake.count("GET", "Lead") == 0


@pytest.mark.parametrize("record_id", BAD_IDS)
def test_what_is_no_id_is_refused_before_anything_is_sent(fake: FakeEspo, record_id: Any) -> None:
    state = make_state()
    for operation in (
        get_record(state, "Lead", record_id),
        update_record(state, "Lead", record_id, {"status": "Dead"}),
        delete_record(state, "Lead", record_id),
    ):
        with pytest.raises(EspoInputError, match="record id"):
            run(fake, operation)
    assert fake.calls == []


@pytest.mark.parametrize("entity_type", [None, "", "../Lead", "Lead/1", "Lead?x", "Le ad", "Læd", 5, ["Lead"]])
def test_what_is_no_entity_type_is_refused_before_anything_is_sent(fake: FakeEspo, entity_type: Any) -> None:
    state = make_state()
    for operation in (
        get_record(state, entity_type, "a1"),
        create_record(state, entity_type, ANN),
        update_record(state, entity_type, "a1", ANN),
        delete_record(state, entity_type, "a1"),
    ):
        with pytest.raises(EspoInputError, match="entity type"):
            run(fake, operation)
    assert fake.calls == []


# -- update --------------------------------------------------------------------------------------------------------


def test_only_what_differs_is_sent(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN, status="New", phoneNumber="+49301234", teamsIds=["a", "b"])
    wanted = {**ANN, "status": "Dead", "phoneNumber": "+49 30 12-34", "teamsIds": ["b", "a"], "description": ""}
    assert run(fake, update_record(make_state(), "Lead", record_id, wanted)) == {"id": record_id, "action": "updated"}
    assert writes(fake) == [("PUT", f"Lead/{record_id}", {"status": "Dead"})]


def test_where_nothing_differs_nothing_is_sent(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    wanted = {**ANN, "emailAddress": "ANN@example.com", "description": None}
    result = run(fake, update_record(make_state(), "Lead", record_id, wanted))
    assert result == {"id": record_id, "action": "unchanged"}
    assert writes(fake) == []


def test_all_is_sent_without_a_look_if_asked_for(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    assert run(fake, update_record(make_state(), "Lead", record_id, ANN, only_changes=False))["action"] == "updated"
    assert writes(fake) == [("PUT", f"Lead/{record_id}", ANN)]
    assert fake.count("GET", "Lead") == 0


def test_none_clears(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN, description="x")
    run(fake, update_record(make_state(), "Lead", record_id, {"description": None}))
    assert fake.one("Lead", record_id)["description"] is None


def test_what_can_be_set_on_creation_only_is_refused_in_an_update(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    with pytest.raises(EspoUnknownNameError, match="importKey"):
        run(fake, update_record(make_state(), "Lead", record_id, {"importKey": "k"}))
    assert writes(fake) == []


def test_a_flag_beside_the_attributes_is_no_change(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    result = run(fake, update_record(make_state(), "Lead", record_id, {**ANN, "_skipDuplicateCheck": True}))
    assert result["action"] == "unchanged"
    run(fake, update_record(make_state(), "Lead", record_id, {"status": "Dead", "_skipDuplicateCheck": True}))
    assert writes(fake)[0][2] == {"status": "Dead", "_skipDuplicateCheck": True}


@pytest.mark.parametrize("version", [1, "1", " 1 "])
def test_the_version_that_values_were_decided_on_is_sent(fake: FakeEspo, version: Any) -> None:
    record_id = fake.add("Account", name="Acme", type="Customer")
    run(fake, update_record(make_state(), "Account", record_id, {"type": "Partner"}, version_number=version))
    assert fake.seen("PUT")[0].headers["x-version-number"] == "1"


def test_a_record_that_was_changed_meanwhile_is_not_overwritten(fake: FakeEspo) -> None:
    record_id = fake.add("Account", name="Acme", type="Customer")
    state = make_state()
    run(fake, update_record(state, "Account", record_id, {"type": "Partner"}))
    with pytest.raises(EspoVersionConflictError) as caught:
        run(fake, update_record(state, "Account", record_id, {"type": "Investor"}, version_number=1))
    assert caught.value.current_values == {"type": "Partner"}
    assert caught.value.current_version == 2
    assert fake.one("Account", record_id)["type"] == "Partner"


def test_an_old_version_does_no_harm_where_nothing_differs(fake: FakeEspo) -> None:
    record_id = fake.add("Account", name="Acme", type="Customer")
    fake.records["Account"][record_id]["versionNumber"] = 7
    result = run(fake, update_record(make_state(), "Account", record_id, {"type": "Customer"}, version_number=1))
    assert result["action"] == "unchanged"


def test_a_version_for_a_record_that_has_none_is_refused_because_the_server_would_ignore_it(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    with pytest.raises(EspoInputError, match="no version numbers"):
        run(fake, update_record(make_state(), "Lead", record_id, {"status": "Dead"}, version_number=1))
    assert writes(fake) == []


@pytest.mark.parametrize("version", ["", "x", "1.0", 1.0, True, [1], "None"])
def test_what_is_no_version_is_refused_before_anything_is_sent(fake: FakeEspo, version: Any) -> None:
    with pytest.raises(EspoInputError, match="version_number"):
        run(fake, update_record(make_state(), "Account", "a1", {"type": "Customer"}, version_number=version))
    assert fake.calls == []


# -- delete --------------------------------------------------------------------------------------------------------


def test_a_second_delete_is_a_success_that_says_so(fake: FakeEspo) -> None:
    record_id = fake.add("Lead", **ANN)
    assert run(fake, delete_record(make_state(), "Lead", record_id)) == {"id": record_id, "action": "deleted"}
    assert run(fake, delete_record(make_state(), "Lead", record_id)) == {"id": record_id, "action": "missing"}
    assert fake.of("Lead") == []


def test_a_missing_record_is_an_error_if_it_must_not_be_missing(fake: FakeEspo) -> None:
    with pytest.raises(EspoNotFoundError):
        run(fake, delete_record(make_state(), "Lead", "0123456789abcdef0", missing_ok=False))


def test_a_delete_that_did_nothing_is_an_error() -> None:
    operation = delete_record(make_state(), "Lead", "0123456789abcdef0")
    next(operation)
    with pytest.raises(EspoNothingDoneError):
        operation.send(Response(200, {"content-type": "application/json"}, b"false"))


def test_a_wrong_entity_type_is_no_missing_record(fake: FakeEspo) -> None:
    with pytest.raises(EspoNotFoundError, match="Controller"):
        run(fake, delete_record(make_state(), "Leed", "0123456789abcdef0"))


# -- both clients --------------------------------------------------------------------------------------------------


def test_the_blocking_client_does_it_all(fake: FakeEspo) -> None:
    with over_requests(fake) as client:
        record_id = client.create_record("Lead", ANN)["id"]
        assert client.update_record("Lead", record_id, {"status": "Dead"})["action"] == "updated"
        assert client.get_record("Lead", record_id, select=["status"])["status"] == "Dead"
        assert client.delete_record("Lead", record_id)["action"] == "deleted"
        with pytest.raises(EspoError):
            client.get_record("Lead", record_id)


async def test_the_asynchronous_client_does_it_all(fake: FakeEspo) -> None:
    async with over_httpx(fake) as client:
        record_id = (await client.create_record("Lead", ANN))["id"]
        assert (await client.update_record("Lead", record_id, {"status": "Dead"}))["action"] == "updated"
        assert (await client.get_record("Lead", record_id, select=["status"]))["status"] == "Dead"
        assert (await client.delete_record("Lead", record_id))["action"] == "deleted"
        with pytest.raises(EspoError):
            await client.get_record("Lead", record_id)
