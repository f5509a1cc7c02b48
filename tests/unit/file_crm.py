"""A CRM for tests that keeps files as EspoCRM does: uploads, chunks, downloads, and records that hold them."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_espo.client.aio import EspoAsyncClient
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.client.wire import FileOperation
from tests.unit.client.driving import make_state
from tests.unit.crm import USER, Crm, Lost, Reply, Sent, TooLate, answering, refusal

DOCUMENT = "65a1b2c3d4e5f6d0c"
CASE = "65a1b2c3d4e5f6ca5"

DOCUMENT_DEFS = {
    "fields": {
        "name": {"type": "varchar"},
        "file": {"type": "file", "accept": [".pdf", ".txt", ".csv"], "maxFileSize": 50},
        "status": {"type": "enum"},
    },
    "links": {},
}
CASE_DEFS = {"fields": {"name": {"type": "varchar"}, "attachments": {"type": "attachmentMultiple"}}, "links": {}}


@dataclass
class Fault:
    """What goes wrong with the requests that match, how often; by default before anything was done."""

    method: str
    path: str
    how: type[Exception] | Reply = Lost
    after: bool = False
    skip: int = 0
    times: int = 1


class FileCrm(Crm):
    """Keeps attachments by id: ``record`` as the server shows it, ``content`` as stored."""

    def __init__(self) -> None:
        super().__init__()
        self.has("Document", DOCUMENT_DEFS)
        self.has("Case", CASE_DEFS)
        self.attachments: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.records: dict[str, dict[str, Any]] = {
            f"Document/{DOCUMENT}": {"id": DOCUMENT, "name": "Offer", "fileId": None},
            f"Case/{CASE}": {"id": CASE, "name": "Broken", "attachmentsIds": []},
        }
        self.faults: list[Fault] = []
        self.created_at = "2026-03-01 06:00:00"
        self.before_write: Callable[[], None] | None = None

    def stored(self, content: bytes, **record: Any) -> str:
        """Put a file there; return its id."""
        attachment_id = f"{len(self.attachments) + 1:017x}"
        self.attachments[attachment_id] = {
            "id": attachment_id,
            "name": "a.txt",
            "type": "text/plain",
            "size": len(content),
            "isBeingUploaded": False,
            "createdAt": self.created_at,
            "createdById": USER["id"],
            **record,
        }
        self.contents[attachment_id] = content
        return attachment_id

    def fail(self, method: str, path: str, how: type[Exception] | Reply = Lost, **when: Any) -> None:
        """Say what goes wrong."""
        self.faults.append(Fault(method, path, how, **when))

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> Reply:
        """Answer a request."""
        path = url.partition("/api/v1/")[2].partition("?")[0]
        fault = self._fault(method, path)
        if fault is not None and not fault.after:
            self.sent.append(Sent(method, path, {}, {}, body))
            return _broken(fault)
        if (method, path) not in self._answers and (known := self._route(method, path)):
            self.on(method, path, known)
            try:
                reply = super().answer(method, url, headers, body)
            finally:
                del self._answers[method, path]
        else:
            reply = super().answer(method, url, headers, body)
        return reply if fault is None else _broken(fault)

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == method and re.match(fault.path, path):
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def _route(self, method: str, path: str) -> Callable[[Sent], Any] | None:
        parts = path.split("/")
        if path == "Attachment" and method == "POST":
            return self._upload
        if parts[:2] == ["Attachment", "chunk"]:
            return lambda sent: self._chunk(parts[2], sent.body)
        if parts[:2] == ["Attachment", "file"]:
            return lambda _: self._download(parts[2])
        if parts[0] == "Attachment" and method == "GET":
            return lambda _: self.attachments.get(parts[1], refusal(404))
        if parts[0] == "Attachment" and method == "DELETE":
            return lambda _: self.attachments.pop(parts[1], None) is not None
        if path in self.records and method == "GET":
            return lambda _: self.records[path]
        if path in self.records and method == "PUT":
            return lambda sent: self._update(path, sent)
        return None

    def _upload(self, sent: Sent) -> Any:
        about = sent.json
        if about.get("name", "").endswith(".exe"):
            return refusal(403, "Not allowed file type.")
        facts = {name: about[name] for name in ("name", "type", "field", "relatedType", "parentType") if name in about}
        if about.get("isBeingUploaded"):
            attachment_id = self.stored(b"", **facts, size=about["size"], isBeingUploaded=True)
            del self.contents[attachment_id]
        else:
            head, _, encoded = about["file"].partition(",")
            assert head == f"data:{about['type']};base64"
            attachment_id = self.stored(base64.b64decode(encoded), **facts)
        return self.attachments[attachment_id]

    def _chunk(self, attachment_id: str, body: bytes) -> Any:
        record = self.attachments[attachment_id]
        if not record["isBeingUploaded"]:
            return refusal(403, "Attachment is not being-uploaded.")
        content = self.contents.get(attachment_id, b"") + base64.b64decode(body.partition(b",")[2], validate=True)
        if len(content) > record["size"]:
            return refusal(500, "File size mismatch.")
        self.contents[attachment_id] = content
        record["isBeingUploaded"] = len(content) < record["size"]
        return True

    def _download(self, attachment_id: str) -> Reply:
        if attachment_id not in self.contents:
            return refusal(404)
        record = self.attachments[attachment_id]
        headers = {"Content-Type": record["type"], "Content-Disposition": f'attachment; filename="{record["name"]}"'}
        return Reply(200, self.contents[attachment_id], headers)

    def _update(self, path: str, sent: Sent) -> Any:
        if self.before_write is not None:
            self.before_write()
        record = self.records[path]
        version = record.get("versionNumber")
        if version is not None and sent.headers.get("x-version-number") not in (None, str(version)):
            body = json.dumps({"values": record, "versionNumber": version})
            return Reply(409, body, {"X-Status-Reason": "modified", "Content-Type": "application/json"})
        record |= sent.json
        if version is not None:
            record["versionNumber"] = version + 1
        return record


def _broken(fault: Fault) -> Reply:
    if isinstance(fault.how, Reply):
        return fault.how
    raise fault.how


Way = Literal["requests", "httpx"]


@contextmanager
def on(crm: Crm, way: Way, state: ClientState | None = None) -> Iterator[Callable[..., Any]]:
    """Run operations over one of the HTTP libraries: ``run(operation, *arguments, **arguments)``."""
    state = state or make_state()

    def blocking(operation: Callable[..., FileOperation[Any]], *args: Any, **given: Any) -> Any:
        with EspoClient(state.config, state) as client:
            return client.run(operation(state, *args, **given))

    def awaiting(operation: Callable[..., FileOperation[Any]], *args: Any, **given: Any) -> Any:
        async def main() -> Any:
            async with EspoAsyncClient(state.config, state) as client:
                return await client.run(operation(state, *args, **given))

        return asyncio.run(main())

    with answering(crm):
        yield blocking if way == "requests" else awaiting


__all__ = ["CASE", "DOCUMENT", "FileCrm", "Lost", "TooLate", "Way", "on"]
