"""What a page costs by its depth: by id as the provider asks for it, and by offset in the default order.

All depths are asked for in turn, several times, one request at a time; the figure is the median.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping
from typing import Any

import requests

from airflow_provider_espo.client.operations.extract import ask
from airflow_provider_espo.hooks.espo import EspoHook
from benchmarks.site import Site, search_query

STEPS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--credentials", required=True)
    parser.add_argument("--entity", default="Lead")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--offset-rounds", type=int, default=1)
    given = parser.parse_args()
    site = Site.from_file(given.credentials)
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = site.connection()
    with EspoHook() as hook:
        client = hook.get_conn()
        question, _ = client.run(ask(client.state, given.entity))
    search = question.search.with_(order_by="id", order="asc", max_size=200).to_params()
    with requests.Session() as session:
        session.headers.update({**site.headers, "X-No-Total": "true"})
        url = f"{site.api}/{given.entity}"
        total = Asked(session, url, no_total=False)({"maxSize": 1, "select": ["id"]})[1]["total"]
        # So that the deepest page is a full one.
        depths = [step * max(0, total - 200) // STEPS for step in range(STEPS + 1)]
        get = Asked(session, url)
        by_id = [after(search, border(get, depth)) for depth in depths]
        by_offset = [{"maxSize": 200, "offset": depth} for depth in depths]
        # The first requests of a connection are no measure.
        for wanted in by_id[:3]:
            get(wanted)
        id_times = [[get(wanted)[0] for wanted in by_id] for _ in range(given.rounds)]
        with_total = Asked(session, url, no_total=False)
        offset_times = [[with_total(wanted)[0] for wanted in by_offset] for _ in range(given.offset_rounds)]
    figures = {
        "total": total,
        "depths": depths,
        "by_id": [statistics.median(times) for times in zip(*id_times, strict=True)],
        "by_offset": [statistics.median(times) for times in zip(*offset_times, strict=True)],
    }
    print(json.dumps(figures))
    return 0


class Asked:
    """Sends a search and tells how long the answer took."""

    def __init__(self, session: requests.Session, url: str, *, no_total: bool = True) -> None:
        self._session = session
        self._url = url
        self._headers = {} if no_total else {"X-No-Total": "false"}

    def __call__(self, search: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        started = time.perf_counter()
        answer = self._session.get(f"{self._url}?{search_query(dict(search))}", headers=self._headers, timeout=600)
        content = answer.content
        took = time.perf_counter() - started
        answer.raise_for_status()
        found: dict[str, Any] = json.loads(content)
        return took, found


def border(get: Asked, depth: int) -> str | None:
    """Id behind which the page at a depth begins."""
    if depth == 0:
        return None
    one = {"maxSize": 1, "offset": depth - 1, "orderBy": "id", "order": "asc", "select": ["id"]}
    return str(get(one)[1]["list"][0]["id"])


def after(search: dict[str, Any], record_id: str | None) -> dict[str, Any]:
    """The page behind an id."""
    if record_id is None:
        return search
    return {**search, "where": [{"type": "greaterThan", "attribute": "id", "value": record_id}]}


if __name__ == "__main__":
    raise SystemExit(main())
