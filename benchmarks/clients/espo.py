"""The provider: ``EspoToObjectStorageOperator`` into a folder, with its part files, checksums and manifest."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from benchmarks.site import Site
from tests.unit.running import Store, run_task


def extract(
    site: Site,
    entity: str,
    target: Path,
    *,
    workers: int,
    requests_file: str | None = None,
    select: Sequence[str] | None = None,
) -> int:
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = site.connection(max_workers=workers)
    sent: list[Any] = []
    if requests_file is not None:
        note_requests(sent)
    task = EspoToObjectStorageOperator(task_id="extract", entity_type=entity, path=str(target), select=select)
    result = run_task(task, store=Store())
    if requests_file is not None:
        Path(requests_file).write_text(json.dumps(sent), encoding="utf-8")
    return -(-int(result["records"]) // 200)


def note_requests(sent: list[Any]) -> None:
    """Note every request with the thread that sends it, for a replay."""
    real = requests.Session.send

    def send(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append((time.perf_counter(), threading.get_ident(), str(request.url), dict(request.headers)))
        return real(session, request, **options)

    requests.Session.send = send  # type: ignore[assignment, method-assign]
