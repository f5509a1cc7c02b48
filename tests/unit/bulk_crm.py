"""Rows to write, and looks at what came of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from airflow_provider_espo.operators.bulk import EspoBulkWriteOperator
from tests.unit.sandbox_crm import SandboxCrm


def leads(count: int, first: int = 0, **more: Any) -> list[dict[str, Any]]:
    """Rows with different e-mail addresses."""
    return [
        {"firstName": "Ida", "lastName": f"L{index}", "emailAddress": f"l{index}@example.com", **more}
        for index in range(first, first + count)
    ]


def there(crm: SandboxCrm, *names: str, entity_type: str = "Lead") -> list[tuple[Any, ...]]:
    """Attributes of all records, sorted."""
    found: list[dict[str, Any]] = []
    while True:
        answer = crm.asker.find(entity_type, select=list(names), offset=len(found), orderBy="id", maxSize=200)
        found += answer["list"]
        if len(answer["list"]) < 200:
            return sorted(tuple(one[name] for name in names) for one in found)


def add(crm: SandboxCrm, rows: list[dict[str, Any]]) -> list[str]:
    """Create leads past what is tested; returns their ids."""
    return [crm.asker.create("Lead", **row)["id"] for row in rows]


def write(**arguments: Any) -> EspoBulkWriteOperator:
    """Make a task."""
    return EspoBulkWriteOperator(**{"task_id": "write", "entity_type": "Lead", **arguments})


def lines(path: Path) -> list[Any]:
    """Lines of an NDJSON file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def told(folder: Path) -> list[Any]:
    """What the result files say of all rows, by their place."""
    found = [
        {"action": "failed", **line}
        for name in ("ok", "skipped", "failed")
        for path in folder.glob(f"{name}-*.ndjson")
        for line in lines(path)
    ]
    return sorted(found, key=lambda line: line["index"])


def actions(result: dict[str, Any]) -> dict[str, int]:
    """Numbers of a result that are not zero."""
    return {name: number for name, number in result.items() if isinstance(number, int) and number}


def writes(crm: SandboxCrm) -> Counter[str]:
    """Requests that changed something, by method and the beginning of the path."""
    return Counter(f"{one.method} {one.path.partition('/')[0]}" for one in crm.sent if one.method != "GET")
