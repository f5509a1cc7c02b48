"""Uploads and downloads, over both HTTP libraries."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_espo.client.operations.attachments import download_attachment, upload_attachment
from airflow_provider_espo.exceptions import (
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoConnectionError,
    EspoForbiddenError,
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
    EspoTimeoutError,
    EspoUnknownNameError,
)
from tests.unit.crm import Reply, refusal
from tests.unit.file_crm import FileCrm, Lost, TooLate, on

DATA = random.Random(7).randbytes(10_000)
CHUNK = 1_000
DOCUMENT_FILE = {"entity_type": "Document", "field": "file"}

Run = Callable[..., Any]


@pytest.fixture
def crm() -> FileCrm:
    return FileCrm()


@pytest.fixture(params=["requests", "httpx"])
def run(request: pytest.FixtureRequest, crm: FileCrm) -> Iterator[Run]:
    with on(crm, request.param) as way:
        yield way


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_bytes(DATA)
    return path


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- upload


@pytest.mark.parametrize("chunk_size", [len(DATA), 3_000, 999, 10_001])
def test_a_file_arrives_as_it_is(crm: FileCrm, run: Run, file: Path, chunk_size: int) -> None:
    result = run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=chunk_size)
    assert crm.contents[result["attachment_id"]] == DATA
    assert result == {
        "attachment_id": result["attachment_id"],
        "name": "report.txt",
        "type": "text/plain",
        "size": len(DATA),
        "sha256": sha(DATA),
    }
    assert crm.attachments[result["attachment_id"]]["isBeingUploaded"] is False


def test_a_small_file_goes_in_one_request_and_a_big_one_in_chunks(crm: FileCrm, run: Run, file: Path) -> None:
    run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=len(DATA))
    assert [sent.path for sent in crm.calls("POST")] == ["Attachment"]
    crm.sent.clear()
    result = run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=4_000)
    chunk = f"Attachment/chunk/{result['attachment_id']}"
    assert [sent.path for sent in crm.calls("POST")] == ["Attachment", chunk, chunk, chunk]
    assert crm.calls("POST", "Attachment")[0].json["size"] == len(DATA)


@pytest.mark.parametrize(
    ("taker", "attribute"),
    [(DOCUMENT_FILE, "relatedType"), ({"entity_type": "Case", "field": "attachments"}, "parentType")],
)
def test_espocrm_is_told_for_which_kind_of_field_it_is(
    crm: FileCrm, run: Run, file: Path, taker: dict[str, str], attribute: str
) -> None:
    run(upload_attachment, file, **taker)
    sent = crm.calls("POST", "Attachment")[0].json
    assert {sent[attribute], sent["field"], sent["role"]} == {*taker.values(), "Attachment"}
    assert {"relatedType", "parentType"} & sent.keys() == {attribute}


def test_an_empty_file_is_a_file(crm: FileCrm, run: Run) -> None:
    result = run(upload_attachment, b"", **DOCUMENT_FILE, name="empty.txt")
    assert crm.contents[result["attachment_id"]] == b""
    assert (result["size"], result["sha256"]) == (0, sha(b""))


def test_content_and_name_may_be_given_instead_of_a_path(crm: FileCrm, run: Run) -> None:
    result = run(upload_attachment, b"hello", **DOCUMENT_FILE, name="h.bin", content_type="text/x-own")
    assert (result["name"], result["type"]) == ("h.bin", "text/x-own")
    with pytest.raises(EspoInputError, match="no name"):
        run(upload_attachment, b"hello", **DOCUMENT_FILE)


def test_a_file_of_an_object_store_is_taken(crm: FileCrm, run: Run) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    path = ObjectStoragePath("memory://bucket/in/offer.pdf")
    with path.open("wb") as target:
        target.write(DATA)
    result = run(upload_attachment, path, **DOCUMENT_FILE, chunk_size=CHUNK)
    assert crm.contents[result["attachment_id"]] == DATA
    assert (result["name"], result["type"]) == ("offer.pdf", "application/pdf")


def test_a_field_that_takes_no_files_is_refused_before_anything_is_sent(crm: FileCrm, run: Run, file: Path) -> None:
    for field in ("status", "nope", "File"):
        with pytest.raises(EspoUnknownNameError, match="Those that do: file"):
            run(upload_attachment, file, entity_type="Document", field=field)
    assert crm.calls("POST") == []


@pytest.mark.parametrize("missing", ["nowhere/x.txt", ".", "", "s3://bucket/x.txt", 5, None])
def test_what_is_no_readable_file_is_refused_before_anything_is_sent(crm: FileCrm, run: Run, missing: Any) -> None:
    with pytest.raises(EspoInputError):
        run(upload_attachment, missing, **DOCUMENT_FILE, name="x.txt")
    assert crm.calls("POST") == []


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "9"])
def test_a_chunk_size_that_is_none_is_refused(run: Run, file: Path, size: Any) -> None:
    with pytest.raises(EspoInputError, match="chunk_size"):
        run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=size)


def test_a_refused_type_is_told_with_the_servers_reason_and_what_the_field_takes(crm: FileCrm, run: Run) -> None:
    crm.on("GET", "Metadata", lambda sent: _definition(crm, sent.query["key"]))
    with pytest.raises(EspoForbiddenError, match=r"Not allowed file type\..*takes \.pdf, \.txt, \.csv.*50 MB"):
        run(upload_attachment, b"MZ", **DOCUMENT_FILE, name="virus.exe")


def test_a_want_of_rights_is_not_explained_by_what_the_field_takes(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("POST", "Attachment", refusal(403, "No access to Document."))
    with pytest.raises(EspoForbiddenError, match="No access to Document") as caught:
        run(upload_attachment, file, **DOCUMENT_FILE)
    assert ".pdf" not in str(caught.value)


def _definition(crm: FileCrm, key: str) -> Any:
    _, entity_type, *path = key.split(".")
    found: Any = crm._definitions[entity_type]
    for name in path:
        found = found[name]
    return found


def test_a_request_too_big_for_the_web_server_says_what_to_do(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("POST", "Attachment/chunk", refusal(413))
    with pytest.raises(EspoBadRequestError, match="smaller chunk_size"):
        run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", [0, 1, 4, 9])
def test_a_chunk_whose_answer_got_lost_arrives_once(crm: FileCrm, run: Run, file: Path, skip: int, after: bool) -> None:
    crm.fail("POST", "Attachment/chunk", Lost, skip=skip, after=after)
    result = run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK)
    assert crm.contents[result["attachment_id"]] == DATA
    assert len(crm.attachments) == 1
    assert len(crm.calls("POST", f"Attachment/chunk/{result['attachment_id']}")) == (10 if after else 11)


def test_a_chunk_that_may_be_on_its_way_is_left_to_the_next_try(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("POST", "Attachment/chunk", TooLate, skip=2)
    with pytest.raises(EspoTimeoutError):
        run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK)
    assert len(crm.contents["00000000000000001"]) == 2 * CHUNK


def test_a_chunk_that_came_late_but_came_is_no_failure(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("POST", "Attachment/chunk", TooLate, skip=2, after=True)
    result = run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK)
    assert crm.contents[result["attachment_id"]] == DATA


def test_chunks_that_never_arrive_end_in_the_error(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("POST", "Attachment/chunk", Lost, skip=1, times=100)
    with pytest.raises(EspoConnectionError):
        run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK)


def test_an_answer_that_a_chunk_was_not_taken_is_an_error(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("POST", "Attachment/chunk", Reply(200, b"false", {"Content-Type": "application/json"}))
    with pytest.raises(EspoNothingDoneError):
        run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK)


def test_what_arrived_otherwise_than_sent_is_an_error_and_deleted(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("GET", "Attachment/file", Reply(200, DATA[::-1], {"Content-Disposition": "attachment"}))
    with pytest.raises(EspoBadAnswerError, match="not what was sent"):
        run(upload_attachment, file, **DOCUMENT_FILE)
    assert crm.attachments == {}


def test_without_verifying_the_content_the_size_is_compared_all_the_same(crm: FileCrm, run: Run, file: Path) -> None:
    run(upload_attachment, file, **DOCUMENT_FILE, verify_content=False)
    assert not [sent for sent in crm.sent if sent.path.startswith("Attachment/file")]
    wrong = {"id": "1", "size": 9_999, "isBeingUploaded": False}
    crm.on("GET", "Attachment/00000000000000002", wrong)
    with pytest.raises(EspoBadAnswerError, match="9999 bytes instead of 10000"):
        run(upload_attachment, file, **DOCUMENT_FILE, verify_content=False)


@pytest.mark.parametrize("becomes", [DATA[:-500], DATA + b"x"])
def test_a_file_that_changes_meanwhile_is_an_error(crm: FileCrm, run: Run, file: Path, becomes: bytes) -> None:
    def change(_: str) -> None:
        file.write_bytes(becomes)

    with pytest.raises(EspoInputError, match="while it was being sent"):
        run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK, on_started=change)


# --- going on with an upload


def test_an_upload_that_was_broken_off_is_gone_on_with(crm: FileCrm, run: Run, file: Path) -> None:
    crm.fail("POST", "Attachment/chunk", TooLate, skip=6)
    started: list[str] = []
    with pytest.raises(EspoTimeoutError):
        run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK, on_started=started.append)
    crm.sent.clear()
    result = run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK, resume=started[0])
    assert result["attachment_id"] == started[0]
    assert (crm.contents[started[0]], result["sha256"]) == (DATA, sha(DATA))
    assert len(crm.calls("POST")) == 4


def test_an_upload_that_was_complete_is_not_sent_again(crm: FileCrm, run: Run, file: Path) -> None:
    known = run(upload_attachment, file, **DOCUMENT_FILE)
    crm.sent.clear()
    assert run(upload_attachment, file, **DOCUMENT_FILE, resume=known["attachment_id"]) == known
    assert crm.calls("POST") == []


@pytest.mark.parametrize(
    "other",
    [
        {"content": DATA[:5_000], "isBeingUploaded": True, "size": 20_000},
        {"content": b"y" * 5_000, "isBeingUploaded": True, "size": len(DATA)},
        {"content": DATA[:-1] + b"?", "size": len(DATA)},
        {"content": DATA, "name": "other.txt"},
        {"content": DATA, "isBeingUploaded": True},
        {"content": DATA[:-1], "size": len(DATA)},
    ],
    ids=["other size", "other beginning", "other content", "other name", "hangs", "too short"],
)
def test_an_upload_of_something_else_is_not_gone_on_with(
    crm: FileCrm, run: Run, file: Path, other: dict[str, Any]
) -> None:
    record = {"name": "report.txt"} | other
    content = record.pop("content")
    stored = crm.stored(content, **record)
    result = run(upload_attachment, file, **DOCUMENT_FILE, chunk_size=CHUNK, resume=stored)
    assert result["attachment_id"] != stored
    assert crm.contents[result["attachment_id"]] == DATA
    assert crm.contents[stored] == content


def test_an_upload_that_is_gone_begins_anew(crm: FileCrm, run: Run, file: Path) -> None:
    result = run(upload_attachment, file, **DOCUMENT_FILE, resume="0123456789abcdef0")
    assert crm.contents[result["attachment_id"]] == DATA


# --- download


def test_a_download_is_whole_and_where_it_should_be(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    stored = crm.stored(DATA, name="offer.pdf", type="application/pdf")
    target = tmp_path / "new" / "x.pdf"
    result = run(download_attachment, stored, str(target))
    assert target.read_bytes() == DATA
    assert result == {
        "attachment_id": stored,
        "name": "offer.pdf",
        "type": "application/pdf",
        "path": str(target),
        "size": len(DATA),
        "sha256": sha(DATA),
    }
    assert [one.name for one in target.parent.iterdir()] == ["x.pdf"]


def test_an_html_file_is_a_file_and_a_login_page_is_none(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><html></html>"
    stored = crm.stored(page, type="text/html", name="page.html")
    assert run(download_attachment, stored, tmp_path / "page.html")["size"] == len(page)
    crm.on("GET", f"Attachment/file/{stored}", Reply(200, page, {"Content-Type": "text/html"}))
    with pytest.raises(EspoBadAnswerError, match="HTML page"):
        run(download_attachment, stored, tmp_path / "other.html")
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_an_answer_that_is_no_file_is_an_error(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    stored = crm.stored(DATA)
    crm.on("GET", f"Attachment/file/{stored}", {"not": "a file"})
    with pytest.raises(EspoBadAnswerError, match="no file"):
        run(download_attachment, stored, tmp_path / "x")


@pytest.mark.parametrize(
    ("wrong", "match"), [({"size": 9_999}, "10000 bytes instead of 9999"), ({"expected_sha256": "ab" * 32}, "SHA-256")]
)
def test_a_file_other_than_promised_replaces_nothing(
    crm: FileCrm, run: Run, file: Path, wrong: dict[str, Any], match: str
) -> None:
    file.write_bytes(b"as it was")
    asked = dict(wrong)
    stored = crm.stored(DATA, size=asked.pop("size", len(DATA)))
    with pytest.raises(EspoBadAnswerError, match=match):
        run(download_attachment, stored, file, **asked)
    assert file.read_bytes() == b"as it was"
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_the_expected_checksum_passes_in_any_letter_case(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    run(download_attachment, crm.stored(DATA), tmp_path / "x", expected_sha256=sha(DATA).upper())
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_download_that_broke_comes_from_its_beginning(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    crm.fail("GET", "Attachment/file", Lost, times=2)
    assert run(download_attachment, crm.stored(DATA), tmp_path / "x")["sha256"] == sha(DATA)
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_folder_takes_the_file_under_its_own_name(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    stored = crm.stored(DATA, name="../../etc/pass wd?.txt")
    result = run(download_attachment, stored, str(tmp_path), into_folder=True)
    assert result["path"] == str(tmp_path / "_.._etc_pass wd_.txt")
    assert [one.name for one in tmp_path.iterdir()] == ["_.._etc_pass wd_.txt"]


def test_a_download_may_go_into_an_object_store(crm: FileCrm, run: Run) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    path = ObjectStoragePath("memory://bucket/out/x.bin")
    result = run(download_attachment, crm.stored(DATA), path)
    with path.open("rb") as written:
        assert written.read() == DATA
    assert result["path"] == str(path)


def test_a_download_may_go_into_an_open_file(crm: FileCrm, run: Run) -> None:
    buffer = io.BytesIO()
    assert run(download_attachment, crm.stored(DATA), buffer)["path"] is None
    assert buffer.getvalue() == DATA


def test_a_file_over_max_size_is_not_asked_for(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    stored = crm.stored(DATA)
    with pytest.raises(EspoInputError, match="more than max_size"):
        run(download_attachment, stored, tmp_path / "x", max_size=9_999)
    assert not [sent for sent in crm.sent if sent.path.startswith("Attachment/file")]
    run(download_attachment, stored, tmp_path / "x", max_size=10_000)


def test_a_half_uploaded_file_is_not_downloaded(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    with pytest.raises(EspoNothingDoneError, match="still being uploaded"):
        run(download_attachment, crm.stored(DATA[:5], isBeingUploaded=True), tmp_path / "x")


def test_a_missing_file_is_an_error_and_leaves_nothing(crm: FileCrm, run: Run, tmp_path: Path) -> None:
    with pytest.raises(EspoNotFoundError):
        run(download_attachment, "0123456789abcdef0", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["", "s3://bucket/x", 5, None])
def test_what_is_no_place_for_a_file_is_refused_before_anything_is_sent(crm: FileCrm, run: Run, target: Any) -> None:
    with pytest.raises(EspoInputError):
        run(download_attachment, "0123456789abcdef0", target)
    assert crm.sent == []


def test_a_target_that_fails_is_not_taken_for_a_failure_of_the_server(crm: FileCrm, run: Run) -> None:
    class Full(io.RawIOBase):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    stored = crm.stored(DATA)
    with pytest.raises(OSError, match="No space left"):
        run(download_attachment, stored, Full())
    assert len(crm.calls("GET", f"Attachment/file/{stored}")) == 1
