"""The task that extracts leads in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator

SELECT = ["name", "status", "createdAt"]


def extraction(folder: Path | str, **given: Any) -> EspoToObjectStorageOperator:
    arguments: dict[str, Any] = {
        "entity_type": "Lead",
        "select": SELECT,
        "page_size": 4,
        "parts": 3,
        "path": str(folder),
    }
    return EspoToObjectStorageOperator(task_id="extract", **(arguments | given))
