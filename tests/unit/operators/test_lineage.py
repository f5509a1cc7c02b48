"""What tasks tell about what they read and wrote: datasets for OpenLineage."""

from __future__ import annotations

import builtins
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_espo.assets.espo import espo_asset
from airflow_provider_espo.operators import lineage
from airflow_provider_espo.operators.action import EspoRequestOperator
from airflow_provider_espo.operators.attachment import EspoDownloadAttachmentOperator, EspoUploadAttachmentOperator
from airflow_provider_espo.operators.base import EspoTask
from airflow_provider_espo.operators.job import EspoExportOperator
from airflow_provider_espo.operators.record import (
    EspoCreateRecordOperator,
    EspoGetRecordOperator,
    EspoListRecordsOperator,
    EspoUpdateRecordOperator,
    EspoUpsertRecordOperator,
)
from airflow_provider_espo.operators.relationship import EspoLinkOperator, EspoListRelatedOperator
from airflow_provider_espo.operators.stream import EspoPostToStreamOperator
from airflow_provider_espo.sensors.record import EspoRecordSensor
from tests.unit.airflows import TaskDeferred
from tests.unit.crm import API_KEY
from tests.unit.running import context_of
from tests.unit.sandbox_crm import SandboxCrm, first_event, stored
from tests.unit.test_building_blocks import TASKS, arguments_of

SITE = "https://crm.example.com"
NAMESPACE = "espo://crm.example.com"
LEADS = espo_asset("Lead", host=SITE)


class Ran:
    """A task that a worker ran, and what it left behind."""

    def __init__(self, task: Any) -> None:
        self.task = copy.deepcopy(task)
        self.context = context_of(self.task)
        self.events = self.context["outlet_events"] = OutletEventAccessors()
        self.error: Exception | None = None

    def run(self) -> Ran:
        """Run it to its end, in one go or over the triggerer."""
        self.task.render_template_fields(self.context)
        token = ExecutorSafeguard.tracker.set(self.task)
        try:
            self.result = self.task.execute(self.context)
        except TaskDeferred as deferred:
            event = first_event(deferred)
            arguments = {**stored(deferred.kwargs or {}), "event": event}
            self.task = copy.deepcopy(self.task)
            self.result = self.task.resume_execution(deferred.method_name, arguments, self.context)
        finally:
            ExecutorSafeguard.tracker.reset(token)
        return self

    def fail(self) -> Ran:
        """Run it; it is to fail."""
        with pytest.raises(Exception) as caught:
            self.run()
        self.error = caught.value
        return self

    def extra(self, asset: Asset = LEADS) -> dict[str, Any]:
        """What the event of an outlet holds."""
        found: dict[str, Any] = self.events[asset].extra
        return found

    def lineage(self) -> Any:
        """What OpenLineage's provider gets out of the task, the way it asks."""
        extractor = pytest.importorskip("airflow.providers.openlineage.extractors.base").DefaultExtractor(self.task)
        return extractor.extract_on_failure(None) if self.error else extractor.extract_on_complete(None)

    @property
    def inputs(self) -> dict[tuple[str, str], int | None]:
        """Rows read by dataset."""
        return {(one.namespace, one.name): _rows(one.inputFacets, "inputStatistics") for one in self.lineage().inputs}

    @property
    def outputs(self) -> dict[tuple[str, str], int | None]:
        """Rows written by dataset."""
        return {
            (one.namespace, one.name): _rows(one.outputFacets, "outputStatistics") for one in self.lineage().outputs
        }


def _rows(facets: Any, name: str) -> int | None:
    return facets[name].rowCount if facets and name in facets else None


def ran(task: Any) -> Ran:
    return Ran(task).run()


def in_crm(entity_type: str) -> tuple[str, str]:
    return NAMESPACE, entity_type


@pytest.fixture
def lead(sandbox_crm: SandboxCrm) -> str:
    return made(sandbox_crm, "Lead", lastName="Nowak", emailAddress="nowak@example.com", accountName="ACME")


