from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoInputError, EspoNotFoundError, EspoUnknownNameError
from airflow_provider_espo.client.operations.listing import count_records, iter_records, list_records, list_related
from tests.unit.client.driving import emitted, make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import FakeEspo

NEW = [{"type": "equals", "attribute": "status", "value": "New"}]


@pytest.fixture
def fake() -> FakeEspo:
    fake = FakeEspo()
    for index in range(7):
        fake.add("Lead", lastName=f"L{index}", status="New" if index % 2 else "Dead")
    return fake


def names(records: list[dict[str, Any]]) -> list[str]:
    return [record["lastName"] for record in records]


# -- filters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [None, [], ()])
def test_no_filter_lists_all_and_sends_no_where(fake: FakeEspo, where: Any) -> None:
    assert len(run(fake, list_records(make_state(), "Lead", where=where))) == 7
    assert len(run(fake, list_records(make_state(), "Lead"))) == 7
    assert all("where" not in call.search for call in fake.seen("GET", "Lead"))


def test_a_filter_goes_as_json_that_keeps_its_types(fake: FakeEspo) -> None:
    assert names(run(fake, list_records(make_state(), "Lead", where=NEW, page_size=2))) == ["L1", "L3", "L5"]
    first, second = fake.seen("GET", "Lead")
    assert set(first.query) == {"searchParams"}
    assert first.search == {"where": NEW, "orderBy": "id", "order": "asc", "maxSize": 2}
    assert second.search["where"][:1] == NEW


def test_all_parts_of_a_search_are_sent_under_espocrms_names(fake: FakeEspo) -> None:
    run(
        fake,
        list_records(
            make_state(),
            "Lead",
            select=["lastName", "status"],
            order_by="lastName",
            order="DESC",
            primary_filter="actual",
            bool_filters=["onlyMy"],
            text_filter="Lee",
            limit=3,
        ),
    )
    (call,) = fake.seen("GET", "Lead")
    assert call.search == {
        "select": ["lastName", "status"],
        "orderBy": "lastName",
        "order": "desc",
        "primaryFilter": "actual",
        "boolFilterList": ["onlyMy"],
        "textFilter": "Lee",
        "maxSize": 3,
        "offset": 0,
    }
    assert call.headers["x-no-total"] == "true"


@pytest.mark.parametrize(
    "options",
    [
        {"limit": -1},
        {"limit": "-1"},
        {"limit": "many"},
        {"limit": 1.5},
        {"limit": True},
        {"page_size": 0},
        {"page_size": 201},
        {"page_size": "x"},
        {"page_size": -5},
        {"page_size": 2.0},
        {"page_size": True},
        {"select": "lastName"},
        {"select": []},
        {"select": [""]},
        {"select": [None]},
        {"bool_filters": "onlyMy"},
        {"order": "up"},
        {"order_by": ""},
        {"order_by": "account.name"},
        {"order_by": ["lastName"]},
        {"text_filter": "  "},
        {"primary_filter": 5},
        {"where": '[{"type": "equals"}]'},
        {"where": {"type": "equals"}},
        {"where": [{"type": "nope", "attribute": "status"}]},
        {"where": [{"type": "in", "attribute": "status", "value": []}]},
    ],
)
@pytest.mark.parametrize("related", [False, True])
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    fake: FakeEspo, options: dict[str, Any], related: bool
) -> None:
    state = make_state()
    listing = (
        list_related(state, "TargetList", "a1", "leads", **options)
        if related
        else list_records(state, "Lead", **options)
    )
    with pytest.raises(EspoInputError):
        run(fake, listing)
    assert fake.calls == []


def test_numbers_that_a_template_rendered_to_text_are_numbers(fake: FakeEspo) -> None:
    assert len(run(fake, list_records(make_state(), "Lead", limit="3", page_size=" 2 "))) == 3  # type: ignore[arg-type]
    assert [call.search["maxSize"] for call in fake.seen("GET", "Lead")] == [2, 1]


@pytest.mark.parametrize("operation", [list_records, count_records])
def test_an_unknown_argument_is_an_error_and_no_filter_that_is_left_out(fake: FakeEspo, operation: Any) -> None:
    with pytest.raises(TypeError, match="wherre"):
        run(fake, operation(make_state(), "Lead", wherre=NEW))
    assert fake.calls == []


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"select": ["lastName", "nope"]}, "nope"),
        ({"select": ["emailAddressData"]}, "lists never have it"),
        ({"order_by": "nope"}, "nope"),
        ({"select": ["teams"]}, "teamsIds"),
    ],
)
def test_names_the_server_does_not_have_are_refused_before_the_list_is_asked_for(
    fake: FakeEspo, options: Any, word: str
) -> None:
    with pytest.raises(EspoUnknownNameError, match=word):
        run(fake, list_records(make_state(), "Lead", **options))
    assert fake.count("GET", "Lead") == 0


def test_a_list_may_be_ordered_by_the_name_of_a_field(fake: FakeEspo) -> None:
    assert len(run(fake, list_records(make_state(), "Contact", order_by="account"))) == 0


def test_nothing_is_asked_about_names_where_none_are_given_or_wanted(fake: FakeEspo) -> None:
    run(fake, list_records(make_state(), "Lead", where=NEW))
    run(fake, list_records(make_state(), "Lead", select=["id"], order_by="id"))
    run(fake, list_records(make_state(), "Lead", select=["nope"], order_by="createdAt", validate=False))
    assert fake.count("GET", "Metadata") == 0


