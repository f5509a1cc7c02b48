"""Creates leads in one of three ways and tells how long it took.

``serial``: one POST after another, as a script does; ``write_many``: the hook's single writes side by side;
``operator``: ``EspoBulkWriteOperator`` with its own choice of the way. Every lead has an address by which it is told.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from typing import Any

import requests

from benchmarks.site import Site, search_query

Rows = list[dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("way", choices=sorted(WAYS))
    parser.add_argument("--credentials", required=True)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--remove", action="store_true", help="delete the leads afterwards, not timed")
    given = parser.parse_args()
    site = Site.from_file(given.credentials)
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = site.connection(max_workers=given.workers)
    tag = uuid.uuid4().hex[:12]
    rows = [
        {"firstName": "Bench", "lastName": f"Mark {n}", "emailAddress": f"{n}.{tag}@example.org", "source": "Web Site"}
        for n in range(given.records)
    ]
    started = time.perf_counter()
    info = WAYS[given.way](site, rows)
    took = time.perf_counter() - started
    ids = ids_of(site, tag)
    if given.remove:
        from airflow_provider_espo.hooks.espo import EspoHook

        with EspoHook() as hook:
            hook.write_many("Lead", [{"id": one} for one in ids], operation="delete")
    figures = {"way": given.way, "records": given.records, "found": len(ids), "seconds": took, "info": info}
    print(json.dumps(figures))
    return 0 if len(ids) == given.records else 1


def serial(site: Site, rows: Rows) -> str:
    with requests.Session() as session:
        session.headers.update({**site.headers, "X-Skip-Duplicate-Check": "true"})
        for row in rows:
            session.post(f"{site.api}/Lead", json=row, timeout=300).raise_for_status()
    return ""


def write_many(site: Site, rows: Rows) -> str:
    from airflow_provider_espo.hooks.espo import EspoHook

    with EspoHook() as hook:
        outcomes = hook.write_many("Lead", rows, operation="create", on_duplicate="force")
    return f"{sum(outcome['action'] == 'created' for outcome in outcomes)} created"


def operator(site: Site, rows: Rows) -> str:
    from airflow_provider_espo.operators.bulk import EspoBulkWriteOperator
    from tests.unit.running import Store, run_task

    with tempfile.TemporaryDirectory() as folder:
        task = EspoBulkWriteOperator(
            task_id="create",
            entity_type="Lead",
            operation="create",
            rows=rows,
            match_by=["emailAddress"],
            # As with the other two ways: EspoCRM is not asked for duplicates.
            on_duplicate="force",
            results_path=f"file://{folder}/results",
        )
        result = run_task(task, store=Store())
    return json.dumps({name: result[name] for name in ("route", "created", "failed")})


def ids_of(site: Site, tag: str) -> list[str]:
    """The leads of this run, as the CRM has them."""
    found: list[str] = []
    while True:
        search = {
            "where": [{"type": "endsWith", "attribute": "emailAddress", "value": f".{tag}@example.org"}],
            "select": ["id"],
            "maxSize": 200,
            "orderBy": "id",
            "order": "asc",
            "offset": len(found),
        }
        answer = requests.get(f"{site.api}/Lead?{search_query(search)}", headers=site.headers, timeout=300)
        answer.raise_for_status()
        rows = answer.json()["list"]
        found += [row["id"] for row in rows]
        if len(rows) < 200:
            return found


WAYS: dict[str, Callable[[Site, Rows], str]] = {"serial": serial, "write_many": write_many, "operator": operator}

if __name__ == "__main__":
    raise SystemExit(main())