def made(crm: SandboxCrm, entity_type: str, **attributes: Any) -> str:
    record_id: str = crm.asker.create(entity_type, **attributes)["id"]
    return record_id


# --- OpenLineage


@pytest.mark.parametrize(
    ("make", "inputs", "outputs"),
    [
        (lambda lead: EspoGetRecordOperator(task_id="t", entity_type="Lead", record_id=lead), {"Lead": 1}, {}),
        (lambda lead: EspoListRecordsOperator(task_id="t", entity_type="Lead"), {"Lead": 1}, {}),
        (lambda lead: EspoRecordSensor(task_id="t", entity_type="Lead", deferrable=False), {"Lead": 1}, {}),
        (
            lambda lead: EspoListRelatedOperator(task_id="t", entity_type="Lead", record_id=lead, link="tasks"),
            {"Task": 0},
            {},
        ),
        (
            lambda lead: EspoUpsertRecordOperator(
                task_id="t",
                entity_type="Lead",
                attributes={"emailAddress": "nowak@example.com", "status": "Assigned"},
                match_by=["emailAddress"],
            ),
            {},
            {"Lead": 1},
        ),
        (
            lambda lead: EspoPostToStreamOperator(task_id="t", post="Hello", entity_type="Lead", record_id=lead),
            {},
            {"Note": 1},
        ),
    ],
)
def test_openlineage_hears_what_was_read_and_written_and_how_much(
    lead: str, make: Callable[[str], Any], inputs: dict[str, int], outputs: dict[str, int]
) -> None:
    task = ran(make(lead))
    assert task.inputs == {in_crm(name): count for name, count in inputs.items()}
    assert task.outputs == {in_crm(name): count for name, count in outputs.items()}


def test_a_sensor_that_waited_in_the_triggerer_tells_what_it_read(sandbox_crm: SandboxCrm) -> None:
    came: list[str] = []

    def on_the_second_look(sent: Any) -> None:
        if sent.path == "Lead" and sent.method == "GET" and len(sandbox_crm.calls("GET", "Lead")) == 2:
            came.append(made(sandbox_crm, "Lead", lastName="Nowak"))

    sandbox_crm.before = on_the_second_look
    with sandbox_crm.waiting():
        task = ran(EspoRecordSensor(task_id="t", entity_type="Lead", deferrable=True, poll_interval=5))
    assert task.result["ids"] == came
    assert task.inputs == {in_crm("Lead"): 1}


def test_records_linked_are_counted(sandbox_crm: SandboxCrm, lead: str) -> None:
    target_list = made(sandbox_crm, "TargetList", name="News")
    link = EspoLinkOperator(
        task_id="t", entity_type="TargetList", record_id=target_list, link="leads", related_ids=[lead]
    )
    assert ran(link).outputs == {in_crm("TargetList"): 1}


def test_the_schema_that_the_task_learnt_goes_along(lead: str) -> None:
    (dataset,) = ran(EspoListRecordsOperator(task_id="t", entity_type="Lead", select=["name"])).lineage().inputs
    types = {field.name: field.type for field in dataset.facets["schema"].fields}
    assert types.items() >= {"id": "id", "lastName": "string", "createdAt": "datetime"}.items()


def test_files_are_datasets_too(sandbox_crm: SandboxCrm, lead: str, tmp_path: Path) -> None:
    source = tmp_path / "offer.txt"
    source.write_text("offer")
    upload = ran(EspoUploadAttachmentOperator(task_id="t", path=str(source), entity_type="Document", field="file"))
    assert upload.inputs == {("file://", str(source)): None}
    assert upload.outputs == {in_crm("Attachment"): 1}
    download = ran(
        EspoDownloadAttachmentOperator(
            task_id="t", attachment_id=upload.result["attachment_id"], path=f"{tmp_path}/down/"
        )
    )
    assert download.inputs == {in_crm("Attachment"): None}
    assert download.outputs == {("file://", str(tmp_path / "down" / "offer.txt")): None}


