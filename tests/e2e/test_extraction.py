"""Mapped tasks extract in several worker processes, and what they wrote fits together."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from tests.e2e.dags.extracting import PARTS
from tests.e2e.stack import FILLED, Stack


def test_several_workers_extract_every_lead_once(stack: Stack) -> None:
    stack.unpause("extract_leads")
    run = stack.trigger("extract_leads")

    assert stack.finished("extract_leads", run, 240) == "success"

    tasks = [task for task in stack.tasks("extract_leads", run) if task["task_id"] == "extract"]
    assert sorted(task["map_index"] for task in tasks) == list(range(PARTS))
    workers = {task["pid"] for task in tasks}
    assert len(workers) == PARTS
    result = stack.xcom("extract_leads", run, "complete")
    folder = stack.out / "leads"
    manifest = json.loads((folder / Path(result["manifest"]).name).read_text(encoding="utf-8"))
    files = [folder / file["name"] for file in manifest["files"]]
    ids = [json.loads(line)["id"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    there = stack.crm("GET", "Lead", searchParams={"maxSize": 1, "select": ["id"]})["total"]
    assert len(ids) == len(set(ids)) == result["records"] == there >= FILLED
    begins = sorted((task["start_date"], task["end_date"]) for task in tasks)
    overlap = sum(after[0] < before[1] for before, after in itertools.pairwise(begins))
    print(f"\n{len(ids)} leads, {len(workers)} worker processes; {overlap} of them began while another was at work")
