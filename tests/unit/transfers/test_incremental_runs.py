"""Run after run brings what is new: nothing is lost, nothing comes twice as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import Asset
from airflow.sdk.io import attach

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.where import equals
from tests.unit.crm import page, refusal
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.changes import change, delete, extraction, lead
from tests.unit.transfers.running import Runs, dataset, files_in, ids_in

LEADS = Asset("leads", uri="espo://crm.example.com/Lead")


# --- windows and watermarks


def test_each_run_brings_what_is_new_since_the_last_one(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    first, second = lead(sandbox_crm), lead(sandbox_crm)
    sandbox_crm.pass_time(1)
    result = runs(extraction(tmp_path / "1"), "1")
    assert ids_in(tmp_path / "1") == sorted([first, second])
    assert result["watermark"] == "2026-03-01 06:00:01"
    sandbox_crm.pass_time(1000)
    change(sandbox_crm, second, status="Dead")
    third = lead(sandbox_crm)
    sandbox_crm.pass_time(1)
    runs(extraction(tmp_path / "2"), "2")
    assert ids_in(tmp_path / "2") == sorted([second, third])
    assert runs(extraction(tmp_path / "3"), "3")["records"] == 0


def test_what_changes_in_the_second_in_which_a_run_begins_comes_with_the_next_one(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    early = lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    late = lead(sandbox_crm)
    runs(extraction(tmp_path / "1"), "1")
    change(sandbox_crm, late, status="Dead")
    sandbox_crm.pass_time(1)
    runs(extraction(tmp_path / "2"), "2")
    assert ids_in(tmp_path / "1") == [early]
    assert [(row["id"], row["status"]) for row in dataset(tmp_path / "2").rows()] == [(late, "Dead")]


def test_what_was_stored_late_comes_within_the_lag_and_once(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    known = lead(sandbox_crm)
    sandbox_crm.pass_time(100)
    runs(extraction(tmp_path / "1", lag=timedelta(minutes=5)), "1")
    # Its transaction took a minute: it bears a moment of the last window.
    sandbox_crm.now -= timedelta(seconds=60)
    late = lead(sandbox_crm)
    sandbox_crm.now += timedelta(seconds=120)
    for number in ("2", "3"):
        runs(extraction(tmp_path / number, lag=timedelta(minutes=5)), number)
    assert ids_in(tmp_path / "1") == [known]
    assert ids_in(tmp_path / "2") == [late]
    assert ids_in(tmp_path / "3") == []


def test_a_record_within_the_lag_that_changed_comes_again(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    changed = lead(sandbox_crm)
    lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "1"), "1")
    change(sandbox_crm, changed, status="Dead")
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "2"), "2")
    assert ids_in(tmp_path / "2") == [changed]


def test_without_what_the_last_run_handed_out_the_lag_comes_again_and_that_is_told(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "1"), "1")
    for one in (tmp_path / "1").iterdir():
        one.unlink()
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "2"), "2")
    assert ids_in(tmp_path / "2") == [known]
    assert "come once more" in capsys.readouterr().out


def test_a_clock_that_was_set_back_does_not_take_the_watermark_along(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    lead(sandbox_crm)
    sandbox_crm.pass_time(100)
    first = runs(extraction(tmp_path / "1"), "1")
    sandbox_crm.now -= timedelta(seconds=50)
    assert runs(extraction(tmp_path / "2"), "2")["watermark"] == first["watermark"]


def test_a_watermark_far_ahead_of_the_servers_clock_is_refused(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    runs(extraction(tmp_path / "1", watermark_key="mine"), "1")
    sandbox_crm.now -= timedelta(days=1)
    lead(sandbox_crm)
    sandbox_crm.pass_time(1)
    with pytest.raises(EspoInputError, match="would be missed"):
        runs(extraction(tmp_path / "2", watermark_key="mine"), "2")
    assert files_in(tmp_path / "2") == {}
    runs.variables["mine"] = json.dumps({"watermark": str(sandbox_crm.now - timedelta(hours=1))})
    assert runs(extraction(tmp_path / "2", watermark_key="mine"), "2")["records"] == 1


def test_numbers_may_be_fewer_than_they_were(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    runs.variables["mine"] = json.dumps({"watermark": 5000})
    cases = extraction(
        tmp_path, entity_type="Case", select=["name"], incremental_by="number", watermark_key="mine", lag=0
    )
    assert runs(cases)["watermark"] == 5000


def test_where_the_server_does_not_tell_the_time_our_clock_does_with_a_margin(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = sandbox_crm.answer

    def without_date(*sent: Any) -> Any:
        reply = answer(*sent)
        assert isinstance(reply.headers, dict)
        reply.headers.pop("Date", None)
        return reply

    monkeypatch.setattr(sandbox_crm, "answer", without_date)
    before = datetime.now(UTC)
    result = runs(extraction(tmp_path), "1")
    told = datetime.fromisoformat(result["watermark"]).replace(tzinfo=UTC)
    assert timedelta(seconds=50) < before - told < timedelta(seconds=90)


@pytest.mark.parametrize("by", ["createdAt", "number"])
def test_by_creation_only_new_records_come(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, by: str) -> None:
    def cases(number: int) -> list[str]:
        return sorted(sandbox_crm.asker.create("Case", name="A case")["id"] for _ in range(number))

    old = cases(7)
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "1", entity_type="Case", incremental_by=by), "1")
    sandbox_crm.asker.ok("PUT", f"Case/{old[0]}", {"status": "Assigned"})
    new = cases(3)
    sandbox_crm.pass_time(10)
    runs(extraction(tmp_path / "2", entity_type="Case", incremental_by=by), "2")
    assert ids_in(tmp_path / "1") == old
    assert ids_in(tmp_path / "2") == new
    assert runs(extraction(tmp_path / "3", entity_type="Case", incremental_by=by), "3")["records"] == 0


def test_the_watermark_is_kept_by_the_asset_where_airflow_can(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    runs(extraction(tmp_path / "1", outlets=[LEADS]), "1")
    ((key, value),) = runs.assets["leads"].items()
    assert key.startswith("espo_watermark__dag__extract__")
    assert value["watermark"] == "2026-03-01 06:00:00"
    assert runs.variables == {}


def test_the_watermark_is_kept_in_a_variable_otherwise(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    runs = Runs(has_asset_stores=False)
    runs(
        extraction(tmp_path / "1", outlets=[LEADS], watermark_key="leads_{{ params.region }}"), params={"region": "eu"}
    )
    assert json.loads(runs.variables["leads_eu"])["watermark"] == "2026-03-01 06:00:00"


def test_a_watermark_may_be_set_by_hand(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    lead(sandbox_crm)
    sandbox_crm.pass_time(1000)
    new = lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    runs.variables["mine"] = '"2026-03-01T07:10:00+01:00"'
    runs(extraction(tmp_path, watermark_key="mine"), "1")
    assert ids_in(tmp_path) == [new]


def test_another_question_has_another_watermark(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    lead(sandbox_crm, status="New")
    dead = lead(sandbox_crm, status="Dead")
    sandbox_crm.pass_time(1000)
    runs(extraction(tmp_path / "1", where=[equals("status", "New")]), "1")
    runs(extraction(tmp_path / "2", where=[equals("status", "Dead")]), "2")
    assert ids_in(tmp_path / "2") == [dead]
    # What is asked of the records makes no difference.
    runs(extraction(tmp_path / "3", where=[equals("status", "Dead")], select=["name"], schema_drift="warn"), "3")
    assert ids_in(tmp_path / "3") == []


def test_two_tasks_on_one_asset_do_not_mix(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    known = lead(sandbox_crm)
    sandbox_crm.pass_time(1000)
    runs(extraction(tmp_path / "1", outlets=[LEADS]), "1")
    other = extraction(tmp_path / "2", outlets=[LEADS])
    other.task_id = "other"
    runs(other, "1")
    assert ids_in(tmp_path / "2") == [known]


def test_run_after_run_in_an_object_store(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    attach("memory", conn_id="lake", fs=store)
    lake = f"memory://lake@{tmp_path.name}"
    made = [lead(sandbox_crm) for _ in range(6)]
    sandbox_crm.pass_time(10)
    first = runs(extraction(f"{lake}/1", deleted="detect", watermark_key="key"), "1")
    assert first["records"] == 6
    assert json.loads(runs.variables["key"])["dataset"] == first["path"]
    delete(sandbox_crm, made[0])
    change(sandbox_crm, made[1], status="Dead")
    sandbox_crm.pass_time(10)
    result = runs(extraction(f"{lake}/2", deleted="detect", watermark_key="key"), "2")
    assert (result["records"], result["deleted"]) == (1, 1)
    store.rm(f"/{tmp_path.name}", recursive=True)


# --- tries


def test_the_watermark_is_moved_only_after_the_manifest(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    for _ in range(12):
        lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    for number in range(1, 18, 2):
        path, key = tmp_path / str(number), f"key{number}"
        sandbox_crm.kill_at(number, carried_out=True)
        try:
            runs(extraction(path, records_per_file=1, watermark_key=key))
        except Killed:
            assert key not in runs.variables
        sandbox_crm.live()
        runs(extraction(path, records_per_file=1, watermark_key=key), try_number=2)
        assert key in runs.variables
        assert len(ids_in(path)) == 12


def test_a_try_that_died_before_the_watermark_is_finished_by_the_next_one(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = lead(sandbox_crm)
    sandbox_crm.pass_time(10)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_espo.transfers.watermarks.WatermarkStore.move", die)
        with pytest.raises(Killed):
            runs(extraction(tmp_path / "1", watermark_key="key"), "1")
    assert runs.variables == {}
    lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    result = runs(extraction(tmp_path / "1", watermark_key="key"), "1", try_number=2)
    assert result["action"] == "taken_up"
    assert ids_in(tmp_path / "1") == [old]
    assert json.loads(runs.variables["key"])["watermark"] == result["watermark"] == "2026-03-01 06:00:10"


def test_all_tries_of_a_run_have_the_same_window(sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path) -> None:
    made = sorted(lead(sandbox_crm) for _ in range(9))
    sandbox_crm.pass_time(10)
    sandbox_crm.kill_at(5, carried_out=True)
    with pytest.raises(Killed):
        runs(extraction(tmp_path, page_size=2, parts=2))
    sandbox_crm.live()
    lead(sandbox_crm)
    sandbox_crm.pass_time(10)
    result = runs(extraction(tmp_path, page_size=2, parts=2), try_number=2)
    assert ids_in(tmp_path) == made
    assert result["watermark"] == "2026-03-01 06:00:10"


def test_a_run_that_ends_late_does_not_take_the_watermark_back(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lead(sandbox_crm)
    sandbox_crm.pass_time(10)

    def overtake(sent: Any) -> None:
        if sent.path == "Lead" and sent.search.get("maxSize") == 5:
            runs.variables["key"] = '{"watermark": "2026-03-02 00:00:00"}'

    sandbox_crm.before = overtake
    runs(extraction(tmp_path, watermark_key="key"))
    assert json.loads(runs.variables["key"])["watermark"] == "2026-03-02 00:00:00"
    assert "max_active_runs" in caplog.text


@pytest.mark.parametrize("same_folder", [True, False])
def test_a_run_that_never_ended_is_made_up_for_by_the_next_one(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_folder: bool
) -> None:
    def task(name: str) -> EspoToObjectStorageOperator:
        folder = tmp_path / ("all" if same_folder else name)
        return extraction(folder, deleted="detect", overwrite=True)

    def die(*_: object) -> None:
        raise Killed

    made = [lead(sandbox_crm) for _ in range(8)]
    sandbox_crm.pass_time(10)
    runs(task("1"), "1")
    delete(sandbox_crm, made[0])
    change(sandbox_crm, made[1], status="Dead")
    sandbox_crm.pass_time(10)
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_espo.transfers.watermarks.WatermarkStore.move", die)
        for try_number in (1, 2, 3):
            with pytest.raises(Killed):
                runs(task("2"), "2", try_number=try_number)
    change(sandbox_crm, made[2], status="Dead")
    sandbox_crm.pass_time(10)
    result = runs(task("3"), "3")
    assert ids_in(result["path"]) == sorted(made[1:3])
    assert [row["id"] for row in dataset(result["path"]).deleted()] == [made[0]]


# --- backfills


def test_a_window_with_bounds_gives_the_same_files_whenever_it_is_run(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    made = []
    for _ in range(30):
        made.append(lead(sandbox_crm))
        sandbox_crm.pass_time(600)
    bounds = {
        "start": "{{ params.start }}",
        "end": "{{ params.end }}",
        "records_per_file": 5,
        "parts": 2,
        "file_format": "csv",
        "compression": "gzip",
    }
    params = {"start": "2026-03-01T07:00:00+00:00", "end": "2026-03-01T09:00:00+00:00"}
    first = runs(extraction(tmp_path / "1", **bounds), params=params)
    lead(sandbox_crm)
    sandbox_crm.pass_time(100)
    runs(extraction(tmp_path / "2", **bounds), params=params)
    assert ids_in(tmp_path / "1") == sorted(made[6:18])
    assert files_in(tmp_path / "1") == files_in(tmp_path / "2")
    assert first["watermark"] is None
    assert runs.variables == {}
    # Cleared, with names of its own: the old files stand until the new ones do.
    runs(extraction(tmp_path / "2", overwrite=True, **bounds), clears=1, params=params)
    before, after = dataset(tmp_path / "1").manifest, dataset(tmp_path / "2").manifest
    assert before is not None
    assert after is not None
    assert [one.sha256 for one in before.files] == [one.sha256 for one in after.files]


def test_windows_that_follow_each_other_bring_every_record_once(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    made = []
    for _ in range(20):
        made.append(lead(sandbox_crm))
        sandbox_crm.pass_time(1800)
    found: list[str] = []
    for hour in range(6, 17):
        start, end = f"2026-03-01 {hour:02}:00:00", f"2026-03-01 {hour + 1:02}:00:00"
        runs(extraction(tmp_path / str(hour), incremental_by="createdAt", start=start, end=end), str(hour))
        found += ids_in(tmp_path / str(hour))
    assert sorted(found) == sorted(made)


# --- attributes that do not do


def test_an_attribute_that_the_crm_does_not_order_by_is_refused(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    sandbox_crm.on("GET", "Lead", refusal(403, "Forbidden order by"))
    with pytest.raises(EspoInputError, match="does not order Lead by modifiedAt"):
        runs(extraction(tmp_path))
    assert files_in(tmp_path) == {}


def test_an_attribute_that_the_crm_does_not_show_is_refused(
    sandbox_crm: SandboxCrm, runs: Runs, tmp_path: Path
) -> None:
    sandbox_crm.on("GET", "Lead", page({"id": "6746d1f3a0b1c2d3e"}))
    with pytest.raises(EspoInputError, match="does not show modifiedAt"):
        runs(extraction(tmp_path))
    assert files_in(tmp_path) == {}
