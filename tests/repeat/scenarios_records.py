"""Tasks on records and their links."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.preflight import EspoPreflightOperator
from airflow_provider_espo.operators.record import (
    EspoCreateRecordOperator,
    EspoDeleteRecordOperator,
    EspoGetRecordOperator,
    EspoListRecordsOperator,
    EspoUpdateRecordOperator,
    EspoUpsertRecordOperator,
)
from airflow_provider_espo.operators.relationship import EspoLinkOperator, EspoListRelatedOperator, EspoUnlinkOperator
from airflow_provider_espo.where import contains
from tests.repeat.harness import Run, Scenario

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tests.repeat.crm import Crm

VALUES = "creator, time since the first try, all values"
DATA = bytes(range(97, 123)) * 200
CHANGES = "the record's values: only what differs is sent"


class WriteManyTask(EspoOperator):
    """A task that calls the hook, as one of TaskFlow does.

    :param rows: what to write.
    """

    template_fields: Sequence[str] = ("rows",)

    def __init__(self, *, rows: Sequence[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows = rows

    def execute(self, context: Context) -> list[str]:
        """Write the rows."""
        with self.hook as hook:
            outcomes = list(hook.write_many("Lead", self.rows, operation="upsert"))
        assert not [one["error"] for one in outcomes if one["error"]]
        return [one["action"] for one in outcomes]


def lead_values(run: Run, **more: Any) -> dict[str, Any]:
    """A lead that EspoCRM looks for duplicates of."""
    return {"firstName": "Ada", "lastName": run.tag, "emailAddress": f"{run.tag}@example.com", **more}


def lead(crm: Crm, run: Run) -> dict[str, Any]:
    """One lead."""
    return {"id": crm.create("Lead", **lead_values(run, status="New"))}


def account(crm: Crm, run: Run) -> dict[str, Any]:
    """One account, with optimistic concurrency control."""
    made = crm.create("Account", name=f"Acme {run.tag}", website="before.example.com")
    return {"id": made, "version": crm.ask("GET", f"Account/{made}")["versionNumber"]}


def target_list(crm: Crm, run: Run) -> dict[str, Any]:
    """A target list and three leads, of which the last is on it."""
    listed = crm.create("TargetList", name=f"List {run.tag}")
    leads = [crm.create("Lead", firstName=name, lastName=run.tag) for name in ("Ada", "Ben", "Cem")]
    crm.ask("POST", f"TargetList/{listed}/leads", {"id": leads[-1]})
    return {"id": listed, "leads": leads}


def stored_file(crm: Crm, run: Run) -> dict[str, Any]:
    """A file in the CRM."""
    text = "data:text/plain;base64," + base64.b64encode(DATA).decode()
    attachment = {"name": f"{run.tag}.txt", "type": "text/plain", "role": "Attachment", "file": text}
    return {"id": crm.create("Attachment", **attachment, relatedType="Document", field="file")}


def _create(run: Run, **more: Any) -> dict[str, Any]:
    return {"entity_type": "Lead", "attributes": lead_values(run, status="Assigned"), **more}


def _link(run: Run) -> dict[str, Any]:
    return {"entity_type": "TargetList", "record_id": run.made["id"], "link": "leads"}


def _update_account(run: Run) -> dict[str, Any]:
    changes = {"website": "after.example.com", "description": "line 1\nline 2"}
    return {"entity_type": "Account", "record_id": run.made["id"], "attributes": changes}


SCENARIOS = (
    Scenario("a lead", EspoCreateRecordOperator, _create, VALUES),
    Scenario(
        "an account with a list of values and a long text",
        EspoCreateRecordOperator,
        lambda run: {
            "entity_type": "Account",
            "attributes": {"name": f"Acme {run.tag}", "description": "x" * 12_000, "type": "Customer"},
        },
        VALUES,
    ),
    Scenario(
        "on_duplicate=skip, there is one",
        EspoCreateRecordOperator,
        lambda run: _create(run, on_duplicate="skip"),
        "match_by in the found duplicate",
        lead,
        changes=False,
    ),
    Scenario(
        "on_duplicate=skip, there is none",
        EspoCreateRecordOperator,
        lambda run: _create(run, on_duplicate="skip"),
        VALUES,
    ),
    Scenario(
        "on_duplicate=update, there is one",
        EspoCreateRecordOperator,
        lambda run: _create(run, on_duplicate="update"),
        "match_by in the found duplicate, then its values",
        lead,
    ),
    Scenario(
        "on_duplicate=force, there is one",
        EspoCreateRecordOperator,
        lambda run: _create(run, on_duplicate="force"),
        VALUES,
        lead,
    ),
    Scenario("an account", EspoUpdateRecordOperator, _update_account, CHANGES, account),
    Scenario(
        "only_changes=False",
        EspoUpdateRecordOperator,
        lambda run: {**_update_account(run), "only_changes": False},
        "none is needed: the same values are sent again",
        account,
    ),
    Scenario(
        "version_number",
        EspoUpdateRecordOperator,
        lambda run: {**_update_account(run), "version_number": run.made["version"]},
        CHANGES,
        account,
    ),
    Scenario(
        "there is none",
        EspoUpsertRecordOperator,
        lambda run: _create(run, match_by=["emailAddress"]),
        "match_by",
    ),
    Scenario(
        "there is one",
        EspoUpsertRecordOperator,
        lambda run: _create(run, match_by=["emailAddress"]),
        "match_by, then the record's values",
        lead,
    ),
    Scenario(
        "a lead",
        EspoDeleteRecordOperator,
        lambda run: {"entity_type": "Lead", "record_id": run.made["id"]},
        "the id: one that is gone is a success",
        lead,
    ),
    Scenario(
        "leads to a target list",
        EspoLinkOperator,
        lambda run: {**_link(run), "related_ids": run.made["leads"]},
        "the ids: those linked stay linked",
        target_list,
    ),
    Scenario(
        "leads from a target list",
        EspoUnlinkOperator,
        lambda run: {**_link(run), "related_ids": run.made["leads"][1:]},
        "the ids: those not linked are no error",
        target_list,
    ),
    Scenario(
        "upsert of 4 rows",
        WriteManyTask,
        lambda run: {
            "rows": [
                {"lastName": f"Nr{n} {run.tag}", "emailAddress": f"n{n}.{run.tag}@example.com", "status": "Assigned"}
                for n in range(3)
            ]
            + [lead_values(run, status="Assigned")]
        },
        "match_by, then the records' values",
        lead,
    ),
    Scenario(
        "a lead",
        EspoGetRecordOperator,
        lambda run: {"entity_type": "Lead", "record_id": run.made["id"], "select": ["name", "status"]},
        "none is needed: it only reads",
        lead,
        changes=False,
    ),
    Scenario(
        "three leads",
        EspoListRecordsOperator,
        lambda run: {"entity_type": "Lead", "where": [contains("name", run.tag)], "select": ["name"]},
        "none is needed: it only reads",
        target_list,
        changes=False,
    ),
    Scenario(
        "leads of a target list",
        EspoListRelatedOperator,
        lambda run: {**_link(run), "select": ["name"]},
        "none is needed: it only reads",
        target_list,
        changes=False,
    ),
    Scenario(
        "what a DAG needs",
        EspoPreflightOperator,
        lambda _run: {"needs": {"Lead": {"rights": ["create"], "attributes": ["lastName"], "links": ["targetLists"]}}},
        "none is needed: it only reads",
        changes=False,
    ),
)
