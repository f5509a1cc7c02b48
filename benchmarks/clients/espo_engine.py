"""The provider's extraction without its operator: pages straight into one NDJSON file, no checksums, no manifest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from airflow_provider_espo.client.extraction import Page
from airflow_provider_espo.client.operations.extract import ask, extract_part
from airflow_provider_espo.client.operations.partitions import LEAST_RECORDS
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.transfers.extraction import cut_into_parts
from benchmarks.site import Site


class Lines:
    """Writes pages of one part to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.pages = 0

    def write(self, page: Page) -> None:
        self.pages += 1
        self._file.write(page.lines())

    def finish(self) -> None:
        self._file.flush()


def extract(
    site: Site,
    entity: str,
    target: Path,
    *,
    workers: int,
    select: Sequence[str] | None = None,
    **_: Any,
) -> int:
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = site.connection(max_workers=workers)
    with EspoHook() as hook, target.open("wb", buffering=1 << 20) as file:
        client = hook.get_conn()
        question, _schema = client.run(ask(client.state, entity, select=select))
        parts = cut_into_parts(hook, question, workers, least_records=LEAST_RECORDS)
        sinks = [Lines(file) for _ in parts]
        walks = [extract_part(question, part, sink) for part, sink in zip(parts, sinks, strict=True)]
        for outcome in client.run_many(walks, workers):
            if isinstance(outcome, Exception):
                raise outcome
    return sum(sink.pages for sink in sinks)
