from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoAmbiguousMatchError,
    EspoApiError,
    EspoError,
    EspoInputError,
    EspoTimeoutError,
    EspoUnknownNameError,
)
from airflow_provider_espo.client.operations.upsert import upsert_record
from airflow_provider_espo.client.wire import Record
from tests.unit.client.driving import make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import Call, FakeEspo

ANN = {"firstName": "Ann", "lastName": "Lee", "emailAddress": "ann@example.com"}


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


def upsert(
    fake: FakeEspo,
    attributes: dict[str, Any],
    match_by: Any = ("emailAddress",),
    entity_type: str = "Lead",
    **more: Any,
) -> Record:
    return run(fake, upsert_record(make_state(), entity_type, attributes, match_by=match_by, **more))


def sent(fake: FakeEspo) -> list[Any]:
    return [call.json for call in fake.calls if call.method in ("POST", "PUT")]


# -- created, updated, unchanged -----------------------------------------------------------------------------------


def test_a_new_key_makes_a_record_a_known_one_is_updated_and_again_is_unchanged(fake: FakeEspo) -> None:
    made = upsert(fake, ANN)
    assert made["action"] == "created"
    changed = upsert(fake, {**ANN, "status": "Dead"})
    assert changed == {"id": made["id"], "action": "updated"}
    assert upsert(fake, {**ANN, "status": "Dead"}) == {"id": made["id"], "action": "unchanged"}
    assert sent(fake) == [ANN, {"status": "Dead"}]
    assert len(fake.of("Lead")) == 1


def test_a_namesake_does_not_stop_it(fake: FakeEspo) -> None:
    namesake = fake.add("Lead", **{**ANN, "emailAddress": "other@example.com"})
    assert upsert(fake, ANN)["action"] == "created"
    assert fake.one("Lead", namesake)["emailAddress"] == "other@example.com"


@pytest.mark.parametrize("spelling", ["ANN@Example.com", " ann@example.com ", "aNN@EXAMPLE.COM"])
def test_letter_case_and_blanks_make_no_other_person(fake: FakeEspo, spelling: str) -> None:
    first = fake.add("Lead", **ANN)
    assert upsert(fake, {**ANN, "emailAddress": spelling}) == {"id": first, "action": "unchanged"}


@pytest.mark.parametrize("address", ["Ann@Example.com", "ÄNN@example.com"])
def test_an_address_is_found_also_by_a_database_that_compares_to_the_letter(fake: FakeEspo, address: str) -> None:
    # EspoCRM keeps each address in lower case too, and that is what a filter is compared with.
    fake.compares_to_the_letter = True
    made = upsert(fake, {**ANN, "emailAddress": address})
    assert upsert(fake, {**ANN, "emailAddress": address}) == {"id": made["id"], "action": "unchanged"}


def test_the_key_itself_is_not_written_to_a_record_that_has_it(fake: FakeEspo) -> None:
    fake.add("Lead", **ANN, accountName="Acme")
    result = upsert(fake, {"accountName": "ACME", "lastName": "Lee", "status": "Dead"}, ["accountName"])
    assert result["action"] == "updated"
    assert sent(fake) == [{"status": "Dead"}]


def test_several_attributes_make_one_key(fake: FakeEspo) -> None:
    fake.add("Lead", **{**ANN, "firstName": "Bea"})
    ann = fake.add("Lead", **ANN)
    by = ["emailAddress", "firstName"]
    assert upsert(fake, {**ANN, "status": "Dead"}, by) == {"id": ann, "action": "updated"}
    assert upsert(fake, {**ANN, "firstName": "Cleo"}, by)["action"] == "created"
    assert len(fake.of("Lead")) == 3


def test_one_name_to_match_by_may_be_a_text(fake: FakeEspo) -> None:
    first = fake.add("Lead", **ANN)
    assert upsert(fake, ANN, "emailAddress") == {"id": first, "action": "unchanged"}


