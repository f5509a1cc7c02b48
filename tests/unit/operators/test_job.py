"""Export and import tasks: waited for on a worker or in the triggerer, killed at any request, told as they ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_espo.exceptions import EspoConnectionError, EspoInputError, EspoJobError, EspoUnknownNameError
from airflow_provider_espo.operators.job import EspoExportOperator, EspoImportOperator
from airflow_provider_espo.where import equals
from tests.unit.airflows import TaskDeferred
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import LEAD, answering
from tests.unit.file_crm import Lost
from tests.unit.job_crm import EXPORTED, JobCrm
from tests.unit.running import Store, TaskInstance, run_task
from tests.unit.sandbox_crm import Killed, run_deferrable

CSV = "First,Last,Mail,Junk\nIda,Nowak,ida@example.com,x\nIvo,Kral,ivo@example.com,y\n"
COLUMNS = ["firstName", "lastName", "emailAddress", None]
WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
STORES = pytest.mark.parametrize("stored", [True, False], ids=["store", "no store"])
AFTER = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    real_sleep = asyncio.sleep

    async def sleep(_: float, result: Any = None) -> Any:
        await real_sleep(0)
        return result

    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(asyncio, "sleep", sleep)


@pytest.fixture
def crm(connect: ConnectionSetter) -> Iterator[JobCrm]:
    connect()
    with answering(new_crm()) as one:
        assert isinstance(one, JobCrm)
        yield one


def new_crm() -> JobCrm:
    crm = JobCrm()
    # Whatever the clock of the machine says, and after the dag run began.
    crm.created_at = "2099-01-01 00:00:00"
    return crm


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    path.write_text(CSV)
    return path


def run(task: Any, **given: Any) -> Any:
    return run_deferrable(task, **given) if task.deferrable else run_task(task, **given)


def export(path: Any, **given: Any) -> EspoExportOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "deferrable": False, "retries": 50}
    return EspoExportOperator(task_id="export", path=path, **(arguments | given))


def load(path: Any = None, **given: Any) -> EspoImportOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "deferrable": False, "retries": 50}
    if path is not None:
        arguments |= {"path": str(path), "columns": COLUMNS}
    return EspoImportOperator(task_id="import", **(arguments | given))


def killed_and_again(crm: JobCrm, task: Any, store: Store | None, kill_at: int, after: bool) -> tuple[int, Any]:
    """Kill the task at its n-th request and run it again; return how many requests there were, and the result."""
    answer: Callable[..., Any] = crm.answer
    count = 0

    def dying(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count != kill_at:
            return answer(*args)
        if after:
            answer(*args)
        raise Killed

    crm.answer = dying  # type: ignore[method-assign, assignment]
    try:
        try:
            result = run(task, store=store, ti=TaskInstance(try_number=1, max_tries=50))
        except Killed:
            result = run(task, store=store, ti=TaskInstance(try_number=2, max_tries=50))
    finally:
        crm.answer = answer  # type: ignore[method-assign]
    return count, result


# --- export


@WAYS
def test_an_export_is_waited_for_and_fetched(crm: JobCrm, tmp_path: Path, deferrable: bool) -> None:
    path = tmp_path / "out" / "leads.csv"
    result = run(export(str(path), deferrable=deferrable))
    assert path.read_bytes() == EXPORTED
    (job_id,) = crm.exports
    assert result == {
        "job_id": job_id,
        "attachment_id": crm.exports[job_id],
        "name": "Export_Lead.csv",
        "path": str(path),
        "size": len(EXPORTED),
        "sha256": result["sha256"],
    }


# A newer universal_pathlib warns of what Airflow 3.1 does with it.
@pytest.mark.filterwarnings("ignore:in a future version of UPath")
def test_an_export_may_go_into_an_object_store(crm: JobCrm) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    run(export("memory://exports/{{ params.day }}/", file_format="xlsx"), params={"day": "2026-03-01"})
    with ObjectStoragePath("memory://exports/2026-03-01/Export_Lead.xlsx").open("rb") as written:
        assert written.read() == EXPORTED


def test_what_is_exported_may_be_templated(crm: JobCrm, tmp_path: Path) -> None:
    task = export(
        str(tmp_path / "x"), where=[equals("status", "{{ params.status }}")], select=["id", "name"], order="desc"
    )
    run(task, params={"status": "New"})
    body = crm.calls("POST", "Export")[0].json
    assert body["searchParams"]["where"] == [equals("status", "New")]
    assert (body["attributeList"], body["searchParams"]["order"]) == (["id", "name"], "desc")


@pytest.mark.parametrize(
    "wrong",
    [{"ids": []}, {"ids": [LEAD], "where": []}, {"file_format": "pdf"}, {"select": ["nope"]}, {"path": ""}],
    ids=lambda one: next(iter(one)),
)
def test_a_wrong_export_is_refused_before_anything_is_started(
    crm: JobCrm, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    given = {"path": str(tmp_path / "x")} | wrong
    with pytest.raises((EspoInputError, EspoUnknownNameError)):
        run(export(**given))
    assert crm.exports == {}


def test_an_export_that_ended_without_a_file_is_an_error(crm: JobCrm, tmp_path: Path) -> None:
    crm.on("GET", "Export/000000000000001e0/status", {"status": "Success", "attachmentId": None})
    with pytest.raises(EspoJobError, match="without a file"):
        run(export(str(tmp_path / "x")))


@WAYS
def test_an_export_that_failed_is_an_error_and_a_retry_starts_another(
    crm: JobCrm, tmp_path: Path, deferrable: bool
) -> None:
    store, task = Store(), export(str(tmp_path / "x"), deferrable=deferrable)
    crm.ends_as["export"] = "Failed"
    with pytest.raises(EspoJobError):
        run(task, store=store, ti=TaskInstance(try_number=1, max_tries=50))
    crm.ends_as["export"] = "Success"
    run(task, store=store, ti=TaskInstance(try_number=2, max_tries=50))
    assert len(crm.exports) == 2


@AFTER
@STORES
@WAYS
def test_an_export_killed_at_any_request_and_tried_again_ends_as_one_that_was_not(
    connect: ConnectionSetter, tmp_path: Path, deferrable: bool, stored: bool, after: bool
) -> None:
    connect()
    kill_at, requests = 0, 1
    while kill_at < requests:
        kill_at += 1
        path = tmp_path / f"{kill_at}.csv"
        with answering(new_crm()) as crm:
            assert isinstance(crm, JobCrm)
            task = export(str(path), deferrable=deferrable)
            requests, result = killed_and_again(crm, task, Store() if stored else None, kill_at, after)
            assert path.read_bytes() == EXPORTED
            assert result["job_id"] in crm.exports
            # With a store only a job whose id had not come back yet is started again.
            lost = [(sent.method, sent.path) == POST_EXPORT for sent in crm.sent].index(True) + 1
            if stored and after and kill_at != lost:
                assert len(crm.exports) == 1, f"killed at request {kill_at}"
    assert kill_at >= 6


POST_EXPORT = ("POST", "Export")


# --- import


@WAYS
def test_an_import_is_waited_for_and_counted(crm: JobCrm, file: Path, deferrable: bool) -> None:
    result = run(load(file, deferrable=deferrable))
    assert [row["lastName"] for row in crm.imported] == ["Nowak", "Kral"]
    (job_id,) = crm.imports
    assert result == {
        "job_id": job_id,
        "created": 2,
        "updated": 0,
        "duplicates": 0,
        "failed": 0,
        "skipped": 0,
        "errors_path": None,
        "size": len(CSV),
        "sha256": result["sha256"],
    }


def test_records_that_look_like_others_are_counted(crm: JobCrm, file: Path) -> None:
    crm.duplicates = 1
    assert run(load(file))["duplicates"] == 1


def test_rows_may_be_given_instead_of_a_file(crm: JobCrm) -> None:
    rows = [{"lastName": "Nowak, Jr.", "description": 'a "b"\nc'}, {"firstName": "Ida", "lastName": "Kral"}]
    assert run(load(rows=rows))["created"] == 2
    assert crm.imported == [
        {"lastName": "Nowak, Jr.", "description": 'a "b"\nc', "firstName": ""},
        {"lastName": "Kral", "description": "", "firstName": "Ida"},
    ]


def test_columns_may_go_by_the_names_in_the_header(crm: JobCrm, file: Path) -> None:
    run(load(file, columns={"Mail": "emailAddress", "Last": "lastName"}))
    assert crm.calls("POST", "Import")[0].json["attributeList"] == ["", "lastName", "emailAddress", ""]


def test_without_columns_the_header_names_attributes(crm: JobCrm, file: Path) -> None:
    file.write_text("lastName, status\nNowak,New\n")
    run(load(file, columns=None))
    assert crm.imported == [{"lastName": "Nowak", "status": "New"}]


def test_a_file_may_be_written_otherwise(crm: JobCrm, file: Path) -> None:
    file.write_text("Nowak;Ida\n")
    task = load(file, columns=["lastName", "firstName"], csv_format={"delimiter": ";", "header_row": False})
    assert run(task)["created"] == 1
    assert crm.imported == [{"lastName": "Nowak", "firstName": "Ida"}]


@pytest.mark.parametrize("given", [{"rows": []}, {"path": "header only"}])
def test_nothing_to_import_is_a_success_that_starts_nothing(crm: JobCrm, file: Path, given: dict[str, Any]) -> None:
    file.write_text("lastName\n\n")
    task = load(file, columns=["lastName"]) if "path" in given else load(**given)
    result = run(task)
    assert (result["job_id"], result["created"]) == (None, 0)
    assert crm.calls("POST") == []


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"path": None}, "either path or rows"),
        ({"rows": [{"lastName": "x"}]}, "either path or rows"),
        ({"columns": ["lastName", "nope", None, None]}, "nope"),
        ({"columns": ["lastName"]}, "4 columns and columns names 1"),
        ({"columns": {"Lastt": "lastName"}}, "no column 'Lastt'"),
        ({"columns": None}, "'First'"),
        ({"action": "update"}, "update_by"),
        ({"csv_format": {"delimeter": ";"}}, "delimeter"),
        ({"csv_format": {"delimiter": "||"}}, "one character"),
        ({"max_errors": "many"}, "max_errors"),
        ({"path": "/nowhere/x.csv"}, "cannot be read"),
        ({"errors_path": ""}, "errors_path"),
    ],
)
def test_a_wrong_import_is_refused_before_anything_is_sent(
    crm: JobCrm, file: Path, wrong: dict[str, Any], match: str
) -> None:
    with pytest.raises((EspoInputError, EspoUnknownNameError), match=match):
        run(load(**({"path": file, "columns": COLUMNS} | wrong)))
    assert crm.calls("POST") == []


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"rows": [{"lastName": "x"}, 5]}, "Row 2"),
        ({"rows": {"lastName": "x"}}, "list of dicts"),
        ({"rows": [{"lastName": {"a"}}]}, "Row 1: lastName"),
        ({"rows": [{"nope": "x"}]}, "nope"),
        ({"rows": [{"lastName": "x"}], "columns": ["firstName"]}, "lastName, which columns does not name"),
        ({"rows": [{"lastName": "x"}], "columns": {"a": "lastName"}}, "keys are the attributes"),
        ({"rows": [{"lastName": "x"}], "csv_format": {"delimiter": ";"}}, "not about rows"),
    ],
)
def test_wrong_rows_are_refused_before_anything_is_sent(crm: JobCrm, wrong: dict[str, Any], match: str) -> None:
    with pytest.raises((EspoInputError, EspoUnknownNameError), match=match):
        run(load(**wrong))
    assert crm.calls("POST") == []


def test_a_row_with_too_many_values_is_refused_with_its_line(crm: JobCrm, file: Path) -> None:
    file.write_text(CSV + 'Uma,"Z, A",z@example.com,x,y\n')
    with pytest.raises(EspoInputError, match="Line 4 has 5 values for 4 columns"):
        run(load(file))


BAD = "First,Last,Mail,Junk\nIda,Nowak,a,x\nIvo,BAD,secret@example.com,y\nUma,BAD,c,z\n"


def test_rows_that_failed_make_the_task_fail_and_no_value_is_told(crm: JobCrm, file: Path, tmp_path: Path) -> None:
    file.write_text(BAD)
    with pytest.raises(EspoJobError, match=r"2 rows failed \(line 3: status valid; line 4: status valid\)") as caught:
        run(load(file, errors_path=str(tmp_path / "bad.csv")))
    assert "secret" not in str(caught.value)
    assert (tmp_path / "bad.csv").read_text() == "Ivo,BAD,secret@example.com,y\nUma,BAD,c,z\n"


@pytest.mark.parametrize("most", [2, "2", None, 9])
def test_rows_that_may_fail_are_counted(crm: JobCrm, file: Path, tmp_path: Path, most: Any) -> None:
    file.write_text(BAD)
    result = run(load(file, max_errors=most, errors_path=f"{tmp_path}/"))
    assert (result["created"], result["failed"], result["skipped"]) == (1, 2, 0)
    assert result["errors_path"] == str(tmp_path / "Errors.csv")


def test_rows_of_which_espocrm_tells_nothing_are_counted(crm: JobCrm, file: Path) -> None:
    file.write_text("lastName,status\nNowak,Dead\nKral,New\n")
    result = run(load(file, columns=None, action="update", update_by=["lastName"]))
    assert (result["updated"], result["skipped"]) == (1, 1)


@WAYS
def test_a_retry_after_rows_that_failed_imports_nothing_twice(crm: JobCrm, file: Path, deferrable: bool) -> None:
    file.write_text(BAD)
    store, task = Store(), load(file, deferrable=deferrable)
    for try_number in (1, 2):
        with pytest.raises(EspoJobError):
            run(task, store=store, ti=TaskInstance(try_number=try_number, max_tries=50))
    assert len(crm.imports) == 1
    assert len(crm.imported) == 1


@WAYS
@pytest.mark.parametrize("how", ["rows", "job"])
def test_a_failed_import_is_reverted_if_asked_and_a_retry_imports_anew(
    crm: JobCrm, file: Path, deferrable: bool, how: str
) -> None:
    store, task = Store(), load(file, deferrable=deferrable, revert_on_failure=True)
    file.write_text(BAD if how == "rows" else CSV)
    crm.ends_as["import"] = "Complete" if how == "rows" else "Failed"
    with pytest.raises(EspoJobError, match="were deleted"):
        run(task, store=store, ti=TaskInstance(try_number=1, max_tries=50))
    assert crm.imported == []
    file.write_text(CSV)
    crm.ends_as["import"] = "Complete"
    assert run(task, store=store, ti=TaskInstance(try_number=2, max_tries=50))["created"] == 2


@WAYS
def test_a_failed_import_that_is_not_reverted_is_not_started_again(crm: JobCrm, file: Path, deferrable: bool) -> None:
    store, task = Store(), load(file, deferrable=deferrable)
    crm.ends_as["import"] = "Failed"
    for try_number in (1, 2):
        with pytest.raises(EspoJobError):
            run(task, store=store, ti=TaskInstance(try_number=try_number, max_tries=50))
    assert len(crm.imports) == 1


def test_a_failed_import_that_goes_by_a_key_is_started_again(crm: JobCrm, file: Path) -> None:
    store, task = Store(), load(file, action="createAndUpdate", update_by=["emailAddress"])
    crm.ends_as["import"] = "Failed"
    with pytest.raises(EspoJobError):
        run(task, store=store, ti=TaskInstance(try_number=1, max_tries=50))
    crm.ends_as["import"] = "Complete"
    run(task, store=store, ti=TaskInstance(try_number=2, max_tries=50))
    assert len(crm.imports) == 2


@AFTER
@STORES
@WAYS
def test_an_import_killed_at_any_request_and_tried_again_imports_once(
    connect: ConnectionSetter, file: Path, deferrable: bool, stored: bool, after: bool
) -> None:
    connect()
    kill_at, requests = 0, 1
    while kill_at < requests:
        kill_at += 1
        with answering(new_crm()) as crm:
            assert isinstance(crm, JobCrm)
            task = load(file, deferrable=deferrable)
            requests, result = killed_and_again(crm, task, Store() if stored else None, kill_at, after)
            assert [row["lastName"] for row in crm.imported] == ["Nowak", "Kral"], f"killed at request {kill_at}"
            assert (result["created"], list(crm.imports)) == (2, [result["job_id"]])
    assert kill_at >= 6


@AFTER
@STORES
def test_a_reverting_import_killed_at_any_request_is_reverted_to_the_end(
    connect: ConnectionSetter, file: Path, stored: bool, after: bool
) -> None:
    connect()
    file.write_text(BAD)
    kill_at, requests = 0, 1
    while kill_at < requests:
        kill_at += 1
        with answering(new_crm()) as crm:
            assert isinstance(crm, JobCrm)
            task = load(file, revert_on_failure=True)
            with pytest.raises(EspoJobError, match="were deleted"):
                killed_and_again(crm, task, Store() if stored else None, kill_at, after)
            requests = len(crm.sent)
            assert crm.imported == [], f"killed at request {kill_at}"
            assert crm.imports == {}


def test_rows_of_an_import_whose_id_got_lost_are_found_again(crm: JobCrm) -> None:
    rows, store = [{"lastName": "Nowak"}], Store()
    crm.fail("POST", "Import$", Lost, after=True)
    crm.fail("GET", "Import$", Lost, times=10)
    task = load(rows=rows)
    with pytest.raises(EspoConnectionError):
        run(task, store=store, ti=TaskInstance(try_number=1, max_tries=50))
    assert run(task, store=store, ti=TaskInstance(try_number=2, max_tries=50))["created"] == 1
    assert len(crm.imports) == 1


def test_a_cleared_import_imports_anew(crm: JobCrm, file: Path) -> None:
    store, task = Store(), load(file)
    run(task, store=store, ti=TaskInstance(try_number=1, max_tries=50))
    run(task, store=store, ti=TaskInstance(try_number=2, max_tries=51))
    assert len(crm.imports) == 2


@WAYS
def test_a_waiting_import_hands_on_no_value_of_a_record(crm: JobCrm, file: Path, deferrable: bool) -> None:
    if not deferrable:
        store = Store()
        run(load(file), store=store)
        assert "ida@example.com" not in str(dict(store))
        return
    with pytest.raises(TaskDeferred) as caught:
        run_task(load(file, deferrable=True))
    assert "ida@example.com" not in str((caught.value.trigger.serialize(), caught.value.kwargs))
