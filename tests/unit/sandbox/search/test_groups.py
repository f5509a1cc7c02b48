"""Groups of items, and items that are malformed or forbidden."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search import SearchParams
from tests.unit.sandbox.search.crm import Crm, Refused, item


@pytest.fixture
def leads(crm: Crm) -> Crm:
    """Three leads."""
    crm.add("Lead", "a", lastName="A", status="New", source="Call", opportunityAmount=0.0)
    crm.add("Lead", "b", lastName="B", status="Assigned", source="Call", opportunityAmount=5.0)
    crm.add("Lead", "c", lastName="C", status="New")
    return crm


NEW = item("equals", "status", "New")
CALL = item("equals", "source", "Call")


def test_items_are_joined_by_and(leads: Crm) -> None:
    assert leads.where("Lead", NEW, CALL) == "a"
    assert leads.where("Lead") == "a b c"


def test_groups_within_groups(leads: Crm) -> None:
    assert leads.where("Lead", item("or", value=[NEW, CALL])) == "a b c"
    assert leads.where("Lead", item("and", value=[NEW, CALL])) == "a"
    last = item("equals", "lastName", "C")
    assert leads.where("Lead", item("or", value=[item("and", value=[NEW, CALL]), last])) == "a c"


@pytest.mark.parametrize("group", ["and", "or"])
def test_an_empty_group_is_no_condition(leads: Crm, group: str) -> None:
    assert leads.where("Lead", item(group)) == "a b c"
    assert leads.where("Lead", {"type": group, "value": []}) == "a b c"
    assert leads.where("Lead", item("or", value=[{"type": group, "value": []}, NEW])) == "a c"


def test_a_zero_that_is_text_gets_lost_in_a_group(leads: Crm) -> None:
    def in_group(value: Any) -> str:
        return leads.where("Lead", item("or", value=[item("equals", "opportunityAmount", value), NEW]))

    assert leads.where("Lead", item("equals", "opportunityAmount", "0")) == "a"
    assert leads.where("Lead", item("or", value=[item("equals", "opportunityAmount", "5")])) == "b"
    assert leads.where("Lead", item("or", value=[item("equals", "opportunityAmount", "0")])) == "a b c"
    assert in_group("0") == "a c"
    assert leads.where("Lead", item("and", value=[item("equals", "opportunityAmount", 0), NEW])) == "a"
    assert leads.where("Lead", item("and", value=[item("equals", "opportunityAmount", "0"), NEW])) == "a c"


def test_an_empty_list_gets_lost_in_a_group(leads: Crm) -> None:
    nothing = {"type": "in", "attribute": "status", "value": []}
    assert leads.where("Lead", nothing) == ""
    assert leads.where("Lead", item("and", value=[nothing, CALL])) == "a b"


def test_null_and_empty_texts_do_not_get_lost(leads: Crm) -> None:
    assert leads.where("Lead", item("and", value=[item("isNull", "source"), NEW])) == "c"
    assert leads.where("Lead", item("and", value=[{"type": "equals", "attribute": "source", "value": ""}])) == ""


def test_field_is_another_name_for_attribute(leads: Crm) -> None:
    assert leads.where("Lead", {"type": "equals", "field": "source", "value": "Call"}) == "a b"


@pytest.mark.parametrize(
    ("bad", "refusal"),
    [
        (item("nope", "status", "x"), (400, "Unknown where item type 'nope'.")),
        (item("equals", "nope", "x"), (400, "Not existing attribute 'nope' in where.")),
        (item("nope", "nope"), (400, "Not existing attribute 'nope' in where.")),
        (item("linkedWith", "nope", ["x"]), (400, "Not existing relation 'nope' in where.")),
        (item("equals", "account.name", "x"), (400, "Complex expressions are forbidden in where.")),
        (item("equals", "MONTH:(createdAt)", "1"), (400, "Complex expressions are forbidden in where.")),
        (item("equals", "'x'", "x"), (400, "Complex expressions are forbidden in where.")),
        (item("equals", "null", "x"), (400, "Complex expressions are forbidden in where.")),
        (item("expression", "EQUAL:(status, 'New')"), (400, "Complex expressions are forbidden in where.")),
        (item("not", value=[NEW]), (400, "Sub-queries are forbidden in where.")),
        (item("subQueryIn", value=[NEW]), (400, "Sub-queries are forbidden in where.")),
        (item("subQueryNotIn", "status", [NEW]), (400, "Sub-queries are forbidden in where.")),
        ({**NEW, "nope": 1}, (500, None)),
        ({"type": "equals", "value": "x"}, (500, None)),
        ({"attribute": "status", "value": "x"}, (500, None)),
        ({"type": "or", "value": "x"}, (500, None)),
        ({"type": "or", "value": {"3": NEW}}, (500, None)),
        ("x", (500, None)),
        ({"type": ["equals"], "attribute": "status"}, (500, None)),
        ({"type": "equals", "attribute": ["status"]}, (500, None)),
        (item("currentMonth"), (500, None)),
    ],
)
@pytest.mark.parametrize("within", ["top", "or", "and"])
def test_bad_items(leads: Crm, bad: Any, refusal: tuple[int, str | None], within: str, refused: Refused) -> None:
    where = bad if within == "top" else item(within, value=[NEW, bad])
    assert refused(leads.where, "Lead", where) == refusal


def test_items_of_the_wrong_type_are_refused_by_the_framework(leads: Crm) -> None:
    from airflow_provider_espo.sandbox.errors import ApiError

    with pytest.raises(ApiError) as caught:
        leads.where("Lead", "x")
    assert caught.value.body == {"message": "Slim Application Error"}


def test_an_expression_that_is_an_attribute(leads: Crm) -> None:
    assert leads.where("Lead", item("expression", "opportunityAmount")) == "b"


def test_keys_of_a_group_count_those_at_the_top_do_not(leads: Crm, refused: Refused) -> None:
    def find(query: str) -> int:
        return leads.find("Lead", SearchParams.from_query(php.parse_query(query))).total

    assert find("where[3][type]=equals&where[3][attribute]=source&where[3][value]=Call") == 2
    inner = "where[0][type]=or&where[0][value][1][type]=isNull&where[0][value][1][attribute]=source"
    assert refused(find, inner) == (500, None)


def test_secrets_cannot_be_searched(crm: Crm, refused: Refused) -> None:
    bad = item("isNotNull", "password")
    assert refused(crm.where, "User", bad) == (400, "Forbidden attribute 'password' in where.")
    assert refused(crm.where, "Lead", bad) == (400, "Not existing attribute 'password' in where.")