@pytest.mark.parametrize("value", [0, 7])
def test_a_number_may_be_a_key(fake: FakeEspo, value: int) -> None:
    first = fake.add("Lead", lastName="Lee", employees=value)
    assert upsert(fake, {"lastName": "Lee", "employees": str(value)}, ["employees"]) == {
        "id": first,
        "action": "unchanged",
    }


def test_a_phone_number_is_found_in_the_form_the_server_keeps(fake: FakeEspo) -> None:
    made = upsert(fake, {"lastName": "Lee", "phoneNumber": "+49 (30) 12-34"}, ["phoneNumber"])
    assert fake.of("Lead")[0]["phoneNumber"] == "+49301234"
    again = upsert(fake, {"lastName": "Lee", "phoneNumber": "+49 (30) 12-34"}, ["phoneNumber"])
    assert again == {"id": made["id"], "action": "unchanged"}


def test_a_text_with_blanks_around_is_found_in_the_form_the_server_keeps(fake: FakeEspo) -> None:
    made = upsert(fake, {"lastName": " Lee "}, ["lastName"])
    assert upsert(fake, {"lastName": " Lee "}, ["lastName"]) == {"id": made["id"], "action": "unchanged"}


# -- more than one, or nearly one ----------------------------------------------------------------------------------


def test_a_key_that_two_records_have_is_an_error_and_nothing_is_written(fake: FakeEspo) -> None:
    ids = [fake.add("Lead", **ANN), fake.add("Lead", **ANN)]
    with pytest.raises(
        EspoAmbiguousMatchError, match="More than one record of Lead has the same emailAddress"
    ) as caught:
        upsert(fake, {**ANN, "status": "Dead"})
    assert caught.value.record_ids == ids
    assert "ann@" not in str(caught.value)
    assert sent(fake) == []


def test_a_second_address_is_a_match_and_the_first_one_stays(fake: FakeEspo) -> None:
    first = fake.add("Lead", lastName="Lee", _emails=["main@example.com", "ann@example.com"])
    assert upsert(fake, {**ANN, "status": "Dead"}) == {"id": first, "action": "updated"}
    assert fake.one("Lead", first)["emailAddress"] == "main@example.com"
    assert sent(fake) == [{"firstName": "Ann", "status": "Dead"}]


def test_one_record_with_the_address_first_and_one_with_it_second_are_two(fake: FakeEspo) -> None:
    fake.add("Lead", **ANN)
    fake.add("Lead", lastName="Lee", _emails=["main@example.com", "ann@example.com"])
    with pytest.raises(EspoAmbiguousMatchError):
        upsert(fake, {**ANN, "status": "Dead"})
    assert sent(fake) == []


def test_a_key_that_very_many_records_have_is_found_out_with_one_page(fake: FakeEspo) -> None:
    for index in range(450):
        fake.add("Lead", lastName=f"L{index}", status="New")
    with pytest.raises(EspoAmbiguousMatchError):
        upsert(fake, {"lastName": "Lee", "status": "New"}, ["status"])
    assert fake.count("GET", "Lead") == 1


# -- accents -------------------------------------------------------------------------------------------------------


def test_accents_make_another_person_although_the_database_takes_them_for_the_same(fake: FakeEspo) -> None:
    other = fake.add("Lead", lastName="Müller", status="New")
    made = upsert(fake, {"lastName": "Muller", "status": "Dead"}, ["lastName"])
    assert made["action"] == "created"
    assert fake.one("Lead", other)["status"] == "New"
    for _ in range(3):
        assert upsert(fake, {"lastName": "Muller", "status": "Dead"}, ["lastName"]) == {
            "id": made["id"],
            "action": "unchanged",
        }
    assert len(fake.of("Lead")) == 2


def test_the_right_one_is_found_behind_hundreds_that_the_database_takes_for_the_same(fake: FakeEspo) -> None:
    for _ in range(410):
        fake.add("Lead", lastName="Müller")
    right = fake.add("Lead", lastName="Muller")
    assert upsert(fake, {"lastName": "muller"}, ["lastName"]) == {"id": right, "action": "unchanged"}


