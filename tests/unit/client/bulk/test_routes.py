"""The choice of a route as a table."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.bulk.routes import Facts, candidates, check_route, choose, obstacle
from airflow_provider_espo.client.errors import EspoInputError

NEW: dict[str, Any] = {"operation": "upsert", "rows": 500, "importable": 500, "match_by": ("emailAddress",)}
CREATE: dict[str, Any] = {**NEW, "operation": "create", "on_duplicate": "force"}
UPDATE: dict[str, Any] = {"operation": "update", "rows": 500, "match_by": ("id",), "same_values": True}
DELETE: dict[str, Any] = {"operation": "delete", "rows": 500, "match_by": ("id",)}


@pytest.mark.parametrize(
    ("facts", "route", "word"),
    [
        (NEW, "import", "fastest"),
        (CREATE, "import", "fastest"),
        (UPDATE, "mass_action", "fastest"),
        (DELETE, "mass_action", "fastest"),
        # Too few to pay for it.
        ({**NEW, "rows": 199, "importable": 199}, "records", "too few"),
        ({**NEW, "importable": 199}, "records", "199 of 500"),
        ({**UPDATE, "rows": 19}, "records", "too few"),
        ({**DELETE, "rows": 19}, "records", "too few"),
        # An import would do otherwise than was meant.
        ({**CREATE, "on_duplicate": "fail"}, "records", "duplicates"),
        ({**CREATE, "on_duplicate": "skip"}, "records", "duplicates"),
        ({**CREATE, "match_by": ()}, "records", "match_by"),
        ({**NEW, "not_importable": ("teamsIds",)}, "records", "teamsIds"),
        ({**NEW, "key_importable": False}, "records", "emailAddress"),
        ({**NEW, "may_import": False}, "records", "Import"),
        ({**NEW, "known": False}, "records", "validate"),
        # So would a mass action.
        ({**UPDATE, "same_values": False}, "records", "different"),
        ({**UPDATE, "values_listed": False}, "records", "lists"),
        ({**UPDATE, "known": False}, "records", "lists"),
        ({**UPDATE, "match_by": ("emailAddress",)}, "records", "ids"),
        ({**UPDATE, "may_mass": False}, "records", "right"),
        ({**DELETE, "may_mass": False}, "records", "right"),
        # What is deleted need not be seen in lists, nor be the same.
        ({**DELETE, "same_values": False, "values_listed": False, "known": False}, "mass_action", "fastest"),
    ],
)
def test_auto_goes_the_fastest_way_that_does_what_is_meant_and_says_why(
    facts: dict[str, Any], route: str, word: str
) -> None:
    choice = choose("auto", Facts(**facts))
    assert choice.route == route
    assert word in choice.why


@pytest.mark.parametrize("facts", [NEW, CREATE, UPDATE, DELETE])
def test_record_by_record_is_always_possible(facts: dict[str, Any]) -> None:
    assert choose("records", Facts(**facts)).route == "records"


@pytest.mark.parametrize(
    ("wanted", "facts", "word"),
    [
        ("import", DELETE, "deletes nothing"),
        ("import", {**CREATE, "on_duplicate": "update"}, "on_duplicate"),
        ("import", {**CREATE, "match_by": ()}, "match_by"),
        ("import", {**NEW, "not_importable": ("teamsIds",)}, "teamsIds"),
        ("mass_action", NEW, "creates nothing"),
        ("mass_action", CREATE, "creates nothing"),
        ("mass_action", {**UPDATE, "same_values": False}, "different values"),
    ],
)
def test_a_route_that_was_asked_for_and_cannot_be_gone_is_an_error_with_the_reason(
    wanted: Any, facts: dict[str, Any], word: str
) -> None:
    with pytest.raises(EspoInputError, match=word):
        choose(wanted, Facts(**facts))


def test_a_route_that_was_asked_for_is_gone_by_few_rows_too() -> None:
    assert choose("import", Facts(**{**NEW, "rows": 1, "importable": 1})).route == "import"
    assert choose("mass_action", Facts(**{**DELETE, "rows": 1})).route == "mass_action"


def test_an_import_may_update_when_asked_to_but_does_not_by_itself() -> None:
    facts = Facts(operation="update", rows=1000, importable=1000, match_by=("id",))
    assert obstacle("import", facts) is None
    assert choose("import", facts).route == "import"
    assert choose("auto", facts).route == "records"


def test_rights_are_only_asked_for_where_they_matter() -> None:
    assert candidates("upsert", "auto", 10) == ()
    assert candidates("upsert", "records", 1000) == ()
    assert candidates("upsert", "auto", 1000) == ("import",)
    assert candidates("delete", "auto", 1000) == ("mass_action",)
    assert candidates("delete", "import", 1) == ("import",)


@pytest.mark.parametrize("route", ["fast", "", None, 5, ["auto"]])
def test_what_is_no_route_is_refused(route: Any) -> None:
    with pytest.raises(EspoInputError, match="route"):
        check_route(route)
