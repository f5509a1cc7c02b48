"""Asks a sandbox without a network: requests go straight to its request handler."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.http import Reply, Request


@dataclass
class Asker:
    """A client of a sandbox.

    :param headers: sent with every request
    """

    sandbox: Sandbox
    credentials: dict[str, Any]
    headers: dict[str, str]

    def send(
        self, method: str, path: str, body: Any = None, *, query: str = "", headers: dict[str, str] | None = None
    ) -> Reply:
        sent = {"accept": "application/json", **self.headers, **(headers or {})}
        content = b""
        if body is not None:
            content = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        lowered = {name.lower(): value for name, value in sent.items()}
        return self.sandbox.handle(Request(method, f"/{path}", query, lowered, content))

    def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        reply = self.send(method, path, body, **options)
        assert reply.status == 200, (reply.status, reply.headers, reply.content)
        return json.loads(reply.content)

    def create(self, entity_type: str, **values: Any) -> Any:
        return self.ok("POST", entity_type, values, headers={"X-Skip-Duplicate-Check": "true"})

    def read(self, entity_type: str, record_id: str) -> Any:
        return self.ok("GET", f"{entity_type}/{record_id}")

    def find(self, entity_type: str, **params: Any) -> Any:
        return self.ok("GET", entity_type, query="searchParams=" + quote(json.dumps(params)))

    def file(self, attachment_id: str) -> bytes:
        """The content of an attachment."""
        reply = self.send("GET", f"Attachment/file/{attachment_id}")
        assert reply.status == 200, (reply.status, reply.headers)
        return reply.file.read_bytes() if reply.file is not None else reply.content

    def notes(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Notes of a stream, the oldest first."""
        found: list[dict[str, Any]] = self.ok("GET", path, query="searchParams=" + quote(json.dumps(params)))["list"]
        return found[::-1]

    def as_user(self, name: str) -> Asker:
        """The same sandbox as ``admin``, ``sales`` or ``limited``."""
        if name == "limited":
            return Asker(self.sandbox, self.credentials, {"X-Api-Key": self.credentials["limited_api_key"]})
        pair = f"{self.credentials[f'{name}_user']}:{self.credentials[f'{name}_password']}"
        return Asker(
            self.sandbox, self.credentials, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        )


def reason(reply: Reply) -> tuple[int, str | None]:
    """Status and reason of an answer."""
    return reply.status, reply.headers.get("X-Status-Reason")
