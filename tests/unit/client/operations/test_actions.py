"""Actions on one record, and linking by a filter: what is sent, and what comes of each answer."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import (
    EspoForbiddenError,
    EspoInputError,
    EspoNothingDoneError,
    EspoServerError,
    EspoUnknownNameError,
)
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.where import equals
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import LEAD, Crm, Lost, refusal
from tests.unit.sandbox_crm import SandboxCrm

OTHER = "6746d1f3a0b1c2d3f"
TEMPLATE = "6746d1f3a0b1c2d40"
CONFIG = ClientConfig(site_url=Crm.url, secret="key", max_retries=0)


def sent(crm: Crm) -> list[tuple[str, str, Any]]:
    return [(one.method, one.path, one.json) for one in crm.sent if one.method != "GET"]


# --- requests


def test_an_action_says_which_record_and_what_it_needs(crm: Crm) -> None:
    crm.on("POST", "Action", {"id": LEAD, "amount": 1})
    with EspoClient(CONFIG) as client:
        assert client.run_action("Lead", LEAD, "convertCurrency", {"targetCurrency": "EUR"}) == {
            "id": LEAD,
            "amount": 1,
        }
    body = {"entityType": "Lead", "action": "convertCurrency", "id": LEAD, "data": {"targetCurrency": "EUR"}}
    assert sent(crm) == [("POST", "Action", body)]


@pytest.mark.parametrize(("action", "times"), [("lock", 2), ("unlock", 2), ("convertCurrency", 2), ("explode", 1)])
def test_only_what_does_no_harm_twice_is_sent_twice(
    crm: Crm, connect: ConnectionSetter, action: str, times: int
) -> None:
    connect(extra={"max_retries": 1})
    crm.on("POST", "Action", Lost)
    with EspoHook() as hook, pytest.raises(Exception, match="Action"):
        hook.run_action("Lead", LEAD, action)
    assert len(crm.calls("POST")) == times


def test_records_are_printed_to_one_file(crm: Crm) -> None:
    crm.on("POST", "Pdf/action/massPrint", {"id": "a1"})
    with EspoClient(CONFIG) as client:
        assert client.print_pdf("Lead", [LEAD, OTHER], TEMPLATE) == {"attachment_id": "a1"}
    body = {"entityType": "Lead", "idList": [LEAD, OTHER], "templateId": TEMPLATE}
    assert sent(crm) == [("POST", "Pdf/action/massPrint", body)]


@pytest.mark.parametrize(
    "given", [("Lead", [], TEMPLATE), ("Lead", ["../x"], TEMPLATE), ("Lead", [LEAD], ""), ("../Lead", [LEAD], TEMPLATE)]
)
def test_what_cannot_be_printed_is_not_sent(crm: Crm, given: Any) -> None:
    with EspoClient(CONFIG) as client, pytest.raises(EspoInputError):
        client.print_pdf(*given)
    assert crm.sent == []


def test_an_opt_out_that_did_nothing_is_an_error(crm: Crm) -> None:
    crm.on("POST", "TargetList/action/optOut", False)
    with EspoClient(CONFIG) as client, pytest.raises(EspoNothingDoneError):
        client.opt_out(OTHER, "Lead", LEAD)


# --- on the sandbox


def leads(crm: SandboxCrm, *names: str) -> list[str]:
    return [crm.asker.create("Lead", lastName=name)["id"] for name in names]


def target_list(crm: SandboxCrm) -> str:
    return str(crm.asker.create("TargetList", name="Fair")["id"])


def linked(crm: SandboxCrm, list_id: str) -> list[str]:
    return sorted(one["lastName"] for one in crm.asker.ok("GET", f"TargetList/{list_id}/leads")["list"])


def test_a_target_is_opted_out_and_in_again(sandbox_crm: SandboxCrm) -> None:
    (lead,), fair = leads(sandbox_crm, "Nowak"), target_list(sandbox_crm)
    sandbox_crm.asker.ok("POST", f"TargetList/{fair}/leads", {"id": lead})
    with EspoHook() as hook:
        for _ in range(2):
            assert hook.opt_out(fair, "Lead", lead) == {"id": lead, "action": "opted_out"}
        assert [one["id"] for one in sandbox_crm.asker.ok("GET", f"TargetList/{fair}/optedOut")["list"]] == [lead]
        assert hook.opt_out(fair, "Lead", lead, cancel=True) == {"id": lead, "action": "opted_in"}
    assert sandbox_crm.asker.ok("GET", f"TargetList/{fair}/optedOut")["list"] == []


def test_a_formula_runs_and_one_that_fails_is_an_error(sandbox_crm: SandboxCrm, connect: ConnectionSetter) -> None:
    (lead,) = leads(sandbox_crm, "Nowak")
    user, password = sandbox_crm.credentials["admin_user"], sandbox_crm.credentials["admin_password"]
    connect(login=user, password=password, extra={"auth_method": "basic"})
    with EspoHook() as hook:
        assert hook.run_formula("output\\printLine('hello')") == {"output": "hello"}
        hook.run_formula("status = 'Dead'", entity_type="Lead", record_id=lead)
        assert sandbox_crm.asker.read("Lead", lead)["status"] == "Dead"
        with pytest.raises(EspoInputError, match="syntax error: Incorrect parentheses"):
            hook.run_formula("ifThen(")
        with pytest.raises(EspoInputError, match=r"failed: Unknown function"):
            hook.run_formula("nope\\nope()")
        for given in ({"entity_type": "Lead"}, {"record_id": lead}):
            with pytest.raises(EspoInputError, match="entity_type and record_id"):
                hook.run_formula("1 + 2", **given)
        with pytest.raises(EspoInputError, match="no expression"):
            hook.run_formula(" ")


def test_an_api_user_is_told_that_formulas_are_for_administrators(sandbox_crm: SandboxCrm) -> None:
    with EspoHook() as hook, pytest.raises(EspoForbiddenError, match="API users never are"):
        hook.run_formula("1 + 2")


def test_what_matches_is_linked_and_nothing_else(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm, "A", "A", "B")
    fair = target_list(sandbox_crm)
    with EspoHook() as hook:
        for _ in range(2):
            assert hook.link_matching("TargetList", fair, "leads", where=[equals("lastName", "A")]) == {"linked": 2}
        assert linked(sandbox_crm, fair) == ["A", "A"]
        assert hook.link_matching("TargetList", fair, "leads", where=[equals("lastName", "C")]) == {"linked": 0}


def test_where_nothing_matches_nothing_is_sent(sandbox_crm: SandboxCrm) -> None:
    fair = target_list(sandbox_crm)
    with EspoHook() as hook:
        hook.link_matching("TargetList", fair, "leads", where=[equals("lastName", "C")])
        assert hook.link_matching("TargetList", fair, "leads", all_records=True) == {"linked": 0}
    assert sandbox_crm.calls("POST") == []


def test_a_primary_filter_is_one_too(sandbox_crm: SandboxCrm) -> None:
    one, _ = leads(sandbox_crm, "A", "B")
    sandbox_crm.asker.ok("PUT", f"Lead/{one}", {"status": "Dead"})
    fair = target_list(sandbox_crm)
    with EspoHook() as hook:
        assert hook.link_matching("TargetList", fair, "leads", primary_filter="actual") == {"linked": 1}
    assert linked(sandbox_crm, fair) == ["B"]


ALL = {"type": "and", "value": []}


@pytest.mark.parametrize(
    "where", [None, [], [{"type": "any", "attribute": "id"}], [ALL], [{"type": "or", "value": [ALL, ALL]}]]
)
def test_a_filter_that_leaves_nothing_out_has_to_be_meant(sandbox_crm: SandboxCrm, where: Any) -> None:
    leads(sandbox_crm, "A", "B")
    fair = target_list(sandbox_crm)
    with EspoHook() as hook:
        with pytest.raises(EspoInputError, match="matches every record"):
            hook.link_matching("TargetList", fair, "leads", where=where)
        assert sandbox_crm.sent == []
        assert hook.link_matching("TargetList", fair, "leads", where=where, all_records=True) == {"linked": 2}
    assert linked(sandbox_crm, fair) == ["A", "B"]


def test_more_than_the_most_are_not_linked(sandbox_crm: SandboxCrm) -> None:
    leads(sandbox_crm, "A", "A", "B")
    fair = target_list(sandbox_crm)
    with EspoHook() as hook:
        with pytest.raises(EspoInputError, match="2 records match, and max_records is 1"):
            hook.link_matching("TargetList", fair, "leads", where=[equals("lastName", "A")], max_records=1)
        assert linked(sandbox_crm, fair) == []
        hook.link_matching("TargetList", fair, "leads", where=[equals("lastName", "A")], max_records=2)
    assert linked(sandbox_crm, fair) == ["A", "A"]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"all_records": "False"}, EspoInputError, "all_records"),
        ({"all_records": 1}, EspoInputError, "all_records"),
        ({"max_records": -1}, EspoInputError, "max_records"),
        ({"max_records": "5"}, EspoInputError, "max_records"),
        ({"max_records": True}, EspoInputError, "max_records"),
        ({"where": [{"type": "equals"}]}, EspoInputError, "attribute"),
        ({"where": '[{"type": "any"}]'}, EspoInputError, "where"),
        ({"link": "lead"}, EspoUnknownNameError, "leads"),
        ({"link": "createdBy"}, EspoUnknownNameError, "createdBy"),
        ({"record_id": "../x"}, EspoInputError, "record id"),
    ],
)
def test_bad_input_links_nothing(
    sandbox_crm: SandboxCrm, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    leads(sandbox_crm, "A")
    fair = target_list(sandbox_crm)
    arguments: dict[str, Any] = {
        "entity_type": "TargetList",
        "record_id": fair,
        "link": "leads",
        "where": [equals("lastName", "A")],
    }
    with EspoHook() as hook, pytest.raises(error, match=says):
        hook.link_matching(**(arguments | given))
    assert linked(sandbox_crm, fair) == []


@pytest.mark.parametrize(("answer", "error"), [(False, EspoNothingDoneError), (refusal(500), EspoServerError)])
def test_an_answer_that_nothing_was_linked_is_an_error(
    sandbox_crm: SandboxCrm, answer: Any, error: type[Exception]
) -> None:
    leads(sandbox_crm, "A")
    fair = target_list(sandbox_crm)
    sandbox_crm.on("POST", f"TargetList/{fair}/leads", answer)
    with EspoHook() as hook, pytest.raises(error):
        hook.link_matching("TargetList", fair, "leads", where=[equals("lastName", "A")])


def test_a_link_that_a_filter_cannot_fill_is_refused_by_the_server(sandbox_crm: SandboxCrm) -> None:
    account = sandbox_crm.asker.create("Account", name="A")["id"]
    sandbox_crm.asker.create("Contact", lastName="A")
    with EspoHook() as hook, pytest.raises(EspoForbiddenError, match="Mass link is not allowed"):
        hook.link_matching("Account", account, "contacts", where=[equals("lastName", "A")])