def test_an_address_the_database_takes_for_another_is_an_error_because_it_could_never_be_stored(fake: FakeEspo) -> None:
    other = fake.add("Lead", lastName="Müller", emailAddress="müller@example.com")
    for _ in range(2):
        with pytest.raises(EspoAmbiguousMatchError, match="written otherwise") as caught:
            upsert(fake, {"lastName": "Muller", "emailAddress": "muller@example.com"})
        assert caught.value.record_ids == [other]
    assert sent(fake) == []
    assert len(fake.of("Lead")) == 1


def test_the_record_that_has_the_address_to_the_letter_goes_before_the_one_that_nearly_has_it(fake: FakeEspo) -> None:
    fake.add("Lead", lastName="Müller", emailAddress="müller@example.com")
    right = fake.add("Lead", lastName="Muller", emailAddress="muller@example.com")
    assert upsert(fake, {"lastName": "Muller", "emailAddress": "muller@example.com"})["id"] == right


def test_where_the_addresses_are_hidden_the_servers_word_counts(fake: FakeEspo) -> None:
    first = fake.add("Lead", lastName="Lee", _emails=["main@example.com", "ann@example.com"])
    stored = fake.records["Lead"][first]

    def hide(call: Call) -> None:
        if call.path == f"Lead/{first}":
            stored.pop("_emails", None)

    fake.before_each = hide
    assert upsert(fake, {"emailAddress": "ann@example.com", "lastName": "Lee"}) == {"id": first, "action": "unchanged"}


# -- comparing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [9_999, 10_000, 10_001, 30_000])
def test_long_texts_are_compared_on_the_whole_record(fake: FakeEspo, length: int) -> None:
    text = "x" * length
    first = fake.add("Lead", **ANN, description=text)
    assert upsert(fake, {**ANN, "description": text}) == {"id": first, "action": "unchanged"}
    fake.records["Lead"][first]["description"] = text + "y" * 20_000
    assert upsert(fake, {**ANN, "description": text})["action"] == "updated"


def test_attributes_that_lists_lack_are_compared_on_the_whole_record(fake: FakeEspo) -> None:
    data = [{"emailAddress": "ann@example.com", "primary": True}, {"emailAddress": "b@example.com", "primary": False}]
    first = fake.add("Lead", lastName="Lee", _emails=["ann@example.com", "b@example.com"], teamsIds=["a", "b"])
    wanted = {"emailAddress": "ann@example.com", "emailAddressData": data, "teamsIds": ["b", "a"]}
    assert upsert(fake, wanted) == {"id": first, "action": "unchanged"}
    assert sent(fake) == []


def test_what_can_be_set_on_creation_only_is_left_out_of_an_update(fake: FakeEspo) -> None:
    made = upsert(fake, {**ANN, "importKey": "k1"})
    assert fake.one("Lead", made["id"])["importKey"] == "k1"
    assert upsert(fake, {**ANN, "importKey": "k2"})["action"] == "unchanged"


# -- lost answers and races ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [{}, {"timed_out": True}, {"status": 502}, {"status": 500}])
def test_a_lost_answer_makes_no_second_record(fake: FakeEspo, lost: dict[str, Any]) -> None:
    fake.fail("POST", "Lead", **lost)
    made = upsert(fake, ANN)
    assert made == {"id": fake.of("Lead")[0]["id"], "action": "created"}
    assert fake.count("POST") == 1
    # The key says it all: nobody has to be asked who one is.
    assert fake.count("GET", "App/user") == 0


