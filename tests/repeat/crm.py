"""Looks at a CRM and fills it by plain requests, past everything that is being tested."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import requests

#: Entity types in a snapshot, and the links of theirs that the record itself does not show.
LINKS: Mapping[str, Sequence[str]] = {
    "Account": ("contacts", "opportunities", "documents"),
    "Contact": ("opportunities", "cases"),
    "Lead": ("targetLists", "documents"),
    "Opportunity": ("contacts", "documents"),
    "Case": ("contacts",),
    "Task": (),
    "Meeting": ("contacts", "leads"),
    "TargetList": ("leads", "contacts"),
    "Document": (),
}
WITH_STREAM = frozenset({"Account", "Contact", "Lead", "Opportunity", "Case", "Task", "Meeting"})

#: Tell when and how often something was written, and not what.
_NOT_COMPARED = frozenset({"id", "versionNumber", "number", "modifiedById", "modifiedByName"})
_ID = re.compile(r"\b[0-9a-f]{17}\b")


class Crm:
    """A CRM as its administrator sees it.

    :param credentials: what the sandbox wrote.
    """

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self.url: str = credentials["base_url"]
        self.users: Mapping[str, str] = credentials["variables"]
        self._admin = requests.Session()
        self._admin.trust_env = False
        self._admin.auth = (credentials["admin_user"], credentials["admin_password"])
        self._api = requests.Session()
        self._api.trust_env = False
        self._api.headers["X-Api-Key"] = credentials["api_key"]

    def close(self) -> None:
        """Close the sockets."""
        self._admin.close()
        self._api.close()

    def ask(self, method: str, path: str, body: Any = None, *, as_task_user: bool = False) -> Any:
        """Send a request and return the decoded answer, or that it failed at once."""
        session = self._api if as_task_user else self._admin
        headers = {"X-Skip-Duplicate-Check": "true"}
        answer = session.request(method, f"{self.url}/api/v1/{path}", json=body, headers=headers, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.headers.get('X-Status-Reason')}"
        return answer.json() if answer.content else None

    def create(self, entity_type: str, **attributes: Any) -> str:
        """Create a record and return its id."""
        return str(self.ask("POST", entity_type, attributes)["id"])

    def find(self, path: str, **search: Any) -> list[dict[str, Any]]:
        """Return a list, whole."""
        answer = self._admin.get(
            f"{self.url}/api/v1/{path}", params={"searchParams": json.dumps({"maxSize": 200, **search})}, timeout=30
        )
        assert answer.ok, f"GET {path}: {answer.status_code} {answer.headers.get('X-Status-Reason')}"
        found: list[dict[str, Any]] = answer.json()["list"]
        return found

    def named(self, entity_type: str, tag: str) -> list[dict[str, Any]]:
        """Return records whose name holds a tag."""
        return self.find(entity_type, where=[{"type": "contains", "attribute": "name", "value": tag}])

    def content(self, attachment_id: str) -> str:
        """Return what tells a file's content."""
        answer = self._admin.get(f"{self.url}/api/v1/Attachment/file/{attachment_id}", timeout=30)
        assert answer.ok, f"file {attachment_id}: {answer.status_code}"
        return hashlib.sha256(answer.content).hexdigest()

    def followers(self, path: str) -> list[str]:
        """Return who follows a record."""
        return sorted(str(user["id"]) for user in self.find(f"{path}/followers"))

    def snapshot(self, tag: str, more: Mapping[str, Any]) -> Any:
        """Return everything of a tag: records, links, notes, files; names in place of ids, no times.

        :param more: what else belongs to it.
        """
        records, names = {}, {user_id: f"<{name}>" for name, user_id in self.users.items()}
        for entity_type in LINKS:
            for listed in self.named(entity_type, tag):
                records[entity_type, listed["id"]] = listed
                names[listed["id"]] = f"<{entity_type} {listed['name']}>"
        whole = [self._whole(*key) for key in records]
        text = json.dumps({"records": whole, **more}, sort_keys=True).replace(tag, "TAG")
        text = _ID.sub(lambda found: names.get(found[0], "<id>").replace(tag, "TAG"), text)
        found = json.loads(text)
        found["records"].sort(key=json.dumps)
        return found

    def _whole(self, entity_type: str, record_id: str) -> dict[str, Any]:
        path = f"{entity_type}/{record_id}"
        record = _comparable(self.ask("GET", path))
        linked = {
            link: sorted(f"{one['id']}" for one in self.find(f"{path}/{link}", select=["id"]))
            for link in LINKS[entity_type]
        }
        files = [*record.pop("attachmentsIds", ()), *([record["fileId"]] if record.get("fileId") else ())]
        found = {"type": entity_type, "record": record, "linked": linked}
        if files:
            found["files"] = sorted(self.content(one) for one in files)
        if entity_type in WITH_STREAM:
            found["notes"] = self._notes(path)
        return found

    def _notes(self, path: str) -> list[str]:
        notes = self.find(f"{path}/stream")
        kept = ("type", "post", "data", "parentId", "relatedType", "relatedId", "createdById")
        return sorted(json.dumps({name: note.get(name) for name in kept}, sort_keys=True) for note in notes)


def _comparable(record: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        if name in _NOT_COMPARED:
            continue
        if name.endswith("At") and value is not None:
            found[name] = "<some time>"
        elif name.endswith("Ids") and isinstance(value, list) and name != "attachmentsIds":
            found[name] = sorted(value)
        elif isinstance(value, dict) and name.endswith(("Names", "Types", "Columns")):
            found[name] = sorted(str(one) for one in value.values())
        else:
            found[name] = value
    return found
