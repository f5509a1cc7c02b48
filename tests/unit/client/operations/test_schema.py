from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoInputError, EspoUnknownNameError
from airflow_provider_espo.client.operations.records import create_record, get_record, update_record
from airflow_provider_espo.client.operations.relations import link
from airflow_provider_espo.client.operations.schema import checked_schema
from tests.unit.client.driving import make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import FakeEspo


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


def test_an_entity_type_is_described_once_in_a_process(fake: FakeEspo) -> None:
    state = make_state()
    record_id = run(fake, create_record(state, "Lead", {"lastName": "Lee"}))["id"]
    run(fake, update_record(state, "Lead", record_id, {"status": "New"}))
    run(fake, get_record(state, "Lead", record_id, select=["status"]))
    with over_requests(fake, state) as client:
        client.create_record("Lead", {"lastName": "Moe"})
        client.create_record("Account", {"name": "Acme"})
    assert [call.query["key"] for call in fake.seen("GET", "Metadata")] == ["entityDefs.Lead", "entityDefs.Account"]


def test_before_a_name_is_refused_the_description_is_read_once_more(fake: FakeEspo) -> None:
    state = make_state()
    run(fake, create_record(state, "Lead", {"lastName": "Lee"}))
    with pytest.raises(EspoUnknownNameError, match="cBudget"):
        run(fake, create_record(state, "Lead", {"lastName": "Moe", "cBudget": 5}))
    assert fake.count("GET", "Metadata") == 2
    assert fake.count("POST") == 1


def test_a_field_that_was_added_a_minute_ago_works(fake: FakeEspo) -> None:
    state = make_state()
    run(fake, create_record(state, "Lead", {"lastName": "Lee"}))
    fake.definitions["Lead"]["fields"]["cBudget"] = {"type": "int"}
    made = run(fake, create_record(state, "Lead", {"lastName": "Moe", "cBudget": 5}))
    assert fake.one("Lead", made["id"])["cBudget"] == 5
    run(fake, create_record(state, "Lead", {"lastName": "Poe", "cBudget": 6}))
    assert fake.count("GET", "Metadata") == 2


def test_a_link_that_was_added_a_minute_ago_works(fake: FakeEspo) -> None:
    state = make_state()
    lead, other = fake.add("Lead", lastName="Lee"), fake.add("Lead", lastName="Moe")
    with pytest.raises(EspoUnknownNameError):
        run(fake, link(state, "Lead", lead, "friends", [other]))
    fake.definitions["Lead"]["links"]["friends"] = {"type": "hasMany", "entity": "Lead"}
    assert run(fake, link(state, "Lead", lead, "friends", [other])) == {"linked": 1}


def test_a_field_that_was_removed_is_still_known_until_a_name_is_refused(fake: FakeEspo) -> None:
    state = make_state()
    run(fake, create_record(state, "Lead", {"lastName": "Lee", "accountName": "Acme"}))
    del fake.definitions["Lead"]["fields"]["accountName"]
    with pytest.raises(EspoUnknownNameError, match="nope"):
        run(fake, create_record(state, "Lead", {"lastName": "Moe", "nope": 1}))
    with pytest.raises(EspoUnknownNameError, match="accountName"):
        run(fake, create_record(state, "Lead", {"lastName": "Moe", "accountName": "Acme"}))


def test_a_fresh_description_is_not_read_twice_to_refuse_a_name(fake: FakeEspo) -> None:
    with pytest.raises(EspoUnknownNameError):
        run(fake, create_record(make_state(), "Lead", {"lastName": "Lee", "nope": 1}))
    assert fake.count("GET", "Metadata") == 1


def test_an_old_server_that_sends_all_its_metadata_does_as_well(fake: FakeEspo) -> None:
    fake.key_in_metadata = False
    state = make_state()
    run(fake, create_record(state, "Lead", {"lastName": "Lee"}))
    with pytest.raises(EspoUnknownNameError, match="nope"):
        run(fake, create_record(state, "Lead", {"lastName": "Lee", "nope": 1}))
    with pytest.raises(EspoUnknownNameError, match="no entity type 'Leed'"):
        run(fake, create_record(state, "Leed", {"lastName": "Lee"}))


@pytest.mark.parametrize("entity_type", ["Leed", "lead", "Leads"])
def test_an_unknown_entity_type_is_refused_with_what_to_look_at(fake: FakeEspo, entity_type: str) -> None:
    with pytest.raises(EspoUnknownNameError, match="not lead or leads") as caught:
        run(fake, create_record(make_state(), entity_type, {"name": "x"}))
    assert entity_type in str(caught.value)
    assert {call.path for call in fake.calls} == {"Metadata"}


def test_without_validation_no_metadata_is_asked_for(fake: FakeEspo) -> None:
    state = make_state()
    made = run(fake, create_record(state, "Lead", {"lastName": "Lee", "nope": 1}, validate=False))
    run(fake, update_record(state, "Lead", made["id"], {"lastName": "Moe"}, validate=False))
    run(fake, get_record(state, "Lead", made["id"], select=["nope"], validate=False))
    assert fake.count("GET", "Metadata") == 0
    assert state.schemas == {}


@pytest.mark.parametrize("entity_type", [None, "", "../x", "Lead.fields", ["Lead"]])
def test_what_is_no_entity_type_is_refused_before_anything_is_sent(fake: FakeEspo, entity_type: Any) -> None:
    with pytest.raises(EspoInputError, match="entity type"):
        run(fake, checked_schema(make_state(), entity_type, lambda schema: None))
    assert fake.calls == []


async def test_the_asynchronous_client_shares_what_is_known(fake: FakeEspo) -> None:
    state = make_state()
    with over_requests(fake, state) as client:
        client.create_record("Lead", {"lastName": "Lee"})
    async with over_httpx(fake, state) as asynchronous:
        await asynchronous.create_record("Lead", {"lastName": "Moe"})
    assert fake.count("GET", "Metadata") == 1
