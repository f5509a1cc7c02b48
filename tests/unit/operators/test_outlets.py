"""What tasks put into the events of their outlets: what was done to how many records."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_provider_espo.assets.espo import espo_asset
from airflow_provider_espo.operators import lineage
from airflow_provider_espo.operators.job import EspoImportOperator
from airflow_provider_espo.operators.lead import EspoConvertLeadOperator
from airflow_provider_espo.operators.mass_action import EspoMassDeleteOperator, EspoMassUpdateOperator
from airflow_provider_espo.operators.record import (
    EspoCreateRecordOperator,
    EspoDeleteRecordOperator,
    EspoUpdateRecordOperator,
)
from airflow_provider_espo.where import equals
from tests.unit.operators.test_lineage import LEADS, SITE, Ran, in_crm, made, ran
from tests.unit.sandbox_crm import SandboxCrm


@pytest.fixture
def lead(sandbox_crm: SandboxCrm) -> str:
    return made(sandbox_crm, "Lead", lastName="Nowak", emailAddress="nowak@example.com", accountName="ACME")


def test_a_create_tells_its_outlet_one_record_and_its_id(sandbox_crm: SandboxCrm) -> None:
    task = ran(
        EspoCreateRecordOperator(task_id="t", entity_type="Lead", attributes={"lastName": "Nowak"}, outlets=[LEADS])
    )
    assert task.extra() == {"count": 1, "created": 1, "id": task.result["id"]}


@pytest.mark.parametrize(
    ("name", "counts"), [("Kowalski", {"count": 1, "updated": 1}), ("Nowak", {"count": 0, "unchanged": 1})]
)
def test_an_update_that_changed_nothing_tells_no_record(lead: str, name: str, counts: dict[str, int]) -> None:
    update = EspoUpdateRecordOperator(
        task_id="t", entity_type="Lead", record_id=lead, attributes={"lastName": name}, outlets=[LEADS]
    )
    assert ran(update).extra() == {**counts, "id": lead}


def test_a_mass_update_tells_how_many_and_of_how_many(sandbox_crm: SandboxCrm, lead: str) -> None:
    for _ in range(2):
        made(sandbox_crm, "Lead", lastName="Zielinska")
    update = EspoMassUpdateOperator(
        task_id="t",
        entity_type="Lead",
        attributes={"status": "Dead"},
        where=[equals("lastName", "Zielinska")],
        outlets=[LEADS],
    )
    assert ran(update).extra() == {"count": 2, "expected": 2}


def test_a_dry_run_tells_that_nothing_was_done(lead: str) -> None:
    delete = EspoMassDeleteOperator(task_id="t", entity_type="Lead", ids=[lead], dry_run=True, outlets=[LEADS])
    assert ran(delete).extra() == {"count": 0}


def test_a_job_that_was_waited_for_in_the_triggerer_tells_its_counts(sandbox_crm: SandboxCrm, lead: str) -> None:
    update = EspoMassUpdateOperator(
        task_id="t",
        entity_type="Lead",
        attributes={"status": "Dead"},
        ids=[lead],
        background=True,
        deferrable=True,
        outlets=[LEADS],
    )
    with sandbox_crm.waiting():
        task = ran(update)
    assert task.extra() == {"count": 1, "expected": 1}
    assert task.outputs == {in_crm("Lead"): 1}


def test_an_import_tells_its_rows_one_by_one(sandbox_crm: SandboxCrm) -> None:
    rows = [{"lastName": "A"}, {"lastName": "B"}]
    with sandbox_crm.waiting():
        task = ran(EspoImportOperator(task_id="t", entity_type="Lead", rows=rows, deferrable=False, outlets=[LEADS]))
    assert task.extra() == {"count": 2, "created": 2, "updated": 0, "duplicates": 0, "failed": 0, "skipped": 0}
    assert task.outputs == {in_crm("Lead"): 2}
    assert task.inputs == {}


def test_a_conversion_tells_each_of_its_entity_types(lead: str) -> None:
    outlets = [LEADS, *(espo_asset(one, host=SITE) for one in ("Account", "Contact", "Opportunity"))]
    task = ran(EspoConvertLeadOperator(task_id="t", lead_id=lead, outlets=outlets))
    counts = [{"count": 1, "converted": 1}, {"count": 1}, {"count": 1}, {"count": 0}]
    assert [task.extra(one) for one in outlets] == counts
    assert task.outputs == {in_crm("Lead"): 1, in_crm("Account"): 1, in_crm("Contact"): 1}


def test_only_outlets_of_what_was_written_are_told(lead: str) -> None:
    others: list[Any] = [espo_asset("Contact", host=SITE), Asset("s3://bucket/key"), AssetAlias("leads")]
    delete = EspoDeleteRecordOperator(task_id="t", entity_type="Lead", record_id=lead, outlets=[*others, LEADS])
    task = ran(delete)
    assert task.extra() == {"count": 1, "deleted": 1, "id": lead}
    assert [task.events[one].extra for one in others] == [{}, {}, {}]


def test_a_class_derived_from_ours_may_return_something_else(lead: str) -> None:
    class Deleting(EspoDeleteRecordOperator):
        def execute(self, context: Any) -> Any:
            super().execute(context)
            return "done"

    task = ran(Deleting(task_id="t", entity_type="Lead", record_id=lead, outlets=[LEADS]))
    assert task.result == "done"
    assert task.extra() == {"count": 1, "deleted": 1, "id": lead}
    assert task.outputs == {in_crm("Lead"): 1}


def test_what_the_author_put_into_an_event_stays(lead: str) -> None:
    delete = EspoDeleteRecordOperator(task_id="t", entity_type="Lead", record_id=lead, outlets=[LEADS])
    task = Ran(delete)
    task.events[LEADS].extra["why"] = "asked to"
    assert task.run().extra() == {"why": "asked to", "count": 1, "deleted": 1, "id": lead}


def test_a_task_whose_work_is_done_does_not_fail_over_its_counts(
    lead: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lineage, "counts_of", lambda _facts: 1 / 0)
    delete = EspoDeleteRecordOperator(task_id="t", entity_type="Lead", record_id=lead, outlets=[LEADS])
    with caplog.at_level(logging.ERROR):
        assert ran(delete).result == {"id": lead, "action": "deleted"}
    assert "go without counts" in caplog.text
