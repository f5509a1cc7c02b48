from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.http import Request
from airflow_provider_espo.sandbox.settings import Settings
from tests.unit.sandbox.asking import Asker, reason


def upload(crm: Asker, content: bytes = b"hello", **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = crm.ok("POST", "Attachment", body_of(content, **values))
    return found


def body_of(content: bytes = b"hello", **values: Any) -> dict[str, Any]:
    body = {"name": "a.txt", "type": "text/plain", "role": "Attachment", "parentType": "Note", "field": "attachments"}
    return {**body, "file": f"data:text/plain;base64,{base64.b64encode(content).decode()}", **values}


def chunk(crm: Asker, attachment_id: str, content: bytes) -> tuple[int, str | None]:
    body = b"data:text/plain;base64," + base64.b64encode(content)
    headers = {**{k.lower(): v for k, v in crm.headers.items()}, "content-type": "application/octet-stream"}
    return reason(crm.sandbox.handle(Request("POST", f"/Attachment/chunk/{attachment_id}", "", headers, body)))


def test_chunks_that_are_more_than_was_announced_are_an_error(crm: Asker) -> None:
    announced = crm.ok("POST", "Attachment", body_of(isBeingUploaded=True, size=6))
    assert chunk(crm, announced["id"], b"abcd") == (200, None)
    assert chunk(crm, announced["id"], b"efgh") == (500, "File size mismatch.")
    assert crm.read("Attachment", announced["id"])["isBeingUploaded"] is True


def test_a_chunk_without_its_mark_is_refused(crm: Asker) -> None:
    announced = crm.ok("POST", "Attachment", body_of(isBeingUploaded=True, size=6))
    headers = {k.lower(): v for k, v in crm.headers.items()}
    reply = crm.sandbox.handle(Request("POST", f"/Attachment/chunk/{announced['id']}", "", headers, b"abcdef"))
    assert reason(reply) == (400, "Bad file data.")


def test_files_over_the_limit_are_refused_at_once_and_in_chunks() -> None:
    sandbox = Sandbox(settings=Settings(attachment_max_size=1))
    credentials = ensure_fixture(sandbox.storage)
    crm = Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    content = b"x" * (1024 * 1024 + 1)
    assert reason(crm.send("POST", "Attachment", body_of(content))) == (400, "File size should not exceed 1 Mb.")
    announced = crm.ok("POST", "Attachment", body_of(isBeingUploaded=True, size=len(content)))
    assert chunk(crm, announced["id"], content) == (403, "Max attachment size exceeded.")
    assert len(crm.file(upload(crm, content[:-1])["id"])) == 1024 * 1024
    sandbox.close()


@pytest.mark.parametrize(
    ("name", "mime_type", "expected"),
    [
        ("a.png", "image/png", (200, None)),
        ("a.PNG", "image/png", (200, None)),
        ("a.png", "image/jpeg", (403, "Passed type does not correspond to extension.")),
        ("a.png", "text/plain", (403, "Passed type does not correspond to extension.")),
        ("a.exe", "image/png", (403, "Not allowed file type.")),
    ],
)
def test_pictures_are_pictures_by_name_and_type(
    crm: Asker, name: str, mime_type: str, expected: tuple[int, str | None]
) -> None:
    body = {**body_of(), "name": name, "type": mime_type, "parentType": None, "relatedType": "User", "field": "avatar"}
    assert reason(crm.send("POST", "Attachment", body)) == expected


def test_a_copy_outlives_its_source(crm: Asker) -> None:
    source = upload(crm)
    copied = crm.ok("POST", f"Attachment/copy/{source['id']}", {"field": "attachments", "parentType": "Note"})
    second = crm.ok("POST", f"Attachment/copy/{copied['id']}", {"field": "attachments", "parentType": "Note"})
    crm.ok("DELETE", f"Attachment/{source['id']}")
    assert (crm.file(copied["id"]), crm.file(second["id"])) == (b"hello", b"hello")
    crm.ok("DELETE", f"Attachment/{copied['id']}")
    crm.ok("DELETE", f"Attachment/{second['id']}")
    assert crm.sandbox.files.size(source["id"]) == 0


def test_who_reads_the_post_reads_its_files_and_only_the_owner_deletes_them(crm: Asker) -> None:
    sales, lead = crm.as_user("sales"), crm.create("Lead", lastName="A")
    file_id = upload(crm)["id"]
    assert reason(sales.send("GET", f"Attachment/file/{file_id}")) == (403, "No 'read' access.")
    crm.ok("POST", "Note", {"post": "x", "parentType": "Lead", "parentId": lead["id"], "attachmentsIds": [file_id]})
    assert sales.file(file_id) == b"hello"
    assert crm.as_user("limited").send("GET", f"Attachment/file/{file_id}").status == 403
    assert reason(sales.send("DELETE", f"Attachment/{file_id}")) == (403, "No delete access.")


def test_names_in_any_script_and_files_without_a_type(crm: Asker) -> None:
    file_id = upload(crm, name="Übersicht ☃.txt", type=None)["id"]
    reply = crm.send("GET", f"Attachment/file/{file_id}")
    sent = reply.headers["Content-Disposition"].encode("latin-1").decode()
    assert (sent, reply.content_type) == ('attachment; filename="Übersicht ☃.txt"', "text/html; charset=UTF-8")


def test_base64_with_line_breaks_is_read(crm: Asker) -> None:
    encoded = base64.encodebytes(b"x" * 100).decode()
    assert crm.file(upload(crm, file=f"data:text/plain;base64,{encoded}")["id"]) == b"x" * 100


def test_files_are_kept_beside_the_database_and_gone_with_one_in_memory(tmp_path: Path) -> None:
    path = str(tmp_path / "crm.db")
    first = Sandbox(path)
    credentials = ensure_fixture(first.storage)
    file_id = upload(Asker(first, credentials, {"X-Api-Key": credentials["api_key"]}))["id"]
    first.close()
    second = Sandbox(path)
    credentials = ensure_fixture(second.storage)
    assert Asker(second, credentials, {"X-Api-Key": credentials["api_key"]}).file(file_id) == b"hello"
    second.close()

    third = Sandbox()
    credentials = ensure_fixture(third.storage)
    crm = Asker(third, credentials, {"X-Api-Key": credentials["api_key"]})
    kept = third.files.path(upload(crm)["id"])
    assert kept.is_file()
    third.close()
    assert not kept.parent.exists()
