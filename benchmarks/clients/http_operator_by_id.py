"""Airflow's ``HttpOperator`` with a pagination function that goes by id: what a user can write who knows of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.clients.http_operator import fetch
from benchmarks.site import Site


def extract(site: Site, entity: str, target: Path, **_: Any) -> int:
    def data(after: str | None) -> dict[str, Any]:
        search: dict[str, Any] = {"maxSize": 200, "orderBy": "id", "order": "asc"}
        if after is not None:
            search["where"] = [{"type": "greaterThan", "attribute": "id", "value": after}]
        return {"searchParams": json.dumps(search)}

    def next_page(response: Any) -> dict[str, Any] | None:
        rows = response.json()["list"]
        return {"data": data(rows[-1]["id"])} if len(rows) == 200 else None

    return fetch(site, entity, target, data(None), next_page)
