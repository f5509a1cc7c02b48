"""Operators for files, run as a worker runs them, and killed where it hurts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_espo.exceptions import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.operators.attachment import EspoDownloadAttachmentOperator, EspoUploadAttachmentOperator
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import answering
from tests.unit.file_crm import CASE, DOCUMENT, FileCrm
from tests.unit.running import Store, TaskInstance, run_task

DATA = bytes(range(256)) * 20


class Killed(BaseException):
    """The worker is gone: nothing of ours runs any more."""


@pytest.fixture
def crm(connect: ConnectionSetter) -> Iterator[FileCrm]:
    connect()
    with answering(FileCrm()) as one:
        assert isinstance(one, FileCrm)
        # The time at which the dag run of these tests began.
        one.created_at = "2026-03-01 06:00:10"
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_bytes(DATA)
    return path


def upload(path: Any, **given: Any) -> EspoUploadAttachmentOperator:
    arguments: dict[str, Any] = {
        "entity_type": "Case",
        "field": "attachments",
        "record_id": CASE,
        "chunk_size": 1_000,
        "retries": 50,
    }
    return EspoUploadAttachmentOperator(task_id="upload", path=path, **(arguments | given))


def attached(crm: FileCrm) -> list[bytes]:
    return [crm.contents[one] for one in crm.records[f"Case/{CASE}"]["attachmentsIds"]]


def test_upload_gives_the_file_to_the_record(crm: FileCrm, file: Path) -> None:
    result = run_task(upload(str(file)))
    assert attached(crm) == [DATA]
    assert result["path"] == str(file)
    assert result["size"] == len(DATA)
    assert crm.records[f"Case/{CASE}"]["attachmentsIds"] == [result["attachment_id"]]


def test_everything_may_be_templated(crm: FileCrm, file: Path) -> None:
    templated = upload(
        "{{ params.folder }}/log.txt", entity_type="{{ params.type }}", record_id="{{ params.id }}", name="{{ 1 }}.txt"
    )
    params = {"folder": str(file.parent), "type": "Case", "id": CASE}
    assert run_task(templated, params=params)["name"] == "1.txt"
    assert attached(crm) == [DATA]


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_path_may_be_local_or_of_an_object_store(crm: FileCrm, file: Path, form: str) -> None:
    run_task(upload(form.format(file)))
    run_task(upload(ObjectStoragePath(form.format(file)), name="2.txt"))
    assert attached(crm) == [DATA, DATA]


def test_without_a_record_the_file_is_only_uploaded(crm: FileCrm, file: Path) -> None:
    result = run_task(upload(str(file), entity_type="Document", field="file", record_id=None))
    assert crm.contents[result["attachment_id"]] == DATA
    assert crm.calls("PUT") == []


def test_a_field_for_one_file_is_set(crm: FileCrm, file: Path) -> None:
    result = run_task(upload(str(file), entity_type="Document", field="file", record_id=DOCUMENT))
    assert crm.records[f"Document/{DOCUMENT}"]["fileId"] == result["attachment_id"]


@pytest.mark.parametrize("path", ["", "/nowhere/x.txt", 5])
def test_a_wrong_path_is_refused_before_anything_is_sent(crm: FileCrm, path: Any) -> None:
    with pytest.raises(EspoInputError):
        run_task(upload(path))
    assert crm.calls("POST") == []


# --- tried again


def tries(crm: FileCrm, task: EspoUploadAttachmentOperator, store: Store | None, kill_at: int, after: bool) -> int:
    """Kill the task at its n-th request, and run it again; return how many requests there were in all."""
    answer = crm.answer
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
        run_task(task, store=store, ti=TaskInstance(try_number=1, max_tries=50))
    except Killed:
        run_task(task, store=store, ti=TaskInstance(try_number=2, max_tries=50))
    finally:
        crm.answer = answer  # type: ignore[method-assign]
    return count


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stored", [True, False], ids=["store", "no store"])
def test_killed_at_any_request_and_tried_again_the_file_is_attached_once(
    connect: ConnectionSetter, file: Path, stored: bool, after: bool
) -> None:
    connect()
    kill_at, requests = 0, 1
    while kill_at < requests:
        kill_at += 1
        with answering(FileCrm()) as crm:
            assert isinstance(crm, FileCrm)
            crm.created_at = "2099-01-01 00:00:00"
            requests = tries(crm, upload(str(file)), Store() if stored else None, kill_at, after)
            assert attached(crm) == [DATA], f"killed at request {kill_at}"
    assert kill_at > 10


def test_a_retry_goes_on_where_the_upload_stopped(crm: FileCrm, file: Path) -> None:
    store = Store()
    tries(crm, upload(str(file)), store, kill_at=7, after=False)
    chunks = [sent for sent in crm.calls("POST") if sent.path.startswith("Attachment/chunk")]
    assert len(chunks) == 6
    assert len(crm.attachments) == 1


def test_a_cleared_task_uploads_anew(crm: FileCrm, file: Path) -> None:
    store = Store()
    run_task(upload(str(file)), store=store, ti=TaskInstance(try_number=1, max_tries=50))
    run_task(upload(str(file)), store=store, ti=TaskInstance(try_number=2, max_tries=51))
    assert attached(crm) == [DATA, DATA]


def test_a_file_that_changed_between_the_tries_is_uploaded_anew(crm: FileCrm, file: Path) -> None:
    store = Store()
    run_task(upload(str(file)), store=store, ti=TaskInstance(try_number=1, max_tries=50))
    file.write_bytes(DATA[::-1])
    run_task(upload(str(file)), store=store, ti=TaskInstance(try_number=2, max_tries=50))
    assert attached(crm) == [DATA, DATA[::-1]]


# --- download


def download(crm: FileCrm, path: Any, **given: Any) -> EspoDownloadAttachmentOperator:
    stored = crm.stored(DATA, name="offer.pdf")
    return EspoDownloadAttachmentOperator(task_id="download", path=path, **({"attachment_id": stored} | given))


def test_download_writes_the_file(crm: FileCrm, tmp_path: Path) -> None:
    result = run_task(download(crm, "{{ params.folder }}/x.pdf"), params={"folder": str(tmp_path)})
    assert (tmp_path / "x.pdf").read_bytes() == DATA
    assert (result["path"], result["size"]) == (str(tmp_path / "x.pdf"), len(DATA))


def test_a_path_that_ends_in_a_slash_is_a_folder(crm: FileCrm, tmp_path: Path) -> None:
    assert run_task(download(crm, f"{tmp_path}/"))["path"] == str(tmp_path / "offer.pdf")
    run_task(download(crm, f"file://{tmp_path}/sub/"))
    assert (tmp_path / "sub" / "offer.pdf").read_bytes() == DATA


def test_a_second_run_replaces_the_file(crm: FileCrm, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    run_task(download(crm, str(tmp_path / "x")))
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_wrong_checksum_or_size_writes_nothing(crm: FileCrm, tmp_path: Path) -> None:
    with pytest.raises(EspoBadAnswerError):
        run_task(download(crm, str(tmp_path / "x"), expected_sha256="00"))
    with pytest.raises(EspoInputError):
        run_task(download(crm, str(tmp_path / "x"), max_size="{{ 100 }}"))
    assert list(tmp_path.iterdir()) == []