# -- related records -----------------------------------------------------------------------------------------------


@pytest.fixture
def target_list(fake: FakeEspo) -> str:
    record_id = fake.add("TargetList", name="Fair")
    fake.linked[("TargetList", record_id, "leads")] = [record["id"] for record in fake.of("Lead")]
    return record_id


def test_related_records_are_listed_page_by_page(fake: FakeEspo, target_list: str) -> None:
    found = run(fake, list_related(make_state(), "TargetList", target_list, "leads", select=["lastName"], page_size=3))
    assert names(found) == [f"L{index}" for index in range(7)]
    assert [call.path for call in fake.seen("GET", "TargetList")] == [f"TargetList/{target_list}/leads"] * 3


def test_filter_order_and_limit_are_about_the_related_records(fake: FakeEspo, target_list: str) -> None:
    found = run(
        fake,
        list_related(
            make_state(), "TargetList", target_list, "leads", where=NEW, order_by="createdAt", order="desc", limit=2
        ),
    )
    assert names(found) == ["L5", "L3"]


def test_names_are_those_of_the_related_entity_type(fake: FakeEspo, target_list: str) -> None:
    with pytest.raises(EspoUnknownNameError, match="Lead does not have"):
        run(fake, list_related(make_state(), "TargetList", target_list, "leads", select=["name", "nope"]))
    with pytest.raises(EspoUnknownNameError, match="no link 'lead'"):
        run(fake, list_related(make_state(), "TargetList", target_list, "lead"))
    assert fake.count("GET", "TargetList") == 0


def test_a_belongs_to_link_can_be_listed(fake: FakeEspo) -> None:
    contact = fake.add("Contact", lastName="Lee")
    account = fake.add("Account", name="Acme")
    fake.linked[("Contact", contact, "account")] = [account]
    (found,) = run(fake, list_related(make_state(), "Contact", contact, "account", select=["name"]))
    assert found["name"] == "Acme"


def test_paths_that_list_as_a_link_does_without_being_one_are_listed(fake: FakeEspo) -> None:
    lead = fake.of("Lead")[0]["id"]
    operation = list_related(make_state(), "Lead", lead, "followers", limit=5)
    # The fake has no followers; that the request is sent at all is what counts.
    with pytest.raises(EspoNotFoundError):
        run(fake, operation)
    assert fake.count("GET", f"Lead/{lead}/followers") == 1


def test_related_records_of_a_missing_record_are_not_found(fake: FakeEspo) -> None:
    with pytest.raises(EspoNotFoundError):
        run(fake, list_related(make_state(), "TargetList", "0123456789abcdef0", "leads"))


@pytest.mark.parametrize("record_id", [None, "", "../User", "a?b"])
@pytest.mark.parametrize("link", ["leads", "", None, "../x", "leads?x"])
def test_bad_ids_and_links_are_refused_before_anything_is_sent(fake: FakeEspo, record_id: Any, link: Any) -> None:
    with pytest.raises(EspoInputError):
        run(fake, list_related(make_state(), "TargetList", record_id, link))
    assert fake.calls == []


# -- counts --------------------------------------------------------------------------------------------------------


def test_the_server_counts(fake: FakeEspo) -> None:
    assert run(fake, count_records(make_state(), "Lead")) == 7
    assert run(fake, count_records(make_state(), "Lead", where=NEW)) == 3
    assert [call.search["maxSize"] for call in fake.seen("GET", "Lead")] == [0, 0]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_where_the_server_does_not_count_the_ids_are_counted(fake: FakeEspo, count: int) -> None:
    for index in range(count):
        fake.add("Email", name=f"E{index}")
    assert run(fake, count_records(make_state(page_size=3), "Email")) == count
    assert all(call.search.get("select", ["id"]) == ["id"] for call in fake.seen("GET", "Email"))


# -- both clients --------------------------------------------------------------------------------------------------


def test_the_blocking_client_asks_for_a_page_when_it_is_needed(fake: FakeEspo) -> None:
    with over_requests(fake) as client:
        records = client.iter_records("Lead", page_size=2)
        assert next(records)["lastName"] == "L0"
        assert next(records)["lastName"] == "L1"
        assert fake.count("GET", "Lead") == 1
        assert len(list(records)) == 5


async def test_the_asynchronous_client_asks_for_a_page_when_it_is_needed(fake: FakeEspo) -> None:
    async with over_httpx(fake) as client:
        records = client.iter_records("Lead", page_size=2, select=["lastName"])
        found = [(await anext(records))["lastName"], (await anext(records))["lastName"]]
        assert fake.count("GET", "Lead") == 1
        found += [record["lastName"] async for record in records]
        assert found == [f"L{index}" for index in range(7)]
        assert await client.count_records("Lead", where=NEW) == 3


def test_a_page_that_breaks_is_asked_for_again(fake: FakeEspo) -> None:
    fake.fail("GET", "Lead", before=True, times=2)
    with over_requests(fake) as client:
        assert len(client.list_records("Lead", page_size=3)) == 7
    assert emitted(fake, iter_records(make_state(), "Lead", limit=0)) == []