def test_an_export_goes_from_the_crm_to_a_file(sandbox_crm: SandboxCrm, lead: str, tmp_path: Path) -> None:
    with sandbox_crm.waiting():
        task = ran(EspoExportOperator(task_id="t", entity_type="Lead", path=f"{tmp_path}/leads.csv", deferrable=False))
    assert task.inputs == {in_crm("Lead"): None}
    assert task.outputs == {("file://", f"{tmp_path}/leads.csv"): None}


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("s3://conn_id@bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("gs://bucket/b.csv", ("gs://bucket", "b.csv")),
        ("file:///data/b.csv", ("file://", "/data/b.csv")),
        ("/data/b.csv", ("file://", "/data/b.csv")),
    ],
)
def test_files_are_named_as_airflows_own_assets_are(path: str, dataset: tuple[str, str]) -> None:
    assert tuple(lineage.file_dataset(path).values()) == dataset


def test_a_task_that_failed_names_its_datasets_without_counts(lead: str) -> None:
    update = EspoUpdateRecordOperator(
        task_id="t", entity_type="Lead", record_id="6746d1f3a0b1c2d3e", attributes={"status": "Dead"}
    )
    assert Ran(update).fail().outputs == {in_crm("Lead"): None}


def test_a_task_that_never_got_its_connection_has_no_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Ran(EspoGetRecordOperator(task_id="t", entity_type="Lead", record_id="1", espo_conn_id="none")).fail()
    assert (task.inputs, task.outputs) == ({}, {})


def test_asking_for_lineage_sends_nothing_and_asks_airflow_for_nothing(
    sandbox_crm: SandboxCrm, lead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ran(EspoListRecordsOperator(task_id="t", entity_type="Lead"))
    before = len(sandbox_crm.sent)
    monkeypatch.delenv("AIRFLOW_CONN_ESPO_DEFAULT")
    assert task.inputs == {in_crm("Lead"): 1}
    assert len(sandbox_crm.sent) == before


def test_a_request_of_ones_own_leaves_the_word_to_hook_lineage(lead: str) -> None:
    found = ran(EspoRequestOperator(task_id="t", path=f"Lead/{lead}")).lineage()
    assert (found.inputs, found.outputs) == ([], [])


def test_without_openlineage_there_is_nothing_to_tell(lead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ran(EspoListRecordsOperator(task_id="t", entity_type="Lead"))
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("airflow.providers.openlineage"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert task.task.get_openlineage_facets_on_complete(None) is None


def test_no_value_of_a_record_and_no_secret_is_told(sandbox_crm: SandboxCrm, lead: str) -> None:
    create = EspoCreateRecordOperator(
        task_id="t",
        entity_type="Lead",
        attributes={"lastName": "Wisniewska", "phoneNumber": "+48500100200"},
        outlets=[LEADS],
    )
    get = EspoGetRecordOperator(task_id="t", entity_type="Lead", record_id=lead)
    for task in (ran(create), ran(get)):
        told = json.dumps([repr(task.lineage()), repr(task.task.facts), str(task.events)])
        for value in ("Wisniewska", "+48500100200", "Nowak", "nowak@example.com", API_KEY):
            assert value not in told
        assert sandbox_crm.credentials["api_key"] not in told


# --- all of them

#: Tasks that touch no records, and those of which only the request tells.
WITHOUT = {
    "EspoJobSensor",
    "EspoPlanPartitionsOperator",
    "EspoPreflightOperator",
    "EspoRegisterWebhookOperator",
    "EspoRequestOperator",
    "EspoUnregisterWebhookOperator",
}


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_every_task_says_what_it_reads_and_writes(task: type[Any]) -> None:
    named = [*task.reads, *task.writes, *task.reads_files, *task.writes_files]
    assert bool(named) is (task.__name__ not in WITHOUT)
    arguments = arguments_of(task)
    assert [name for name in named if not name[0].isupper() and name not in arguments] == []


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_what_a_task_returns_is_taken_wherever_it_returns(task: type[Any]) -> None:
    for name in ("execute", "execute_complete"):
        for one in task.__mro__:
            if name in vars(one) and issubclass(one, EspoTask):
                assert "noting" in vars(one)[name].__code__.co_name
