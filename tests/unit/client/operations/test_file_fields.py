"""Giving uploaded files to records, over both HTTP libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_espo.client.operations.file_fields import attach_file, find_attached
from airflow_provider_espo.exceptions import (
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
    EspoUnknownNameError,
    EspoVersionConflictError,
)
from tests.unit.file_crm import CASE, DOCUMENT, FileCrm, on

Run = Callable[..., Any]
NEW = "0123456789abcdef0"
CREATED = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


@pytest.fixture
def crm() -> FileCrm:
    return FileCrm()


@pytest.fixture(params=["requests", "httpx"])
def run(request: pytest.FixtureRequest, crm: FileCrm) -> Iterator[Run]:
    with on(crm, request.param) as way:
        yield way


def held(crm: FileCrm) -> Any:
    return crm.records[f"Case/{CASE}"]["attachmentsIds"]


def test_a_field_for_one_file_holds_the_new_one(crm: FileCrm, run: Run) -> None:
    crm.records[f"Document/{DOCUMENT}"]["fileId"] = "old"
    assert run(attach_file, "Document", DOCUMENT, "file", NEW) == {"id": DOCUMENT, "action": "updated"}
    assert crm.records[f"Document/{DOCUMENT}"]["fileId"] == NEW


def test_a_field_for_several_gets_it_beside_those_it_has(crm: FileCrm, run: Run) -> None:
    held(crm).append("a1")
    run(attach_file, "Case", CASE, "attachments", NEW)
    assert held(crm) == ["a1", NEW]


def test_replace_takes_the_others_away(crm: FileCrm, run: Run) -> None:
    held(crm).extend(["a1", NEW])
    run(attach_file, "Case", CASE, "attachments", NEW, replace=True)
    assert held(crm) == [NEW]


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_that_is_there_already_is_not_written_again(crm: FileCrm, run: Run, replace: bool) -> None:
    held(crm).append(NEW)
    assert run(attach_file, "Case", CASE, "attachments", NEW, replace=replace) == {"id": CASE, "action": "unchanged"}
    crm.records[f"Document/{DOCUMENT}"]["fileId"] = NEW
    assert run(attach_file, "Document", DOCUMENT, "file", NEW)["action"] == "unchanged"
    assert crm.calls("PUT") == []


def test_a_list_that_changed_meanwhile_loses_nothing(crm: FileCrm, run: Run) -> None:
    record = crm.records[f"Case/{CASE}"]
    record["versionNumber"] = 3
    others = ["b1", "b2"]

    def somebody_else() -> None:
        if others:
            record["attachmentsIds"] = [*held(crm), others.pop(0)]
            record["versionNumber"] += 1

    crm.before_write = somebody_else
    run(attach_file, "Case", CASE, "attachments", NEW)
    assert held(crm) == ["b1", "b2", NEW]


def test_a_list_that_changes_all_the_time_is_an_error(crm: FileCrm, run: Run) -> None:
    record = crm.records[f"Case/{CASE}"]
    record["versionNumber"] = 3

    def somebody_else() -> None:
        record["versionNumber"] += 1

    crm.before_write = somebody_else
    with pytest.raises(EspoVersionConflictError):
        run(attach_file, "Case", CASE, "attachments", NEW)


def test_an_answer_without_the_file_is_an_error(crm: FileCrm, run: Run) -> None:
    crm.on("PUT", f"Case/{CASE}", {"id": CASE, "attachmentsIds": []})
    with pytest.raises(EspoNothingDoneError, match="did not put the file"):
        run(attach_file, "Case", CASE, "attachments", NEW)


def test_a_missing_record_and_a_wrong_field_are_errors(crm: FileCrm, run: Run) -> None:
    with pytest.raises(EspoUnknownNameError, match="attachments"):
        run(attach_file, "Case", CASE, "name", NEW)
    crm.on("GET", "Case/0000000000000dead", lambda _: _not_found())
    with pytest.raises(EspoNotFoundError):
        run(attach_file, "Case", "0000000000000dead", "attachments", NEW)


def _not_found() -> Any:
    from tests.unit.crm import refusal

    return refusal(404, "Record does not exist.")


@pytest.mark.parametrize("wrong", ["", "../x", None])
def test_what_are_no_ids_is_refused_before_anything_is_sent(crm: FileCrm, run: Run, wrong: Any) -> None:
    with pytest.raises(EspoInputError):
        run(attach_file, "Case", CASE, "attachments", wrong)
    assert crm.sent == []
    with pytest.raises(EspoInputError):
        run(attach_file, "Case", wrong, "attachments", NEW)
    assert crm.calls("PUT") == []


def find(run: Run, **given: Any) -> Any:
    wanted: dict[str, Any] = {"name": "a.txt", "size": 3, "since": CREATED} | given
    return run(find_attached, "Case", CASE, "attachments", **wanted)


def test_of_equal_files_the_one_uploaded_last_is_found(crm: FileCrm, run: Run) -> None:
    held(crm).extend([crm.stored(b"abc"), crm.stored(b"abc"), crm.stored(b"other")])
    assert find(run) == held(crm)[1]


@pytest.mark.parametrize(
    "other",
    [{"name": "b.txt"}, {"size": 4}, {"createdById": "somebody"}, {"createdAt": "2026-03-01 05:00:00"}],
    ids=lambda one: next(iter(one)),
)
def test_a_file_of_another_name_size_user_or_time_is_not_found(crm: FileCrm, run: Run, other: dict[str, Any]) -> None:
    held(crm).append(crm.stored(b"abc", **other))
    assert find(run) is None


def test_clocks_may_differ_by_two_minutes(crm: FileCrm, run: Run) -> None:
    held(crm).append(crm.stored(b"abc"))
    assert find(run, since=CREATED + timedelta(seconds=119)) is not None
    assert find(run, since=CREATED + timedelta(seconds=121)) is None


def test_without_files_there_is_nothing_to_find(run: Run) -> None:
    assert find(run) is None
