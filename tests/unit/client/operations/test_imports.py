"""Imports, over both HTTP libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.operations.import_lookup import find_import, find_import_of
from airflow_provider_espo.client.operations.imports import (
    import_errors,
    revert_import,
    start_import,
    upload_import_file,
)
from airflow_provider_espo.client.operations.jobs import job_status
from airflow_provider_espo.exceptions import (
    EspoBadAnswerError,
    EspoConnectionError,
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
    EspoUnknownNameError,
)
from tests.unit.file_crm import Lost, on
from tests.unit.job_crm import JobCrm

Run = Callable[..., Any]

CSV = b"First,Last,Mail,Junk\nIda,Nowak,ida@example.com,x\nIvo,Kral,ivo@example.com,y\n"
COLUMNS = ["firstName", "lastName", "emailAddress", None]
SINCE = datetime(2026, 3, 1, 5, 59, tzinfo=UTC)


@pytest.fixture
def crm() -> JobCrm:
    return JobCrm()


@pytest.fixture(params=["requests", "httpx"])
def run(request: pytest.FixtureRequest, crm: JobCrm) -> Iterator[Run]:
    with on(crm, request.param) as way:
        yield way


def uploaded(run: Run, content: bytes = CSV) -> str:
    return str(run(upload_import_file, content)["attachment_id"])


def sent(crm: JobCrm) -> Any:
    return crm.calls("POST", "Import")[-1].json


def test_a_file_is_uploaded_as_it_is(crm: JobCrm, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_bytes(CSV * 20_000)
    result = run(upload_import_file, file)
    assert crm.contents[result["attachment_id"]] == CSV * 20_000
    assert result["size"] == len(CSV) * 20_000
    assert crm.sent[-1].headers["content-type"] == "text/csv"


def test_an_upload_whose_answer_got_lost_is_sent_again(crm: JobCrm, run: Run) -> None:
    crm.fail("POST", "Import/file", Lost, after=True)
    assert crm.contents[uploaded(run)] == CSV


def test_rows_become_records(crm: JobCrm, run: Run) -> None:
    started = run(start_import, "Lead", uploaded(run), COLUMNS, default_values={"status": "Assigned"})
    assert crm.imported == [
        {"firstName": "Ida", "lastName": "Nowak", "emailAddress": "ida@example.com", "status": "Assigned"},
        {"firstName": "Ivo", "lastName": "Kral", "emailAddress": "ivo@example.com", "status": "Assigned"},
    ]
    assert run(job_status, "import", started["job_id"])["kind"] == "import"


def test_a_column_left_out_never_goes_as_null_at_which_espocrm_fails(crm: JobCrm, run: Run) -> None:
    run(start_import, "Lead", uploaded(run), COLUMNS)
    assert sent(crm)["attributeList"] == ["firstName", "lastName", "emailAddress", ""]


def test_everything_has_a_default_and_may_be_said(crm: JobCrm, run: Run) -> None:
    run(start_import, "Lead", uploaded(run), COLUMNS)
    body = sent(crm)
    assert (body["action"], body["idleMode"], body["silentMode"]) == ("create", True, False)
    assert (body["delimiter"], body["headerRow"], body["timezone"]) == (",", True, "UTC")
    assert "currency" not in body
    said: dict[str, Any] = {"delimiter": ";", "header_row": False, "date_format": "DD.MM.YYYY", "decimal_mark": ","}
    said |= {"currency": "EUR", "silent": True, "background": False, "skip_duplicate_check": True}
    run(start_import, "Lead", uploaded(run), ["name"], **said)
    body = sent(crm)
    assert (body["delimiter"], body["headerRow"], body["dateFormat"]) == (";", False, "DD.MM.YYYY")
    assert (body["decimalMark"], body["currency"]) == (",", "EUR")
    assert (body["silentMode"], body["idleMode"], body["skipDuplicateChecking"]) == (True, False, True)


def test_update_by_names_attributes_and_goes_as_places_of_columns(crm: JobCrm, run: Run) -> None:
    run(start_import, "Lead", uploaded(run), COLUMNS, action="createAndUpdate", update_by=["emailAddress"])
    assert sent(crm)["updateBy"] == [2]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"action": "upsert"}, "create, update, createAndUpdate"),
        ({"action": "update"}, "wants update_by"),
        ({"action": "createAndUpdate", "update_by": []}, "wants update_by"),
        ({"action": "update", "update_by": ["status"]}, "'status', which no column holds"),
        ({"action": "update", "update_by": [""]}, "no column holds"),
        ({"update_by": ["emailAddress"]}, "update and createAndUpdate only"),
        ({"default_values": ["x"]}, "default_values"),
    ],
)
def test_what_espocrm_would_take_otherwise_than_meant_is_refused(
    crm: JobCrm, run: Run, wrong: dict[str, Any], match: str
) -> None:
    with pytest.raises(EspoInputError, match=match):
        run(start_import, "Lead", "0123456789abcdef0", COLUMNS, **wrong)
    assert crm.sent == []


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ([], "no attribute"),
        ([None, ""], "no attribute"),
        ("firstName", "not a list"),
        ({"a": "b"}, "not a list"),
        (["firstName", 5], "no name"),
        (["firstName", "lastName", "firstName"], "firstName more than once"),
    ],
)
def test_what_are_no_columns_is_refused(crm: JobCrm, run: Run, columns: Any, match: str) -> None:
    with pytest.raises(EspoInputError, match=match):
        run(start_import, "Lead", "0123456789abcdef0", columns)
    assert crm.sent == []


def test_a_column_that_is_no_attribute_is_refused_with_the_nearest_name(crm: JobCrm, run: Run) -> None:
    with pytest.raises(EspoUnknownNameError, match="'email', perhaps emailAddress"):
        run(start_import, "Lead", "0123456789abcdef0", ["firstName", "email"])
    with pytest.raises(EspoUnknownNameError, match="stauts"):
        run(start_import, "Lead", "0123456789abcdef0", ["firstName"], default_values={"stauts": "New"})
    assert crm.calls("POST") == []


@pytest.mark.parametrize("name", ["name", "accountName", "id", "createdAt", "emailAddress2", "status"])
def test_columns_that_espocrm_reads_though_no_update_takes_them_pass(crm: JobCrm, run: Run, name: str) -> None:
    run(start_import, "Lead", uploaded(run), [name])
    assert sent(crm)["attributeList"] == [name]


def test_an_import_whose_answer_got_lost_is_found_by_its_file(crm: JobCrm, run: Run) -> None:
    crm.created_at = "2099-01-01 00:00:00"
    crm.fail("POST", "Import$", Lost, after=True)
    assert run(start_import, "Lead", uploaded(run), COLUMNS)["job_id"] in crm.imports
    assert len(crm.calls("POST", "Import")) == 1


def test_an_import_that_is_not_found_is_not_started_again_blindly(crm: JobCrm, run: Run) -> None:
    crm.fail("POST", "Import$", Lost)
    with pytest.raises(EspoConnectionError):
        run(start_import, "Lead", uploaded(run), COLUMNS)
    assert len(crm.calls("POST", "Import")) == 1


def test_answers_without_ids_are_errors(crm: JobCrm, run: Run) -> None:
    file = uploaded(run)
    crm.on("POST", "Import", {})
    with pytest.raises(EspoBadAnswerError):
        run(start_import, "Lead", file, COLUMNS)
    crm.on("POST", "Import/file", {})
    with pytest.raises(EspoBadAnswerError):
        run(upload_import_file, CSV)


def test_rows_that_failed_are_counted_and_told_by_line_and_rule(crm: JobCrm, run: Run) -> None:
    content = b"First,Status\nIda,New\nIvo,BAD\nUma,BAD\n"
    job_id = run(start_import, "Lead", uploaded(run, content), ["firstName", "status"])["job_id"]
    assert run(import_errors, job_id, limit=1) == {
        "count": 2,
        "errors": [{"line": 3, "type": "Validation", "fields": {"status": "valid"}, "row": ["Ivo", "BAD"]}],
    }
    assert run(import_errors, job_id, limit=0) == {"count": 2, "errors": []}


def test_an_uncounted_list_of_errors_is_none(crm: JobCrm, run: Run) -> None:
    crm.on("GET", "Import/0123456789abcdef0/errors", {"total": -1, "list": []})
    with pytest.raises(EspoBadAnswerError):
        run(import_errors, "0123456789abcdef0")


@pytest.mark.parametrize("limit", [-1, 201, "5", None, True])
def test_a_limit_that_is_none_is_refused(crm: JobCrm, run: Run, limit: Any) -> None:
    with pytest.raises(EspoInputError, match="limit"):
        run(import_errors, "0123456789abcdef0", limit=limit)
    assert crm.sent == []


@pytest.mark.parametrize("lost", [False, True])
def test_revert_deletes_what_was_created(crm: JobCrm, run: Run, lost: bool) -> None:
    job_id = run(start_import, "Lead", uploaded(run), COLUMNS)["job_id"]
    if lost:
        crm.fail("POST", "Import/.*/revert", Lost, after=True)
    assert run(revert_import, job_id) == {"id": job_id, "action": "missing" if lost else "deleted"}
    assert crm.imported == []
    assert run(revert_import, job_id)["action"] == "missing"


def test_a_revert_that_did_nothing_is_an_error(crm: JobCrm, run: Run) -> None:
    crm.on("POST", "Import/0123456789abcdef0/revert", False)
    with pytest.raises(EspoNothingDoneError):
        run(revert_import, "0123456789abcdef0")


def test_an_import_is_found_by_its_file_or_by_what_it_imports(crm: JobCrm, run: Run) -> None:
    file = uploaded(run)
    job_id = run(start_import, "Lead", file, COLUMNS)["job_id"]
    run(start_import, "Lead", uploaded(run, CSV + b"Uma,Z,,\n"), COLUMNS)
    assert run(find_import, SINCE, attachment_id=file) == job_id
    assert run(find_import, SINCE, attachment_id="0123456789abcdef0") is None
    columns = ["firstName", "lastName", "emailAddress", ""]
    same = run(upload_import_file, CSV)
    of = {"entity_type": "Lead", "columns": columns, "size": same["size"], "sha256": same["sha256"]}
    assert run(find_import_of, SINCE, **of) == job_id
    assert run(find_import_of, SINCE, **(of | {"sha256": "0" * 64})) is None
    assert run(find_import_of, SINCE, **(of | {"columns": columns[:3]})) is None
    assert run(find_import_of, SINCE, **(of | {"entity_type": "Contact"})) is None
    assert run(find_import_of, datetime(2026, 3, 1, 6, 1, tzinfo=UTC), **of) is None


def test_an_import_whose_file_is_gone_is_not_taken_for_another(crm: JobCrm, run: Run) -> None:
    file = uploaded(run)
    run(start_import, "Lead", file, COLUMNS)
    del crm.contents[file]
    columns = ["firstName", "lastName", "emailAddress", ""]
    of = {"entity_type": "Lead", "columns": columns, "size": len(CSV), "sha256": "0" * 64}
    assert run(find_import_of, SINCE, **of) is None


def test_errors_of_an_unknown_import_are_an_error(run: Run) -> None:
    with pytest.raises(EspoNotFoundError):
        run(import_errors, "0123456789abcdef0")
