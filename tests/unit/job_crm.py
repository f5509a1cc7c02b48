"""A CRM for tests that exports and imports files in background jobs, as EspoCRM does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from tests.unit.crm import USER, Sent, refusal
from tests.unit.file_crm import FileCrm

EXPORTED = b'id,name\n1,"Ida, Ivo"\n'


class JobCrm(FileCrm):
    """Knows exports and imports by id. Each look at one moves it on: ``Pending``, then its end."""

    def __init__(self) -> None:
        super().__init__()
        self.exports: dict[str, str] = {}
        self.imports: dict[str, dict[str, Any]] = {}
        self.imported: list[dict[str, str]] = []
        self.rows_of: dict[str, list[dict[str, str]]] = {}
        self.errors_of: dict[str, list[dict[str, Any]]] = {}
        self.ends_as: dict[str, str] = {"export": "Success", "import": "Complete"}
        self.looks_before_end = 1
        self.duplicates = 0
        self._looks: dict[str, int] = {}
        self._ended_as: dict[str, str] = {}

    def _route(self, method: str, path: str) -> Callable[[Sent], Any] | None:
        routes = {("POST", "Export"): self._export, ("POST", "Import/file"): self._upload_csv}
        routes |= {("POST", "Import"): self._import, ("GET", "Import"): self._list_imports}
        if (method, path) in routes:
            return routes[method, path]
        parts = path.split("/")
        if parts[0] == "Export" and parts[2:] == ["status"]:
            return lambda _: self._export_status(parts[1])
        if parts[0] == "Import" and len(parts) > 1:
            return lambda _: self._about_import(parts[1], method, parts[2:])
        return super()._route(method, path)

    def _export(self, sent: Sent) -> Any:
        asked = sent.json
        if not asked.get("idle"):
            return {"id": self._export_file(asked)}
        job_id = f"{len(self.exports) + 1:015x}e0"
        self.exports[job_id] = self._export_file(asked)
        return {"exportId": job_id}

    def _export_file(self, asked: dict[str, Any]) -> str:
        return self.stored(EXPORTED, name=f"Export_{asked['entityType']}.{asked['format']}")

    def _status(self, job_id: str, kind: str) -> str:
        looks = self._looks[job_id] = self._looks.get(job_id, 0) + 1
        if looks <= self.looks_before_end:
            return "Pending"
        return self._ended_as.setdefault(job_id, self.ends_as[kind])

    def _export_status(self, job_id: str) -> Any:
        if job_id not in self.exports:
            return refusal(404)
        status = self._status(job_id, "export")
        return {"status": status, "attachmentId": self.exports[job_id] if status == "Success" else None}

    def _upload_csv(self, sent: Sent) -> Any:
        return {"attachmentId": self.stored(sent.body, name="import-file.csv")}

    def _import(self, sent: Sent) -> Any:
        asked = sent.json
        assert None not in asked["attributeList"]
        import_id = f"{len(self.rows_of) + 1:015x}a0"
        text = self.contents[asked["attachmentId"]].decode()
        lines = list(csv.reader(io.StringIO(text), delimiter=asked["delimiter"]))[1 if asked["headerRow"] else 0 :]
        rows, errors = [], []
        for index, line in enumerate(lines, start=1 if asked["headerRow"] else 0):
            row = {name: value for name, value in zip(asked["attributeList"], line, strict=False) if name}
            if "BAD" in line:
                failure = {"entityType": asked["entityType"], "field": "status", "type": "valid"}
                errors.append({"rowIndex": index, "type": "Validation", "validationFailures": [failure], "row": line})
            else:
                rows.append(asked["defaultValues"] | row)
        found = [row for row in rows if asked["action"] != "create" and row.get("status") == "Dead"]
        made = [row for row in rows if row not in found] if asked["action"] != "update" else []
        self.imported.extend(made)
        self.rows_of[import_id], self.errors_of[import_id] = made, errors
        self.imports[import_id] = {
            "id": import_id,
            "entityType": asked["entityType"],
            "attributeList": asked["attributeList"],
            "fileId": asked["attachmentId"],
            "createdById": USER["id"],
            "createdAt": self.created_at,
            "importedCount": len(made),
            "updatedCount": len(found),
            "duplicateCount": self.duplicates,
        }
        return {"id": import_id, "countCreated": 0, "countUpdated": 0, "manualMode": False}

    def _list_imports(self, sent: Sent) -> Any:
        since = next(item["value"] for item in sent.search["where"] if item["attribute"] == "createdAt")
        found = [dict(one) for one in self.imports.values() if one["createdAt"] >= since]
        for one in found:
            del one["attributeList"]
        return {"total": -2, "list": sorted(found, key=lambda one: one["id"], reverse=True)}

    def _about_import(self, import_id: str, method: str, what: list[str]) -> Any:
        if import_id not in self.imports:
            return refusal(404, "Record does not exist.")
        if (method, what) == ("GET", []):
            return self.imports[import_id] | {"status": self._status(import_id, "import")}
        if (method, what) == ("GET", ["errors"]):
            asked = json.loads(self.sent[-1].query["searchParams"])
            errors = self.errors_of[import_id]
            return {"total": len(errors), "list": errors[: asked["maxSize"]]}
        if (method, what) == ("POST", ["exportErrors"]):
            text = "".join(",".join(one["row"]) + "\n" for one in self.errors_of[import_id])
            return {"attachmentId": self.stored(text.encode(), name="Errors.csv")}
        if (method, what) == ("POST", ["revert"]):
            for row in self.rows_of[import_id]:
                self.imported.remove(row)
            del self.imports[import_id]
            return True
        raise AssertionError(f"no such route: {method} {what}")
