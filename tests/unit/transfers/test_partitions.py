"""One extraction over mapped tasks is as whole as one over a single task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.transfers.partitions import EspoCompletePartitionsOperator, EspoPlanPartitionsOperator
from airflow_provider_espo.where import equals
from tests.unit.airflows import AirflowSkipException
from tests.unit.sandbox_crm import Killed, SandboxCrm, stored
from tests.unit.transfers.changes import leads
from tests.unit.transfers.running import Runs, dataset, files_in, ids_in

LEADS = Asset("leads", uri="espo://crm.example.com/Lead")


def planning(**given: Any) -> EspoPlanPartitionsOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "partitions": 4, "min_records": 1, "page_size": 3}
    return EspoPlanPartitionsOperator(task_id="plan", **(arguments | given))


def extraction(folder: Path, partition: Any, **given: Any) -> EspoToObjectStorageOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "select": ["status"], "page_size": 3, "parts": 2}
    return EspoToObjectStorageOperator(task_id="extract", path=str(folder), partition=partition, **(arguments | given))


def completion(folder: Path, plan: Any, **given: Any) -> EspoCompletePartitionsOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "partitions": plan}
    return EspoCompletePartitionsOperator(task_id="complete", path=str(folder), **(arguments | given))


class Flow:
    """Plan, mapped tasks and completion of one DAG."""

    def __init__(self, runs: Runs, folder: Path, **given: Any) -> None:
        self.runs = runs
        self.folder = folder
        self.of_plan = {name: given.pop(name) for name in ("incremental_by", "inlets", "partitions") if name in given}
        self.of_complete = {name: given.pop(name) for name in ("outlets", "tolerance") if name in given}
        self.of_both = {name: given.pop(name) for name in ("where",) if name in given}
        self.of_extraction = {name: given[name] for name in given if name != "skip_if_empty"}
        self.of_dataset = {
            name: given[name] for name in ("overwrite", "deleted", "schema_drift", "skip_if_empty") if name in given
        }

    def plan(self, run_id: str = "run") -> Any:
        return stored(self.runs(planning(**self.of_plan, **self.of_both), run_id))

    def extract(self, plan: Any, number: int, run_id: str = "run", **given: Any) -> Any:
        task = extraction(self.folder, plan[number], **self.of_extraction, **self.of_both)
        return self.runs(task, run_id, map_index=number, **given)

    def complete(self, plan: Any, run_id: str = "run", **given: Any) -> Any:
        task = completion(self.folder, plan, **self.of_complete, **self.of_dataset, **self.of_both)
        return self.runs(task, run_id, **given)

    def __call__(self, run_id: str = "run") -> Any:
        plan = self.plan(run_id)
        for number in reversed(range(len(plan))):
            self.extract(plan, number, run_id)
        return self.complete(plan, run_id)


@pytest.fixture
def flow(runs: Runs, tmp_path: Path) -> Flow:
    return Flow(runs, tmp_path / "leads")


# --- the whole


@pytest.mark.parametrize("file_format", ["ndjson", "parquet"])
def test_the_parts_make_one_dataset_with_every_record_once(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, file_format: str
) -> None:
    made = leads(sandbox_crm, 30)
    flow = Flow(runs, tmp_path, file_format=file_format)
    plan = flow.plan()
    assert [one["number"] for one in plan] == [0, 1, 2, 3]
    counts = [flow.extract(plan, number)["records"] for number in range(4)]
    assert counts == [one["expected"] for one in plan]
    assert "_manifest.json" not in files_in(tmp_path)
    result = flow.complete(plan)
    assert ids_in(tmp_path) == made
    assert (result["records"], result["action"]) == (30, "written")
    manifest = dataset(tmp_path).manifest
    assert manifest is not None
    assert [one.part.number for one in manifest.parts] == list(range(len(manifest.parts)))
    assert sum(one.records for one in manifest.parts) == 30
    assert sum(one.records for one in manifest.files if one.part == 0) == manifest.parts[0].records


def test_few_records_make_few_parts(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 7)
    assert len(runs(planning(min_records=3, partitions=50))) == 2
    assert len(runs(planning(min_records=1_000))) == 1
    flow = Flow(runs, tmp_path)
    flow()
    assert ids_in(tmp_path) == made


def test_nothing_is_an_empty_dataset(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    assert Flow(runs, tmp_path)()["records"] == 0
    with pytest.raises(AirflowSkipException):
        Flow(runs, tmp_path / "2", skip_if_empty=True)("2")


def test_run_after_run_brings_what_is_new_and_what_is_gone(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 12)
    sandbox_crm.pass_time(10)
    given: dict[str, Any] = {"incremental_by": "modifiedAt", "deleted": "detect", "inlets": [LEADS], "outlets": [LEADS]}
    first = Flow(runs, tmp_path / "1", **given)("1")
    assert ids_in(tmp_path / "1") == made
    assert list(runs.assets["leads"].values()) == [
        {
            "watermark": first["watermark"],
            "dataset": str(tmp_path / "1"),
            "run": json.loads(files_in(tmp_path / "1")["_manifest.json"])["run"],
        }
    ]
    sandbox_crm.asker.ok("DELETE", f"Lead/{made[2]}")
    sandbox_crm.asker.ok("PUT", f"Lead/{made[7]}", {"status": "Dead"})
    new = leads(sandbox_crm, 3)
    sandbox_crm.pass_time(10)
    result = Flow(runs, tmp_path / "2", **given)("2")
    assert ids_in(tmp_path / "2") == sorted([made[7], *new])
    assert [row["id"] for row in dataset(tmp_path / "2").deleted()] == [made[2]]
    assert (result["records"], result["deleted"]) == (4, 1)
    assert Flow(runs, tmp_path / "3", **given)("3")["records"] == 0
    # One task goes on where the mapped ones ended.
    assert runs.variables == {}


def test_what_an_earlier_run_handed_out_counts_as_read(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leads(sandbox_crm, 12)
    sandbox_crm.pass_time(10)
    given: dict[str, Any] = {"incremental_by": "modifiedAt", "tolerance": 0.0, "records_per_file": 2}
    Flow(runs, tmp_path / "1", **given)("1")
    new = leads(sandbox_crm, 8)
    sandbox_crm.pass_time(10)
    flow = Flow(runs, tmp_path / "2", **given)
    plan = flow.plan("2")
    assert sum(one["expected"] for one in plan) == 20
    for number in range(len(plan)):
        sandbox_crm.kill_at(4, carried_out=True)
        with pytest.raises(Killed):
            flow.extract(plan, number, "2")
        sandbox_crm.live()
        flow.extract(plan, number, "2", try_number=2)
    assert flow.complete(plan, "2")["records"] == 8
    assert ids_in(tmp_path / "2") == new
    assert "records were read" not in capsys.readouterr().out


def test_all_parts_share_one_window(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 8)
    sandbox_crm.pass_time(10)
    flow = Flow(runs, tmp_path, incremental_by="createdAt")
    plan = flow.plan()
    flow.extract(plan, 0)
    late = leads(sandbox_crm, 4)
    sandbox_crm.pass_time(100)
    for number in range(1, len(plan)):
        flow.extract(plan, number)
    flow.complete(plan)
    assert ids_in(tmp_path) == made
    Flow(runs, tmp_path / "next", incremental_by="createdAt")("next")
    assert ids_in(tmp_path / "next") == late


def test_a_backfill_over_mapped_tasks_moves_no_watermark(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    leads(sandbox_crm, 3)
    sandbox_crm.pass_time(3600)
    made = leads(sandbox_crm, 9)
    sandbox_crm.pass_time(3600)
    leads(sandbox_crm, 3)
    bounds = {"start": "2026-03-01T07:00:00+00:00", "end": "2026-03-01T08:00:00+00:00"}
    for name in ("1", "2"):
        plan = stored(runs(planning(incremental_by="createdAt", **bounds)))
        for number, partition in enumerate(plan):
            runs(extraction(tmp_path / name, partition), map_index=number)
        assert runs(completion(tmp_path / name, plan))["watermark"] is None
    assert ids_in(tmp_path / "1") == made
    assert {name: data for name, data in files_in(tmp_path / "1").items() if name.startswith("Lead")} == {
        name: data for name, data in files_in(tmp_path / "2").items() if name.startswith("Lead")
    }
    assert runs.variables == {}


# --- tries


def test_no_death_at_any_request_loses_or_doubles_a_record(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = leads(sandbox_crm, 20)
    for number in range(1, 7):
        flow = Flow(runs, tmp_path / str(number), records_per_file=3, partitions=2)
        plan = flow.plan()
        for map_index in range(2):
            sandbox_crm.kill_at(number, carried_out=bool(number % 2))
            with pytest.raises(Killed):
                flow.extract(plan, map_index)
            sandbox_crm.live()
            flow.extract(plan, map_index, try_number=2)
        flow.complete(plan)
        assert ids_in(tmp_path / str(number)) == made


def test_a_part_that_was_stored_is_taken_up_by_a_retry_and_written_anew_when_cleared(
    sandbox_crm: SandboxCrm, flow: Flow
) -> None:
    leads(sandbox_crm, 8)
    plan = flow.plan()
    assert flow.extract(plan, 0)["action"] == "written"
    before = files_in(flow.folder)
    assert flow.extract(plan, 0, try_number=2)["action"] == "taken_up"
    assert files_in(flow.folder) == before
    assert flow.extract(plan, 0, clears=1)["action"] == "written"
    # What a manifest might name is still there as it was.
    assert {name: data for name, data in files_in(flow.folder).items() if name in before and name[0] != "_"} == {
        name: data for name, data in before.items() if name[0] != "_"
    }


def test_completion_may_die_and_be_tried_again(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = leads(sandbox_crm, 8)
    sandbox_crm.pass_time(10)
    flow = Flow(runs, tmp_path, incremental_by="modifiedAt")
    plan = flow.plan()
    for number in range(len(plan)):
        flow.extract(plan, number)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_espo.transfers.watermarks.WatermarkStore.move", die)
        with pytest.raises(Killed):
            flow.complete(plan)
    assert runs.variables == {}
    assert flow.complete(plan, try_number=2)["action"] == "taken_up"
    assert ids_in(tmp_path) == made
    assert len(runs.variables) == 1
    # Cleared alone, it finds all it needs.
    assert flow.complete(plan, clears=1)["action"] == "taken_up"
    assert ids_in(tmp_path) == made


def test_parts_that_were_cleared_replace_those_before(sandbox_crm: SandboxCrm, flow: Flow) -> None:
    flow.of_extraction["overwrite"] = flow.of_dataset["overwrite"] = True
    made = leads(sandbox_crm, 8)
    plan = flow.plan()
    for number in range(len(plan)):
        flow.extract(plan, number)
    flow.complete(plan)
    sandbox_crm.asker.ok("DELETE", f"Lead/{made[0]}")
    flow.extract(plan, 0, clears=1)
    assert ids_in(flow.folder) == made
    assert flow.complete(plan, clears=1)["action"] == "written"
    assert ids_in(flow.folder) == made[1:]


# --- what does not fit


def test_a_missing_part_is_found(sandbox_crm: SandboxCrm, flow: Flow) -> None:
    leads(sandbox_crm, 8)
    plan = flow.plan()
    for number in (0, 1, 3):
        flow.extract(plan, number)
    with pytest.raises(EspoInputError, match="Part 2 of 4"):
        flow.complete(plan)
    assert "_manifest.json" not in files_in(flow.folder)


def test_a_file_that_went_or_changed_its_size_is_found(sandbox_crm: SandboxCrm, flow: Flow) -> None:
    leads(sandbox_crm, 8)
    plan = flow.plan()
    for number in range(4):
        flow.extract(plan, number)
    name = next(name for name in files_in(flow.folder) if name.startswith("Lead-"))
    (flow.folder / name).write_bytes(b"{}\n")
    with pytest.raises(EspoInputError, match=name):
        flow.complete(plan)
    (flow.folder / name).unlink()
    with pytest.raises(EspoInputError, match=name):
        flow.complete(plan)
    assert "_manifest.json" not in files_in(flow.folder)


@pytest.mark.parametrize("broken", ["gap", "short", "mixed", "text", "empty", "another type"])
def test_a_plan_that_is_none_is_refused(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, broken: str) -> None:
    leads(sandbox_crm, 8)
    plan: Any = stored(runs(planning()))
    if broken == "gap":
        plan[1]["after"] = plan[1]["up_to"]
    elif broken == "short":
        plan = plan[:-1]
    elif broken == "mixed":
        plan[0] = stored(runs(planning(), "other"))[0]
    elif broken == "text":
        plan = json.dumps(plan)
    elif broken == "empty":
        plan = []
    else:
        plan = stored(runs(planning(entity_type="Account")))
    with pytest.raises(EspoInputError):
        runs(completion(tmp_path, plan))
    assert files_in(tmp_path) == {}


def test_parts_of_different_questions_do_not_make_one_dataset(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    leads(sandbox_crm, 8)
    plan = stored(runs(planning(partitions=2)))
    runs(extraction(tmp_path, plan[0]), map_index=0)
    runs(extraction(tmp_path, plan[1], select=["status", "name"]), map_index=1)
    with pytest.raises(EspoInputError, match="Part 1 was stored with other attributes"):
        runs(completion(tmp_path, plan))


def test_a_task_with_another_filter_than_the_plan_is_refused(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    leads(sandbox_crm, 4)
    plan = stored(runs(planning(where=[equals("status", "New")])))
    with pytest.raises(EspoInputError, match="another entity type or filter"):
        runs(extraction(tmp_path, plan[0]), map_index=0)
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("given", [{"incremental_by": "createdAt"}, {"lag": 5}, {"watermark_key": "key"}])
def test_the_window_is_the_plans(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, given: dict[str, Any]) -> None:
    plan = stored(runs(planning(incremental_by="modifiedAt")))
    with pytest.raises(EspoInputError, match="the plan's"):
        runs(extraction(tmp_path, plan[0], **given), map_index=0)


def test_counts_that_differ_from_the_plan_are_told_and_refused_beyond_the_tolerance(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = leads(sandbox_crm, 8)
    flow = Flow(runs, tmp_path)
    plan = flow.plan()
    sandbox_crm.asker.ok("DELETE", f"Lead/{made[0]}")
    for number in range(len(plan)):
        flow.extract(plan, number)
    flow.of_complete["tolerance"] = 0.1
    with pytest.raises(EspoInputError, match="7 records were read and 8 planned"):
        flow.complete(plan)
    flow.of_complete["tolerance"] = 0.2
    assert flow.complete(plan)["records"] == 7
    assert "7 records were read, 8 were there" in capsys.readouterr().out


def test_more_parts_than_airflow_maps_are_refused(
    sandbox_crm: SandboxCrm, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "10")
    with pytest.raises(EspoInputError, match="max_map_length"):
        runs(planning(partitions=11))
    assert sandbox_crm.sent == []
    assert runs(planning(partitions=10))


@pytest.mark.parametrize("partitions", [0, -1, "many", None])
def test_a_number_of_parts_that_is_none_is_refused(sandbox_crm: SandboxCrm, runs: Runs, partitions: Any) -> None:
    with pytest.raises(EspoInputError, match="partitions"):
        runs(planning(partitions=partitions))


@pytest.mark.parametrize("least", [0, "5", None, True])
def test_a_size_of_parts_that_is_none_is_refused(sandbox_crm: SandboxCrm, runs: Runs, least: Any) -> None:
    with pytest.raises(EspoInputError, match="min_records"):
        runs(planning(min_records=least))


@pytest.mark.parametrize("tolerance", [-0.1, "0.1", True, float("nan")])
def test_a_tolerance_that_is_none_is_refused_even_where_the_counts_agree(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, tolerance: Any
) -> None:
    flow = Flow(runs, tmp_path, tolerance=tolerance)
    with pytest.raises(EspoInputError, match="tolerance"):
        flow()


def test_the_watermark_is_kept_where_it_was_read(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    flow = Flow(runs, tmp_path, incremental_by="modifiedAt", outlets=[LEADS])
    with pytest.raises(EspoInputError, match="as inlet"):
        flow()
    assert runs.assets.get("leads", {}) == {}


def test_deleted_records_need_a_run_before(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    plan = stored(runs(planning()))
    with pytest.raises(EspoInputError, match="there is none"):
        runs(extraction(tmp_path, plan[0], deleted="detect"), map_index=0)
    with pytest.raises(EspoInputError, match="there is none"):
        runs(completion(tmp_path, plan, deleted="detect"))


def test_another_runs_dataset_is_not_replaced_unless_that_is_said(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    leads(sandbox_crm, 4)
    Flow(runs, tmp_path)("1")
    before = files_in(tmp_path)
    plan = stored(runs(planning(), "2"))
    with pytest.raises(EspoInputError, match="another run"):
        runs(extraction(tmp_path, plan[0]), "2", map_index=0)
    assert files_in(tmp_path) == before
    made = leads(sandbox_crm, 4)
    Flow(runs, tmp_path, overwrite=True)("2")
    assert set(made) < set(ids_in(tmp_path))
    assert not {name for name in files_in(tmp_path) if name in before and name != "_manifest.json"}
