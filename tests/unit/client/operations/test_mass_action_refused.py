"""Mass actions that are refused before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoUnknownNameError,
)
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.where import contains, equals
from tests.unit.sandbox_crm import SandboxCrm

GONE = "0123456789abcdef0"
EMPTY_AND: dict[str, Any] = {"type": "and", "value": []}


@pytest.fixture
def hook(sandbox_crm: SandboxCrm) -> EspoHook:
    return EspoHook()


def leads(crm: SandboxCrm, count: int = 3, **values: Any) -> list[str]:
    made = [crm.asker.create("Lead", **{"lastName": f"L{index}", "status": "New", **values}) for index in range(count)]
    return [one["id"] for one in made]


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"where": []},
        {"where": [{"type": "or", "value": []}]},
        {"where": [EMPTY_AND]},
        {"where": [{"type": "any", "attribute": "id"}]},
        {"where": [{"type": "or", "value": [equals("status", "New"), EMPTY_AND]}]},
        {"where": [contains("lastName", "%")]},
        {"where": [{"type": "isNotNull", "attribute": "id"}]},
        {"bool_filters": []},
        {"text_filter": "%"},
        {"text_filter": " * "},
        {"where": [], "bool_filters": []},
        {"where": None, "primary_filter": None},
        {"all_records": False},
        {"all_records": "yes"},
    ],
)
def test_a_filter_that_leaves_no_record_out_is_refused(
    sandbox_crm: SandboxCrm, hook: EspoHook, what: dict[str, Any]
) -> None:
    leads(sandbox_crm)
    with pytest.raises(EspoInputError, match="all_records=True"):
        hook.mass_delete("Lead", **what)
    assert sandbox_crm.sent == []


@pytest.mark.parametrize(
    "what",
    [
        {"ids": [GONE], "where": [equals("status", "New")]},
        {"ids": [GONE], "text_filter": "x"},
        {"ids": [], "all_records": True},
        {"ids": {GONE}},
        {"ids": 5},
        {"ids": ["../Account"]},
        {"ids": [""]},
        {"ids": [None]},
        {"where": "[]"},
        {"where": [{"type": "equal", "attribute": "status", "value": "New"}]},
        {"where": [equals("status", "New")], "max_records": -1},
        {"where": [equals("status", "New")], "max_records": "5"},
        {"where": [equals("status", "New")], "on_shortfall": "ignore"},
        {"ids": ["a" * 17] * 2 + [f"{index:017x}" for index in range(1000)], "background": True},
    ],
)
def test_contradictions_and_malformed_arguments_are_refused_before_anything_is_sent(
    sandbox_crm: SandboxCrm, hook: EspoHook, what: dict[str, Any]
) -> None:
    with pytest.raises(EspoInputError):
        hook.mass_delete("Lead", **what)
    assert sandbox_crm.sent == []


def test_an_argument_nobody_knows_is_refused(hook: EspoHook) -> None:
    with pytest.raises(TypeError, match="max_record"):
        hook.mass_delete("Lead", where=[equals("status", "New")], max_record=5)  # type: ignore[call-arg]


def test_more_records_than_allowed_are_not_touched(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    leads(sandbox_crm)
    where = [equals("status", "New")]
    with pytest.raises(EspoInputError, match="3 records of Lead are meant, more than max_records \\(2\\)"):
        hook.mass_update("Lead", {"status": "Dead"}, where=where, max_records=2)
    assert hook.mass_update("Lead", {"status": "Dead"}, where=where, max_records=3)["count"] == 3


def test_a_dry_run_counts_and_changes_nothing(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm, 130)
    by_filter = hook.mass_delete("Lead", where=[equals("status", "New")], dry_run=True)
    assert by_filter == {"count": 130, "ids": sorted(ids)[:100], "dry_run": True}
    by_ids = hook.mass_delete("Lead", ids=[ids[0], GONE], dry_run=True)
    assert by_ids == {"count": 1, "ids": [ids[0]], "dry_run": True}
    assert sandbox_crm.posts("MassAction") == []


@pytest.mark.parametrize("attributes", [{"stauts": "Dead"}, {"createdAt": "2026-01-01 00:00:00"}, {"account": "x"}])
def test_attributes_that_would_be_dropped_are_refused(
    sandbox_crm: SandboxCrm, hook: EspoHook, attributes: dict[str, Any]
) -> None:
    with pytest.raises(EspoUnknownNameError):
        hook.mass_update("Lead", attributes, ids=leads(sandbox_crm, 1))
    assert sandbox_crm.posts("MassAction") == []


@pytest.mark.parametrize(
    ("attributes", "link_actions"),
    [
        ({}, None),
        ("status", None),
        ({"doNotCall": "perhaps"}, None),
        ({"status": "Dead"}, {"teamsIds": "add"}),
        ({"status": "Dead"}, {"status": "add"}),
        ({"teamsIds": ["65a1b2c3d4e5f6001"]}, {"teamsIds": "insert"}),
    ],
)
def test_values_that_make_no_sense_are_refused(
    sandbox_crm: SandboxCrm, hook: EspoHook, attributes: Any, link_actions: Any
) -> None:
    with pytest.raises(EspoInputError):
        hook.mass_update("Lead", attributes, link_actions=link_actions, ids=leads(sandbox_crm, 1))
    assert sandbox_crm.posts("MassAction") == []


@pytest.mark.parametrize("background", [False, True])
def test_an_unknown_action_is_refused_with_the_nearest_name(
    sandbox_crm: SandboxCrm, hook: EspoHook, background: bool
) -> None:
    with pytest.raises(EspoUnknownNameError, match=r"'convert_currency'.*convertCurrency"):
        hook.mass_action("Lead", "convert_currency", ids=[GONE], background=background)
    assert sandbox_crm.posts("MassAction") == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("app.massActions", {"update": {}, "score": {}}),
        ("recordDefs.Lead.massActions", {"score": {"allowed": True}}),
        ("clientDefs.Lead.massActionDefs", {"score": {"label": "Score"}}),
        ("clientDefs.Lead.massActionList", ["__APPEND__", "score"]),
    ],
)
def test_an_extensions_action_is_known_by_the_metadata(
    sandbox_crm: SandboxCrm, hook: EspoHook, key: str, value: Any
) -> None:
    sandbox_crm.on("GET", "Metadata", lambda sent: value if sent.query["key"] == key else {})
    sandbox_crm.on("POST", "MassAction", {"count": 1, "ids": [GONE]})
    assert hook.mass_action("Lead", "score", ids=[GONE])["count"] == 1


def test_a_name_may_go_unchecked(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    (lead,) = leads(sandbox_crm, 1)
    with pytest.raises(EspoError, match="Mass action 'score' not found"):
        hook.mass_action("Lead", "score", ids=[lead], validate=False)


@pytest.mark.parametrize("action", ["", "a/b", "../x", None])
def test_what_is_no_name_of_an_action_is_refused(sandbox_crm: SandboxCrm, hook: EspoHook, action: Any) -> None:
    with pytest.raises(EspoInputError):
        hook.mass_action("Lead", action, ids=[GONE])
    assert sandbox_crm.sent == []


def test_records_of_a_type_without_locking_are_not_locked(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    with pytest.raises(EspoUnknownNameError, match="Opportunity cannot be locked"):
        hook.mass_action("Opportunity", "lock", ids=[GONE], background=True)
    assert sandbox_crm.posts("MassAction") == []


@pytest.mark.parametrize("data", [None, {}, {"targetCurrency": ""}, {"targetCurrency": "XXX"}])
def test_a_conversion_into_no_currency_is_refused(sandbox_crm: SandboxCrm, hook: EspoHook, data: Any) -> None:
    with pytest.raises(EspoInputError, match="urrency"):
        hook.mass_action("Opportunity", "convertCurrency", data=data, ids=[GONE], background=True)
    assert sandbox_crm.posts("MassAction") == []


def test_formulas_are_recalculated_for_administrators_only(
    sandbox_crm: SandboxCrm, hook: EspoHook, connect: Any
) -> None:
    ids = leads(sandbox_crm)
    for background in (False, True):
        with pytest.raises(EspoForbiddenError, match="for administrators"):
            hook.mass_action("Lead", "recalculateFormula", ids=ids, background=background)
    assert sandbox_crm.posts("MassAction") == []
    made = sandbox_crm.credentials
    connect("admin", login=made["admin_user"], password=made["admin_password"], extra={"auth_method": "basic"})
    assert EspoHook("admin").mass_action("Lead", "recalculateFormula", ids=ids)["count"] == 3


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("mass_update", {"attributes": {"status": "Dead"}, "ids": [GONE]}),
        ("mass_delete", {"where": [equals("status", "New")]}),
    ],
)
def test_a_background_job_that_would_fail_for_want_of_rights_is_not_started(
    sandbox_crm: SandboxCrm, connect: Any, method: str, options: dict[str, Any]
) -> None:
    leads(sandbox_crm)
    made = sandbox_crm.credentials
    connect("sales", login=made["sales_user"], password=made["sales_password"], extra={"auth_method": "basic"})
    with pytest.raises(EspoForbiddenError, match="mass update"):
        getattr(EspoHook("sales"), method)("Lead", background=True, **options)
    connect("limited", password=made["limited_api_key"])
    with pytest.raises(EspoForbiddenError):
        getattr(EspoHook("limited"), method)("Lead", background=True, **options)
    assert sandbox_crm.posts("MassAction") == []
