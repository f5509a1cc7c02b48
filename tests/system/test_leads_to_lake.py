"""Leads come into files over mapped tasks, run after run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.reading import open_dataset
from airflow_provider_espo.sandbox.fill import fill
from tests.system.conftest import Crm, next_second


def test_whoever_loads_the_runs_in_their_order_has_what_the_crm_has(
    crm: Crm, run_dag: Callable[..., Any], result_of: Callable[[Any, str], Any], tmp_path: Path
) -> None:
    tag = uuid4().hex
    loaded: dict[str, str] = {}
    delivered: set[tuple[str, str]] = set()
    gone: set[str] = set()

    def run() -> Any:
        dag_run = run_dag("leads_to_lake", folder=str(tmp_path), partitions=3)
        assert str(dag_run.state) == "success"
        result = result_of(dag_run, "complete")
        found = open_dataset(Folder(result["path"]))
        for row in found.rows(verify=True):
            assert (row["id"], row["modifiedAt"]) not in delivered, "came twice as it was"
            delivered.add((row["id"], row["modifiedAt"]))
            loaded[row["id"]] = row["name"]
        for row in found.deleted():
            gone.add(row["id"])
            loaded.pop(row["id"], None)
        return result

    if crm.sandbox is not None:
        fill(crm.sandbox.storage, "Lead", 1_500)
    made = [_lead(crm, f"{tag} {number}") for number in range(3)]
    next_second()
    first = run()
    manifest = json.loads(Path(first["manifest"]).read_text(encoding="utf-8"))
    assert manifest["watermark"] == first["watermark"]
    assert manifest["records"] == first["records"] > 0
    if crm.sandbox is not None:
        assert len(manifest["parts"]) == 3
    run()
    crm.hook.update_record("Lead", made[0], {"lastName": f"{tag} changed"})
    crm.hook.delete_record("Lead", made[1])
    new = _lead(crm, f"{tag} new")
    next_second()
    run()
    last = run()
    assert gone == {made[1]} or crm.is_real
    assert made[1] not in loaded
    assert (loaded[made[0]], loaded[made[2]], loaded[new]) == (f"{tag} changed", f"{tag} 2", f"{tag} new")
    if not crm.is_real:
        assert loaded == {lead["id"]: lead["name"] for lead in crm.hook.list_records("Lead", select=["name"])}
        assert last["watermark"] > first["watermark"]


def _lead(crm: Crm, name: str) -> str:
    # Not "New", so that the demo user leaves it alone.
    lead = crm.hook.create_record("Lead", {"lastName": name, "status": "In Process"}, on_duplicate="force")
    return str(lead["id"])
