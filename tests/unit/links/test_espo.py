"""Buttons on a task's page that open what it worked on in EspoCRM."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_espo.get_provider_info import class_names
from airflow_provider_espo.operators.email import EspoSendEmailOperator
from airflow_provider_espo.operators.job import EspoExportOperator, EspoImportOperator
from airflow_provider_espo.operators.lead import EspoConvertLeadOperator
from airflow_provider_espo.operators.mass_action import EspoMassUpdateOperator
from airflow_provider_espo.operators.record import (
    EspoCreateRecordOperator,
    EspoDeleteRecordOperator,
    EspoListRecordsOperator,
    EspoUpdateRecordOperator,
)
from airflow_provider_espo.operators.relationship import EspoLinkOperator
from airflow_provider_espo.operators.stream import EspoPostToStreamOperator
from airflow_provider_espo.operators.webhook import EspoRegisterWebhookOperator
from airflow_provider_espo.sensors.job import EspoJobSensor
from airflow_provider_espo.sensors.record import EspoRecordSensor, EspoRecordStateSensor
from tests.unit.airflows import DagSerialization
from tests.unit.crm import API_KEY, LEAD, Crm, refusal
from tests.unit.running import context_of
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.test_building_blocks import TASKS

SITE = "https://crm.example.com"
TARGET_LIST = "6746d1f3a0b1c2d4f"

RECORD = "Open record in EspoCRM"
LIST = "Open list in EspoCRM"
TARGETS = "Open target list in EspoCRM"
JOB = "Open job in EspoCRM"


def ran(task: Any, **given: Any) -> Any:
    """Run a copy of a task as a worker does, whatever comes of it, and return the copy."""
    task = copy.deepcopy(task)
    context = context_of(task, **given)
    task.render_template_fields(context)
    token = ExecutorSafeguard.tracker.set(task)
    try:
        task.execute(context)
    except Exception as error:
        task.error = error
    finally:
        ExecutorSafeguard.tracker.reset(token)
    return task


def address(link: Any, task: Any) -> str:
    """The address as Airflow asks for it."""
    url: str = link.get_link(task, ti_key=None)
    return url


def buttons(task: Any) -> dict[str, str]:
    """Links of a task that lead somewhere, without the site."""
    links = {link.name: address(link, task) for link in task.operator_extra_links}
    assert all(not url or url.startswith(f"{SITE}/#") for url in links.values())
    return {name: url.removeprefix(f"{SITE}/#") for name, url in links.items() if url}


def test_a_record_that_was_created_is_opened_by_its_new_id(sandbox_crm: SandboxCrm) -> None:
    task = ran(EspoCreateRecordOperator(task_id="t", entity_type="Lead", attributes={"lastName": "Nowak"}))
    (lead,) = sandbox_crm.asker.find("Lead")["list"]
    assert buttons(task) == {RECORD: f"Lead/view/{lead['id']}"}


def test_the_id_is_taken_as_the_template_rendered_it(sandbox_crm: SandboxCrm) -> None:
    lead = sandbox_crm.asker.create("Lead", lastName="Nowak")["id"]
    update = EspoUpdateRecordOperator(
        task_id="t", entity_type="Lead", record_id="{{ params.lead }}", attributes={"status": "Dead"}
    )
    assert buttons(ran(update, params={"lead": lead})) == {RECORD: f"Lead/view/{lead}"}


def test_a_task_that_failed_opens_the_record_that_was_meant(sandbox_crm: SandboxCrm) -> None:
    lead = sandbox_crm.asker.create("Lead", lastName="Nowak")["id"]
    task = ran(EspoUpdateRecordOperator(task_id="t", entity_type="Lead", record_id=lead, attributes={"nothing": 1}))
    assert task.error
    assert buttons(task) == {RECORD: f"Lead/view/{lead}"}


def test_a_create_that_failed_has_no_button(sandbox_crm: SandboxCrm) -> None:
    task = ran(EspoCreateRecordOperator(task_id="t", entity_type="Lead", attributes={"nothing": 1}))
    assert task.error
    assert buttons(task) == {}


@pytest.mark.parametrize(
    ("make", "page"),
    [
        (lambda: EspoListRecordsOperator(task_id="t", entity_type="Lead"), "Lead"),
        (
            lambda: EspoListRecordsOperator(task_id="t", entity_type="Lead", primary_filter="actual"),
            "Lead/list/primaryFilter=actual",
        ),
        (lambda: EspoRecordSensor(task_id="t", entity_type="Account", deferrable=False), "Account"),
        (
            lambda: EspoMassUpdateOperator(task_id="t", entity_type="Lead", attributes={"status": "Dead"}, ids=[]),
            "Lead",
        ),
    ],
)
def test_a_list_is_opened_with_espocrms_own_filter(crm: Crm, make: Callable[[], Any], page: str) -> None:
    assert buttons(make()) == {LIST: page}


def test_a_filter_that_is_no_name_stays_out_of_the_address(crm: Crm) -> None:
    assert buttons(EspoListRecordsOperator(task_id="t", entity_type="Lead", primary_filter="a/../b?x=y")) == {}


@pytest.mark.parametrize(
    ("entity_type", "record_id", "link", "related_ids", "expected"),
    [
        ("TargetList", TARGET_LIST, "leads", [LEAD], {TARGETS: f"TargetList/view/{TARGET_LIST}"}),
        (
            "Lead",
            LEAD,
            "targetLists",
            [TARGET_LIST],
            {RECORD: f"Lead/view/{LEAD}", TARGETS: f"TargetList/view/{TARGET_LIST}"},
        ),
        (
            "Lead",
            LEAD,
            "targetLists",
            TARGET_LIST,
            {RECORD: f"Lead/view/{LEAD}", TARGETS: f"TargetList/view/{TARGET_LIST}"},
        ),
        ("Lead", LEAD, "targetLists", [TARGET_LIST, LEAD], {RECORD: f"Lead/view/{LEAD}"}),
        ("Lead", LEAD, "teams", [TARGET_LIST], {RECORD: f"Lead/view/{LEAD}"}),
    ],
)
def test_a_target_list_is_opened_from_whichever_side_it_was_filled(
    crm: Crm, entity_type: str, record_id: str, link: str, related_ids: Any, expected: dict[str, str]
) -> None:
    task = EspoLinkOperator(
        task_id="t", entity_type=entity_type, record_id=record_id, link=link, related_ids=related_ids
    )
    assert buttons(task) == expected


def test_an_import_opens_its_own_page_and_the_list(sandbox_crm: SandboxCrm) -> None:
    with sandbox_crm.waiting():
        task = ran(EspoImportOperator(task_id="t", entity_type="Lead", rows=[{"lastName": "A"}], deferrable=False))
    assert buttons(task) == {LIST: "Lead", JOB: f"Import/view/{task.facts['job_id']}"}


def test_an_import_that_failed_opens_its_page_as_well(sandbox_crm: SandboxCrm) -> None:
    rows = [{"lastName": "A", "status": "No such status"}]
    with sandbox_crm.waiting():
        task = ran(EspoImportOperator(task_id="t", entity_type="Lead", rows=rows, deferrable=False))
    assert task.error
    (page,) = [url for name, url in buttons(task).items() if name == JOB]
    assert page.startswith("Import/view/")


def test_jobs_without_a_page_lead_to_the_administrators_list(sandbox_crm: SandboxCrm, tmp_path: Any) -> None:
    with sandbox_crm.waiting():
        task = ran(EspoExportOperator(task_id="t", entity_type="Lead", path=str(tmp_path / "x.csv"), deferrable=False))
    assert buttons(task) == {LIST: "Lead", JOB: "Admin/jobs"}
    assert buttons(EspoJobSensor(task_id="t", kind="import", job_id=LEAD)) == {JOB: f"Import/view/{LEAD}"}
    assert buttons(EspoJobSensor(task_id="t", kind="mass_action", job_id=LEAD)) == {JOB: "Admin/jobs"}


def test_a_conversion_opens_the_lead(crm: Crm) -> None:
    assert buttons(EspoConvertLeadOperator(task_id="t", lead_id=LEAD)) == {RECORD: f"Lead/view/{LEAD}"}


def test_a_post_opens_the_record_it_went_to_and_otherwise_itself(crm: Crm) -> None:
    to_record = EspoPostToStreamOperator(task_id="t", post="Hello", entity_type="Lead", record_id=LEAD)
    to_all = EspoPostToStreamOperator(task_id="t", post="Hello", audience="all")
    to_record.facts = to_all.facts = {"id": "6746d1f3a0b1c2d4e"}
    assert buttons(to_record) == {RECORD: f"Lead/view/{LEAD}"}
    assert buttons(to_all) == {RECORD: "Note/view/6746d1f3a0b1c2d4e"}


def test_a_webhook_opens_its_own_page(crm: Crm) -> None:
    task = EspoRegisterWebhookOperator(task_id="t", event="Lead.create", url="https://airflow.example.com/hooks")
    assert buttons(task) == {}
    task.facts = {"id": "6746d1f3a0b1c2d4e"}
    assert buttons(task) == {RECORD: "Webhook/view/6746d1f3a0b1c2d4e"}


def test_an_email_opens_itself_and_not_its_record(crm: Crm) -> None:
    task = EspoSendEmailOperator(task_id="t", to="a@example.com", subject="Hi", entity_type="Lead", record_id=LEAD)
    assert buttons(task) == {}
    task.facts = {"id": "6746d1f3a0b1c2d4e"}
    assert buttons(task) == {RECORD: "Email/view/6746d1f3a0b1c2d4e"}


def test_sub_paths_and_portals_are_part_of_the_address(connect: Callable[..., str]) -> None:
    connect(host=f"{SITE}/espo", extra={"portal_id": "65a1"})
    task = EspoRecordStateSensor(task_id="t", entity_type="Case", record_id=LEAD, expected={"status": "Closed"})
    (link,) = task.operator_extra_links
    assert address(link, task) == f"{SITE}/espo/portal/65a1/#Case/view/{LEAD}"


def test_people_are_led_to_where_they_open_espocrm(connect: Callable[..., str]) -> None:
    extra = {"web_url": "https://crm.example.org/sales", "portal_id": "65a1"}
    connect(host="http://espocrm:8080", extra=extra)
    task = EspoRecordStateSensor(task_id="t", entity_type="Case", record_id=LEAD, expected={"status": "Closed"})
    (link,) = task.operator_extra_links
    assert address(link, task) == f"https://crm.example.org/sales/portal/65a1/#Case/view/{LEAD}"


@pytest.mark.parametrize("record_id", [None, "", "../User", "{{ params.lead }}", "somebody@example.com"])
def test_what_is_no_id_makes_no_button_and_no_error(crm: Crm, record_id: Any) -> None:
    task = EspoUpdateRecordOperator(task_id="t", entity_type="Lead", record_id=record_id, attributes={"status": "New"})
    assert buttons(task) == {}


def test_without_a_connection_there_is_no_button_and_no_second_error() -> None:
    task = EspoUpdateRecordOperator(
        task_id="t", entity_type="Lead", record_id=LEAD, attributes={"status": "New"}, espo_conn_id="none"
    )
    assert buttons(task) == {}


def test_no_secret_is_in_an_address(connect: Callable[..., str]) -> None:
    connect(login="airflow", password=API_KEY, extra={"auth_method": "basic", "headers": {"X-Pass": "open sesame"}})
    task = EspoListRecordsOperator(task_id="t", entity_type="Lead")
    (link,) = task.operator_extra_links
    assert address(link, task) == f"{SITE}/#Lead"


def test_a_record_that_is_gone_has_no_button_and_one_that_could_not_be_deleted_has(sandbox_crm: SandboxCrm) -> None:
    lead = sandbox_crm.asker.create("Lead", lastName="Nowak")["id"]
    delete = EspoDeleteRecordOperator(task_id="t", entity_type="Lead", record_id=lead)
    sandbox_crm.on("DELETE", f"Lead/{lead}", refusal(403))
    task = ran(delete)
    assert task.error
    assert buttons(task) == {RECORD: f"Lead/view/{lead}"}
    sandbox_crm.on("DELETE", f"Lead/{lead}", True)
    assert buttons(ran(delete)) == {}


# --- all of them

#: Tasks that work on nothing that has a page in EspoCRM.
WITHOUT = {
    "EspoDownloadAttachmentOperator",
    "EspoGetCurrencyRatesOperator",
    "EspoPreflightOperator",
    "EspoRequestOperator",
    "EspoSetCurrencyRatesOperator",
    "EspoUnregisterWebhookOperator",
}


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_every_task_that_works_on_something_with_a_page_has_a_button(task: type[Any]) -> None:
    assert bool(task.operator_extra_links) is (task.__name__ not in WITHOUT)


# --- what Airflow makes of them


def test_airflow_knows_the_links_of_plain_and_mapped_tasks_again_after_serializing() -> None:
    with DAG("dag", schedule=None) as dag:
        EspoListRecordsOperator(task_id="plain", entity_type="Lead")
        EspoListRecordsOperator.partial(task_id="mapped").expand(entity_type=["Lead", "Account"])
    tasks = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag)))).task_dict
    assert [task.extra_links for task in tasks.values()] == [[LIST], [LIST]]


def test_airflow_has_all_of_them_in_its_list() -> None:
    from airflow.providers_manager import ProvidersManager

    names: Any = ProvidersManager().extra_links_class_names
    assert {name for name in names if "espo" in name} == set(class_names("links", "Link"))
    assert len(class_names("links", "Link")) == 4