def test_what_was_not_done_is_done_once(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead", before=True)
    assert upsert(fake, ANN)["action"] == "created"
    assert len(fake.of("Lead")) == 1


def test_after_a_time_out_that_left_nothing_it_is_not_sent_again(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead", before=True, timed_out=True)
    with pytest.raises(EspoTimeoutError, match="not there when looked for"):
        upsert(fake, ANN)
    assert fake.count("POST") == 1


def test_somebody_who_was_faster_gets_the_values_too(fake: FakeEspo) -> None:
    def faster(call: Call) -> None:
        if call.method == "POST" and not fake.of("Lead"):
            fake.add("Lead", **ANN, status="New")

    fake.before_each = faster
    fake.fail("POST", "Lead", before=True)
    result = upsert(fake, {**ANN, "status": "Dead"})
    assert result == {"id": fake.of("Lead")[0]["id"], "action": "updated"}
    assert [one["status"] for one in fake.of("Lead")] == ["Dead"]


def test_a_record_that_is_deleted_between_look_and_write_is_made_anew(fake: FakeEspo) -> None:
    first = fake.add("Lead", **ANN)

    def delete(call: Call) -> None:
        if call.method == "PUT":
            fake.records["Lead"].pop(first, None)

    fake.before_each = delete
    made = upsert(fake, {**ANN, "status": "Dead"})
    assert made["action"] == "created"
    assert [one["status"] for one in fake.of("Lead")] == ["Dead"]


def test_a_key_that_the_server_stores_otherwise_is_an_error_because_each_run_would_make_one_more(
    fake: FakeEspo,
) -> None:
    def script(record: Record) -> None:
        record["accountName"] = "Acme Inc."

    fake.on_save = script
    with pytest.raises(EspoApiError, match="stored another accountName than was sent") as caught:
        upsert(fake, {"lastName": "Lee", "accountName": "Acme"}, ["accountName"])
    assert str(fake.of("Lead")[0]["id"]) in str(caught.value)
    assert "Acme" not in str(caught.value)


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "  ", [], ["a@example.com"], {}, {"a": 1}])
def test_an_empty_key_is_refused_before_anything_is_sent(fake: FakeEspo, value: Any) -> None:
    fake.add("Lead", lastName="Lee")
    with pytest.raises(EspoInputError, match="No usable value for emailAddress"):
        upsert(fake, {**ANN, "emailAddress": value})
    with pytest.raises(EspoInputError, match="No usable value for emailAddress"):
        upsert(fake, {"lastName": "Lee"})
    assert fake.calls == []


@pytest.mark.parametrize("match_by", [[], "", None, 5, [None], [""], {"emailAddress"}])
def test_names_that_are_none_are_refused_before_anything_is_sent(fake: FakeEspo, match_by: Any) -> None:
    with pytest.raises(EspoInputError, match="match_by"):
        upsert(fake, ANN, match_by)
    assert fake.calls == []


def test_unknown_names_are_refused_before_anything_is_looked_up(fake: FakeEspo) -> None:
    with pytest.raises(EspoUnknownNameError, match="nope"):
        upsert(fake, {**ANN, "nope": "x"})
    with pytest.raises(EspoUnknownNameError, match="id"):
        upsert(fake, {**ANN, "id": "x"})
    assert fake.count("GET", "Lead") == fake.count("POST") == 0


def test_without_validation_nothing_is_asked_about_names(fake: FakeEspo) -> None:
    assert upsert(fake, ANN, validate=False)["action"] == "created"
    assert upsert(fake, {**ANN, "emailAddress": "ANN@example.com"}, validate=False)["action"] == "unchanged"
    assert fake.count("GET", "Metadata") == 0


def test_a_small_page_limit_of_the_server_does_not_stop_it(fake: FakeEspo) -> None:
    fake.max_size_limit = 20
    assert upsert(fake, ANN)["action"] == "created"
    assert upsert(fake, ANN)["action"] == "unchanged"


# -- both clients --------------------------------------------------------------------------------------------------


def test_the_blocking_client_makes_one_record_of_a_lost_answer(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead")
    with over_requests(fake) as client:
        assert client.upsert_record("Lead", ANN, match_by=["emailAddress"])["action"] == "created"
    assert len(fake.of("Lead")) == 1


async def test_the_asynchronous_client_makes_one_record_of_a_lost_answer(fake: FakeEspo) -> None:
    fake.fail("POST", "Lead")
    async with over_httpx(fake) as client:
        assert (await client.upsert_record("Lead", ANN, match_by=["emailAddress"]))["action"] == "created"
        with pytest.raises(EspoError):
            await client.upsert_record("Lead", ANN, match_by=[])
    assert len(fake.of("Lead")) == 1
