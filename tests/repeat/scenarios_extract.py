"""Records into files, in one task and in mapped ones, and what is new and gone since a run before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.manifest import Manifest
from airflow_provider_espo.client.dataset.reading import open_dataset
from airflow_provider_espo.transfers.object_storage import EspoToObjectStorageOperator
from airflow_provider_espo.transfers.partitions import EspoCompletePartitionsOperator, EspoPlanPartitionsOperator
from airflow_provider_espo.where import contains
from tests.repeat.harness import VARIABLES, Run, Scenario
from tests.unit.sandbox_crm import stored
from tests.unit.transfers.running import Runs

if TYPE_CHECKING:
    from tests.repeat.crm import Crm

# By number and not by time: in which second something happens is no matter then.
NEW_AND_GONE: dict[str, Any] = {"incremental_by": "number", "watermark_key": "cases"}


def seven_cases(crm: Crm, run: Run) -> dict[str, Any]:
    """Cases to extract."""
    return {"ids": [crm.create("Case", name=f"No {number} {run.tag}") for number in range(7)]}


def run_before(crm: Crm, run: Run) -> dict[str, Any]:
    """Cases that an earlier run has extracted; since then one went and two came."""
    made = seven_cases(crm, run)
    runs = Runs()
    runs(EspoToObjectStorageOperator(task_id="task", **_extraction(run, "before"), **NEW_AND_GONE), "before")
    _change(crm, run, runs, made)
    return made


def planned(crm: Crm, run: Run) -> dict[str, Any]:
    """The same, and a plan for this run, of two parts."""
    made = seven_cases(crm, run)
    runs = Runs()
    for run_id in ("before", "run"):
        plan = EspoPlanPartitionsOperator(
            task_id="plan", entity_type="Case", where=_mine(run), partitions=2, min_records=1, **NEW_AND_GONE
        )
        made["plan"] = stored(runs(plan, run_id))
        if run_id == "before":
            _extract_all(runs, run, made["plan"], run_id)
            runs(EspoCompletePartitionsOperator(task_id="complete", **_completion(run, made["plan"], run_id)), run_id)
            _change(crm, run, runs, made)
    return made


def extracted(crm: Crm, run: Run) -> dict[str, Any]:
    """The same, and the parts are stored."""
    made = planned(crm, run)
    _extract_all(Runs(), run, made["plan"], "run")
    return made


def _extract_all(runs: Runs, run: Run, plan: Any, run_id: str) -> None:
    for number, partition in enumerate(plan):
        task = EspoToObjectStorageOperator(task_id="extract", **_extraction(run, run_id, partition=partition))
        runs(task, run_id, map_index=number)


def _change(crm: Crm, run: Run, runs: Runs, made: dict[str, Any]) -> None:
    (run.folder / VARIABLES).write_text(json.dumps(runs.variables), encoding="utf-8")
    crm.ask("DELETE", f"Case/{made['ids'][2]}")
    made["ids"] += [crm.create("Case", name=f"New {number} {run.tag}") for number in range(2)]


def _mine(run: Run) -> Any:
    return [contains("name", run.tag)]


def _extraction(run: Run, name: str, **more: Any) -> dict[str, Any]:
    return {
        "entity_type": "Case",
        "where": _mine(run),
        "select": ["name"],
        "page_size": 3,
        "parts": 2,
        "path": str(run.folder / name),
        "deleted": "detect",
        **more,
    }


def _completion(run: Run, plan: Any, name: str) -> dict[str, Any]:
    return {
        "entity_type": "Case",
        "where": _mine(run),
        "path": str(run.folder / name),
        "partitions": plan,
        "deleted": "detect",
    }


def _dataset(_crm: Crm, run: Run, result: Any) -> Any:
    """What whoever reads the folder finds, and how far the runs have come."""
    folder = Folder(str(run.folder / "run"))
    variables = run.folder / VARIABLES
    kept = json.loads(variables.read_text(encoding="utf-8")) if variables.exists() else {}
    seen: dict[str, Any] = {
        "watermark is of this run": [json.loads(one)["dataset"] == str(folder) for one in kept.values()],
        "result": result and {name: result[name] for name in ("records", "deleted", "action")},
    }
    if Manifest.read(folder) is not None:
        found = open_dataset(folder)
        seen["names"] = sorted(row["name"] for row in found.rows(verify=True))
        seen["gone"] = len(list(found.deleted(verify=True)))
        seen["besides"] = len(folder.names()) - len(found.names)
    return seen


def _parts(_crm: Crm, run: Run, result: Any) -> Any:
    """What a mapped task tells the last one."""
    folder = Folder(str(run.folder / "run"))
    told = [json.loads(folder.read_bytes(name)) for name in folder.names() if name.startswith("_part-")]
    return {
        "result": result and {name: result[name] for name in ("records", "action")},
        "parts": [[one["records"] for one in part["parts"]] for part in told],
        "files": len(folder.names()),
    }


SCENARIOS = (
    Scenario(
        "all records",
        EspoToObjectStorageOperator,
        lambda run: _extraction(run, "run", deleted="ignore"),
        "the files in the folder, and a list of them beside",
        seven_cases,
        _dataset,
    ),
    Scenario(
        "what is new and gone",
        EspoToObjectStorageOperator,
        lambda run: {**_extraction(run, "run"), **NEW_AND_GONE},
        "the files in the folder, and a list of them beside; the watermark moves at last",
        run_before,
        _dataset,
    ),
    Scenario(
        "one of two parts",
        EspoToObjectStorageOperator,
        lambda run: _extraction(run, "run", partition=run.made["plan"][1]),
        "the files in the folder, and a list of them beside",
        planned,
        _parts,
    ),
    Scenario(
        "two parts",
        EspoPlanPartitionsOperator,
        lambda run: {
            "entity_type": "Case",
            "where": _mine(run),
            "partitions": 2,
            "min_records": 1,
        },
        "none is needed: it only reads",
        seven_cases,
        lambda _crm, _run, result: result and [one["expected"] for one in result],
    ),
    Scenario(
        "two parts, what is new and gone",
        EspoCompletePartitionsOperator,
        lambda run: _completion(run, run.made["plan"], "run"),
        "the manifest; the watermark moves at last",
        extracted,
        _dataset,
    ),
)
