"""Tasks of the CRM's own workflow: conversion, stream, mass actions, actions, currency rates, any request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.action import EspoActionOperator, EspoRequestOperator
from airflow_provider_espo.operators.currency import EspoGetCurrencyRatesOperator, EspoSetCurrencyRatesOperator
from airflow_provider_espo.operators.lead import EspoConvertLeadOperator
from airflow_provider_espo.operators.mass_action import (
    EspoMassActionOperator,
    EspoMassDeleteOperator,
    EspoMassUpdateOperator,
)
from airflow_provider_espo.operators.stream import (
    EspoFollowOperator,
    EspoListStreamOperator,
    EspoPostToStreamOperator,
    EspoUnfollowOperator,
)
from airflow_provider_espo.where import contains
from tests.repeat.harness import Run, Scenario
from tests.repeat.scenarios_records import account, lead, stored_file

if TYPE_CHECKING:
    from tests.repeat.crm import Crm

ORPHANS = "created…Id of the lead; creator, time since the first try, all values"
JOB = "the job's id in the task state store"
READS = "none is needed: it only reads"
WAITING = {"background": True, "poll_interval": 0.1, "deferrable": False}


def busy_lead(crm: Crm, run: Run) -> dict[str, Any]:
    """A lead of a company, with a meeting, a document and a place on a target list."""
    made = crm.create(
        "Lead",
        firstName="Ada",
        lastName=run.tag,
        emailAddress=f"{run.tag}@example.com",
        accountName=f"Acme {run.tag}",
        addressCity="Linz",
    )
    times = {"dateStart": "2026-05-01 10:00:00", "dateEnd": "2026-05-01 11:00:00"}
    crm.create(
        "Meeting",
        name=f"Meeting {run.tag}",
        parentType="Lead",
        parentId=made,
        leadsIds=[made],
        assignedUserId=crm.users["sales_user_id"],
        **times,
    )
    upload = stored_file(crm, run)["id"]
    crm.create("Document", name=f"Offer {run.tag}", fileId=upload, publishDate="2026-05-01", leadsIds=[made])
    listed = crm.create("TargetList", name=f"List {run.tag}")
    crm.ask("POST", f"TargetList/{listed}/leads", {"id": made})
    return {"id": made}


def lead_of_known(crm: Crm, run: Run) -> dict[str, Any]:
    """A lead whose company and person are there already."""
    made = busy_lead(crm, run)
    known = crm.create("Account", name=f"Acme {run.tag}", website="known.example.com")
    crm.create("Contact", firstName="Ada", lastName=run.tag, emailAddress=f"{run.tag}@example.com", accountId=known)
    return made


def three_leads(crm: Crm, run: Run) -> dict[str, Any]:
    """Three leads."""
    return {"ids": [crm.create("Lead", firstName=name, lastName=run.tag, status="New") for name in ("A", "B", "C")]}


def three_accounts(crm: Crm, run: Run) -> dict[str, Any]:
    """Three accounts, each with a contact."""
    ids = [crm.create("Account", name=f"{name} {run.tag}") for name in ("A", "B", "C")]
    for number, one in enumerate(ids):
        crm.create("Contact", firstName=str(number), lastName=run.tag, accountId=one)
    return {"ids": ids}


def opportunities(crm: Crm, run: Run) -> dict[str, Any]:
    """Two opportunities in US dollars."""
    values = {"amount": 1000, "amountCurrency": "USD", "closeDate": "2026-12-01"}
    return {"ids": [crm.create("Opportunity", name=f"{name} {run.tag}", **values) for name in ("A", "B")]}


def deleted_lead(crm: Crm, run: Run) -> dict[str, Any]:
    """A lead that was deleted."""
    made = lead(crm, run)
    crm.ask("DELETE", f"Lead/{made['id']}")
    return made


def rates(crm: Crm, _run: Run) -> dict[str, Any]:
    """The rates that a new server has."""
    crm.ask("PUT", "CurrencyRate", {"EUR": 1.12, "GBP": 1.25})
    return {}


def followed(crm: Crm, run: Run) -> dict[str, Any]:
    """A lead that two users follow."""
    made = lead(crm, run)
    crm.ask("PUT", f"Lead/{made['id']}/subscription", as_task_user=True)
    crm.ask("POST", f"Lead/{made['id']}/followers", {"ids": [crm.users["sales_user_id"]]})
    return {**made, "user": crm.users["sales_user_id"]}


def lead_and_user(crm: Crm, run: Run) -> dict[str, Any]:
    """A lead, and a user who does not follow it."""
    return {**lead(crm, run), "user": crm.users["sales_user_id"]}


def _one_lead(run: Run, **more: Any) -> dict[str, Any]:
    return {"entity_type": "Lead", "record_id": run.made["id"], **more}


def _leads_named(run: Run, **more: Any) -> dict[str, Any]:
    return {"entity_type": "Lead", "where": [contains("name", run.tag)], **more}


def _ids(entity_type: str, run: Run, **more: Any) -> dict[str, Any]:
    return {"entity_type": entity_type, "ids": run.made["ids"], **more}


def _followers(crm: Crm, run: Run, _result: Any) -> Any:
    """Who follows; an API user is in no list and knows only of itself."""
    ids = run.made.get("ids") or [run.made["id"]]
    paths = [f"{'Account' if 'ids' in run.made else 'Lead'}/{one}" for one in ids]
    own = [crm.ask("GET", path, as_task_user=True)["isFollowed"] for path in paths]
    return {"others": [crm.followers(path) for path in paths], "own": own}


def _posts(crm: Crm, run: Run, _result: Any) -> Any:
    notes = crm.find(f"User/{crm.users['api_user_id']}/stream/own")
    return [note["post"] for note in notes if run.tag in str(note["post"])]


def _rates(crm: Crm, _run: Run, _result: Any) -> Any:
    return crm.ask("GET", "CurrencyRate")


def _full(run: Run, **more: Any) -> dict[str, Any]:
    deal = {"name": f"Deal {run.tag}", "amount": 100, "amountCurrency": "EUR", "closeDate": "2026-12-31"}
    return {"lead_id": run.made["id"], "records": {"Account": {}, "Contact": {}, "Opportunity": deal}, **more}


def _merge(run: Run) -> dict[str, Any]:
    first, *others = run.made["ids"]
    data = {"sourceIdList": others, "attributes": {"website": "merged.example.com"}}
    return {"entity_type": "Account", "record_id": first, "action": "merge", "data": data}


SCENARIOS = (
    Scenario("all three records", EspoConvertLeadOperator, _full, ORPHANS, busy_lead),
    Scenario(
        "on_duplicate=use_existing",
        EspoConvertLeadOperator,
        lambda run: _full(run, on_duplicate="use_existing"),
        "created…Id of the lead; match_by",
        lead_of_known,
    ),
    Scenario(
        "on_duplicate=force",
        EspoConvertLeadOperator,
        lambda run: _full(run, on_duplicate="force"),
        ORPHANS,
        lead_of_known,
    ),
    Scenario(
        "on a record, with a mention",
        EspoPostToStreamOperator,
        lambda run: _one_lead(run, post=f"Hello *{run.tag}*", mentions=["sales"]),
        "author, time since the first try, place, text, files",
        lead,
    ),
    Scenario(
        "to a user",
        EspoPostToStreamOperator,
        lambda run: {"post": f"Hello {run.tag}", "user_ids": [run.made["user"]]},
        "author, time since the first try, place, text, files",
        lead_and_user,
        _posts,
    ),
    Scenario(
        "of a record",
        EspoListStreamOperator,
        _one_lead,
        READS,
        lead,
        changes=False,
    ),
    Scenario("oneself", EspoFollowOperator, _one_lead, "the followers", lead, _followers),
    Scenario(
        "another user",
        EspoFollowOperator,
        lambda run: _one_lead(run, user_ids=[run.made["user"]]),
        "the followers",
        lead_and_user,
        _followers,
    ),
    Scenario("oneself", EspoUnfollowOperator, _one_lead, "the followers", followed, _followers),
    Scenario(
        "another user",
        EspoUnfollowOperator,
        lambda run: _one_lead(run, user_ids=[run.made["user"]]),
        "the followers",
        followed,
        _followers,
    ),
    Scenario(
        "by ids",
        EspoMassUpdateOperator,
        lambda run: _ids("Lead", run, attributes={"status": "Dead"}),
        "none is needed: the same values are set again",
        three_leads,
    ),
    Scenario(
        "by a filter that the update empties",
        EspoMassUpdateOperator,
        lambda run: {
            **_leads_named(run, attributes={"status": "Dead"}),
            "where": [contains("name", run.tag), {"type": "equals", "attribute": "status", "value": "New"}],
        },
        "none is needed: the filter finds what is left to do",
        three_leads,
    ),
    Scenario(
        "in the background",
        EspoMassUpdateOperator,
        lambda run: _leads_named(run, attributes={"status": "Dead"}, **WAITING),
        JOB,
        three_leads,
        waits=True,
    ),
    Scenario(
        "in the background, deferred",
        EspoMassUpdateOperator,
        lambda run: _leads_named(run, attributes={"status": "Dead"}, **WAITING | {"deferrable": True}),
        JOB,
        three_leads,
        waits=True,
    ),
    Scenario(
        "by a filter",
        EspoMassDeleteOperator,
        _leads_named,
        "none is needed: the filter finds what is left to do",
        three_leads,
    ),
    Scenario(
        "by ids", EspoMassDeleteOperator, lambda run: _ids("Lead", run), "the ids: gone is a success", three_leads
    ),
    Scenario(
        "in the background",
        EspoMassDeleteOperator,
        lambda run: _leads_named(run, **WAITING),
        JOB,
        three_leads,
        waits=True,
    ),
    Scenario(
        "convertCurrency",
        EspoMassActionOperator,
        lambda run: _ids("Opportunity", run, action="convertCurrency", data={"targetCurrency": "EUR"}),
        "none is needed: what is converted stays",
        opportunities,
    ),
    Scenario(
        "follow",
        EspoMassActionOperator,
        lambda run: _ids("Account", run, action="follow"),
        "the followers",
        three_accounts,
        _followers,
    ),
    Scenario(
        "lock in the background",
        EspoMassActionOperator,
        lambda run: _ids("Account", run, action="lock", **WAITING),
        JOB,
        three_accounts,
        waits=True,
    ),
    Scenario("merge", EspoActionOperator, _merge, "the ids: sources that are gone are left out", three_accounts),
    Scenario(
        "convertCurrency",
        EspoActionOperator,
        lambda run: {
            "entity_type": "Opportunity",
            "record_id": run.made["ids"][0],
            "action": "convertCurrency",
            "data": {"targetCurrency": "EUR"},
        },
        "none is needed: what is converted stays",
        opportunities,
    ),
    Scenario(
        "lock",
        EspoActionOperator,
        lambda run: {"entity_type": "Account", "record_id": run.made["id"], "action": "lock"},
        "none is needed: what is locked stays",
        account,
    ),
    Scenario(
        "restoreDeleted",
        EspoActionOperator,
        lambda run: _one_lead(run, action="restoreDeleted", espo_conn_id="espo_admin"),
        "the id: a record that is there is left alone",
        deleted_lead,
    ),
    Scenario(
        "the rates",
        EspoGetCurrencyRatesOperator,
        lambda _run: {},
        READS,
        rates,
        _rates,
        changes=False,
    ),
    Scenario(
        "two rates",
        EspoSetCurrencyRatesOperator,
        lambda _run: {"rates": {"EUR": "1.31", "GBP": 1.47}},
        "the rates: only what differs is sent",
        rates,
        _rates,
    ),
    Scenario(
        "PUT",
        EspoRequestOperator,
        lambda run: {"method": "PUT", "path": f"Lead/{run.made['id']}", "json": {"status": "Dead"}},
        "none is needed: the request means the same twice",
        lead,
    ),
    Scenario(
        "POST",
        EspoRequestOperator,
        lambda run: {"method": "POST", "path": "Case", "json": {"name": f"Call {run.tag}"}},
        "none: the operator does not know what the request means",
        repeatable=False,
        promise="A retry of the task sends the request again",
    ),
)
