"""Preflight: everything that is missing in one error, nothing changed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoAuthenticationError, EspoInputError, EspoPreflightError
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.preflight import EspoPreflightOperator
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import Reply
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm


def check(needs: Any = None, *, params: dict[str, Any] | None = None, **given: Any) -> Any:
    return run_task(EspoPreflightOperator(task_id="check", needs=needs, **given), params=params)


def problems(*args: Any, **given: Any) -> list[str]:
    with pytest.raises(EspoPreflightError) as caught:
        check(*args, **given)
    for problem in caught.value.problems:
        assert problem in str(caught.value)
    return caught.value.problems


def test_where_nothing_is_missing_the_report_says_what_is_there(sandbox_crm: SandboxCrm) -> None:
    needs = {
        "Lead": {
            "rights": ["create", "read", "edit", "delete"],
            "attributes": ["lastName", "emailAddress", "accountName"],
            "links": ["targetLists", "meetings"],
            "values": {"status": ["New", "Converted"]},
        },
        "TargetList": {},
    }
    report = check(needs, min_version="8.4", scopes=["Import", "Currency"])
    assert report == {"version": "10.0.0", "user_name": "airflow_key", "user_type": "api", "checked": 15}
    assert {one.method for one in sandbox_crm.sent} == {"GET"}


def test_without_needs_it_checks_that_the_connection_works(sandbox_crm: SandboxCrm, connect: ConnectionSetter) -> None:
    assert check()["checked"] == 0
    connect(password="0" * 32)
    with pytest.raises(EspoAuthenticationError):
        check()


def test_all_problems_come_at_once(sandbox_crm: SandboxCrm) -> None:
    needs = {
        "Leed": {"rights": ["read"]},
        "Lead": {
            "attributes": ["lastName", "cScore"],
            "links": ["targetList", "teams"],
            "values": {"status": ["New", "Hot", "Cold"], "lastName": ["Nowak"], "nope": ["x"]},
        },
        "Role": {"rights": ["edit"]},
    }
    found = problems(needs, min_version="11.2", scopes=["Nonsense"])
    assert [problem.partition(":")[0] for problem in found] == [
        "EspoCRM is 10.0.0, and 11.2 is needed",
        "The user's role does not allow Nonsense",
        "There is no entity type Leed, or the user may not see it",
        found[3].partition(":")[0],
        found[4].partition(":")[0],
        "Lead.status has no value 'Hot', 'Cold'",
        "Lead.lastName has no fixed values",
        "There is no entity type Role, or the user may not see it",
    ]
    assert "cScore" in found[3]
    assert "nope" in found[3]
    assert "targetLists" in found[4]


def test_a_limited_user_is_told_each_right_that_is_missing(sandbox_crm: SandboxCrm, connect: ConnectionSetter) -> None:
    connect(password=sandbox_crm.credentials["limited_api_key"])
    assert problems({"Lead": {"rights": ["read", "create", "edit"]}}, scopes=["Import"]) == [
        "The user's role does not allow Import",
        "The user has no right to create Lead",
        "The user has no right to edit Lead",
    ]


def test_an_administrator_may_do_everything(sandbox_crm: SandboxCrm, connect: ConnectionSetter) -> None:
    connect(
        login=sandbox_crm.credentials["admin_user"],
        password=sandbox_crm.credentials["admin_password"],
        extra={"auth_method": "basic"},
    )
    report = check({"User": {"rights": ["create", "delete"]}}, scopes=["Import", "Webhook"])
    assert report["user_type"] == "admin"


def test_a_field_added_a_minute_ago_is_there(sandbox_crm: SandboxCrm) -> None:
    assert "cScore" in problems({"Lead": {"attributes": ["cScore"]}})[0]
    admin = sandbox_crm.asker.as_user("admin")
    admin.ok("POST", "Admin/fieldManager/Lead", {"name": "cScore", "type": "int"})
    assert check({"Lead": {"attributes": ["cScore"]}})["checked"] == 2


def test_values_that_another_field_has_are_found_there(sandbox_crm: SandboxCrm) -> None:
    fields = {"industry": {"type": "enum", "optionsReference": "Account.industry"}}
    of_account = {"industry": {"type": "enum", "options": ["Finance", "Travel"]}}

    def metadata(sent: Any) -> Any:
        wanted = {"entityDefs.Lead": {"fields": fields}, "entityDefs.Account": {"fields": of_account}}
        return wanted.get(sent.query["key"], Reply())

    sandbox_crm.on("GET", "Metadata", metadata)
    assert check({"Lead": {"values": {"industry": ["Finance"]}}})["checked"] == 2
    assert problems({"Lead": {"values": {"industry": ["Finance", "Mining"]}}}) == [
        "Lead.industry has no value 'Mining'"
    ]


def test_fields_that_refer_to_each_other_end_the_search(sandbox_crm: SandboxCrm) -> None:
    fields = {"industry": {"type": "enum", "optionsReference": "Lead.industry"}}
    sandbox_crm.on("GET", "Metadata", {"fields": fields})
    assert problems({"Lead": {"values": {"industry": ["Finance"]}}}) == ["Lead.industry has no fixed values"]


@pytest.mark.parametrize("least", ["10", "10.0", "10.0.0", "9.9.9", "v10.0", "8"])
def test_a_version_that_is_there_is_enough(sandbox_crm: SandboxCrm, least: str) -> None:
    assert check(min_version=least)["checked"] == 1


@pytest.mark.parametrize(
    ("there", "least"), [("10.0.0", "10.0.1"), ("9.3.4", "10"), ("9.10.0", "9.11"), ("@@version", "8.1")]
)
def test_a_version_that_is_lower_is_not(sandbox_crm: SandboxCrm, there: str, least: str) -> None:
    sandbox_crm.on("GET", "App/about", {"version": there})
    (problem,) = problems(min_version=least)
    assert there in problem
    assert least in problem


def test_a_server_that_does_not_tell_its_version_is_too_old(sandbox_crm: SandboxCrm) -> None:
    sandbox_crm.on("GET", "App/about", Reply(404))
    assert problems(min_version="9.0") == ["The version is not told (EspoCRM before 8.1), and 9.0 is needed"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"needs": ["Lead"]}, "needs is a list"),
        ({"needs": {"../Lead": {}}}, "not an entity type"),
        ({"needs": {"Lead": ["read"]}}, "not of the right form"),
        ({"needs": {"Lead": {"right": ["read"]}}}, "not of the right form"),
        ({"needs": {"Lead": {"rights": ["write"]}}}, "no right write"),
        ({"needs": {"Lead": {"attributes": [1]}}}, "attributes of Lead is not a list of names"),
        ({"needs": {"Lead": {"links": 5}}}, "links of Lead is not a list of names"),
        ({"needs": {"Lead": {"values": ["status"]}}}, "values of Lead is a list"),
        ({"needs": {"Lead": {"values": {"status": 5}}}}, "values of Lead.status"),
        ({"min_version": "new"}, "A version is not one"),
        ({"min_version": 9.1}, "A version is not one"),
        ({"scopes": 5}, "scopes is not a list"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(
    sandbox_crm: SandboxCrm, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(EspoInputError, match=says):
        check(**given)
    assert sandbox_crm.sent == []


def test_one_name_alone_is_no_list_of_letters(sandbox_crm: SandboxCrm) -> None:
    needs = {"Lead": {"rights": "read", "attributes": "lastName", "links": "teams", "values": {"status": "New"}}}
    assert check(needs, scopes="Import")["checked"] == 6


def test_everything_may_be_templated(sandbox_crm: SandboxCrm) -> None:
    params = {"attribute": "cScore", "version": "11.0", "scope": "Nonsense"}
    found = problems(
        {"Lead": {"attributes": ["{{ params.attribute }}"]}},
        min_version="{{ params.version }}",
        scopes=["{{ params.scope }}"],
        params=params,
    )
    assert len(found) == 3


def test_the_hook_has_it_too(sandbox_crm: SandboxCrm) -> None:
    with EspoHook() as hook:
        assert hook.preflight({"Lead": {}})["checked"] == 1
