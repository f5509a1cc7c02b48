"""Airflow's ``HttpOperator`` with a pagination function, by offset."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.providers.http.operators.http import HttpOperator

from benchmarks.site import Site


def extract(site: Site, entity: str, target: Path, **_: Any) -> int:
    def next_page(response: Any) -> dict[str, Any] | None:
        rows = response.json()["list"]
        state["offset"] += len(rows)
        return {"data": {"maxSize": 200, "offset": state["offset"]}} if len(rows) == 200 else None

    state = {"offset": 0}
    return fetch(site, entity, target, {"maxSize": 200, "offset": 0}, next_page)


def fetch(site: Site, entity: str, target: Path, data: dict[str, Any], next_page: Any) -> int:
    """Run the operator and write what it returns."""
    os.environ["AIRFLOW_CONN_CRM"] = json.dumps({"conn_type": "http", "host": site.url})
    task = HttpOperator(
        task_id="fetch",
        http_conn_id="CRM",
        method="GET",
        endpoint=f"api/v1/{entity}",
        headers=site.headers,
        data=data,
        pagination_function=next_page,
        response_filter=lambda responses: [response.json()["list"] for response in responses],
        log_response=False,
        extra_options={"timeout": 600},
    )
    pages = task.execute({})
    with target.open("w", encoding="utf-8") as file:
        for page in pages:
            for row in page:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return len(pages)
