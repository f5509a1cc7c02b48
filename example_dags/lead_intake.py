"""Bring a file of leads into EspoCRM: clean, upsert by e-mail, link to a target list, wait for an answer, report.

The file is as trade fairs and web forms really produce them: duplicates, missing names, bad addresses, phone numbers
in every notation. Good rows go in, each bad row is reported with its line and the reason. Every task can be tried
again, and a second run of the same file changes nothing.

What people wrote stays in the file and in the CRM: between the tasks go line numbers, reasons and ids. So every worker
has to reach the file, under the same path.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import lead_cleaning
import pendulum
from airflow.sdk import Param, dag, get_current_context, task

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.record import EspoUpsertRecordOperator
from airflow_provider_espo.operators.relationship import EspoLinkOperator
from airflow_provider_espo.sensors.record import EspoRecordSensor
from airflow_provider_espo.where import linked_with, not_equals

try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowFailException

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
REPORT_DIR = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "lead_intake"


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "file": Param(str(HERE / "data" / "leads.csv"), type="string", title="CSV file with the leads"),
        "target_list": Param("Trade fair 2026", type="string", title="Name of the target list"),
        "chunk_size": Param(100, type="integer", minimum=1, title="Leads a mapped task"),
        "report_dir": Param(str(REPORT_DIR), type="string", title="Folder for the report"),
    },
)
def lead_intake() -> None:
    """See the module's text."""

    @task
    def read_leads(file: str) -> dict[str, Any]:
        """Read and clean the file, and say what is in it."""
        cleaned = _clean(file)
        log.info("%d rows, %d leads, %d rejected", cleaned.rows, len(cleaned.leads), len(cleaned.rejects))
        return {
            "rows": cleaned.rows,
            "leads": len(cleaned.leads),
            "rejects": cleaned.rejects,
            "notes": cleaned.notes,
            "sha256": cleaned.sha256,
        }

    @task
    def cut(read: dict[str, Any], size: str) -> list[list[int]]:
        """Cut the good rows into chunks, one for each mapped task: first and last position."""
        return lead_cleaning.chunks(read["leads"], int(size))

    @task
    def upsert_leads(file: str, read: dict[str, Any], chunk: list[int]) -> dict[str, Any]:
        """Upsert a chunk. A row that EspoCRM refuses does not stop the others."""
        cleaned = _clean(file)
        if cleaned.sha256 != read["sha256"]:
            raise AirflowFailException(f"{Path(file).name} was changed during the run: start a new run")
        leads = cleaned.leads[chunk[0] : chunk[1]]
        lines = [lead.pop("line") for lead in leads]
        with EspoHook() as hook:
            outcomes = hook.write_many("Lead", leads, operation="upsert", match_by=["emailAddress"])
        return {
            "ids": [outcome["id"] for outcome in outcomes if outcome["id"]],
            "created": [outcome["id"] for outcome in outcomes if outcome["action"] == "created"],
            "updated": [outcome["id"] for outcome in outcomes if outcome["action"] == "updated"],
            "unchanged": sum(outcome["action"] == "unchanged" for outcome in outcomes),
            "rejects": [
                {"line": lines[outcome["index"]], "reason": outcome["error"]}
                for outcome in outcomes
                if outcome["action"] == "failed"
            ],
        }

    @task
    def all_ids(results: list[dict[str, Any]]) -> list[str]:
        """Ids of all leads that are in the CRM now."""
        return [record_id for result in results for record_id in result["ids"]]

    # A person answers when a person can: the end of a short wait without an answer is no failure.
    @task(trigger_rule="none_failed")
    def report(read: dict[str, Any], results: list[dict[str, Any]], target_list_id: str) -> dict[str, Any]:
        """Write what happened to a JSON and a Markdown file."""
        context = get_current_context()
        answered = context["ti"].xcom_pull(task_ids="wait_for_an_answer") or {"count": 0}
        created = [record_id for result in results for record_id in result["created"]]
        rejects = sorted(read["rejects"] + [one for result in results for one in result["rejects"]], key=_line)
        summary: dict[str, Any] = {
            "rows": read["rows"],
            "created": len(created),
            "updated": sum(len(result["updated"]) for result in results),
            "unchanged": sum(result["unchanged"] for result in results),
            "rejected": len(rejects),
            "reasons": lead_cleaning.count_by(rejects, "reason"),
            "mended": lead_cleaning.count_by(read["notes"], "note"),
            "rejects": rejects,
            "answered": answered["count"],
        }
        with EspoHook() as hook:
            summary["target_list"] = hook.record_url("TargetList", target_list_id)
            summary["new_leads"] = [hook.record_url("Lead", record_id) for record_id in created[:5]]
        folder = Path(context["params"]["report_dir"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False), encoding="utf-8")
        (folder / "report.md").write_text(_as_markdown(summary), encoding="utf-8")
        log.info("Report in %s", folder)
        return {name: summary[name] for name in ("rows", "created", "updated", "unchanged", "rejected", "answered")}

    read = read_leads("{{ params.file }}")
    chunks = cut(read, "{{ params.chunk_size }}")
    results = upsert_leads.partial(file="{{ params.file }}", read=read).expand(chunk=chunks)
    target_list = EspoUpsertRecordOperator(
        task_id="target_list",
        entity_type="TargetList",
        attributes={"name": "{{ params.target_list }}"},
        match_by=["name"],
    )
    link = EspoLinkOperator(
        task_id="link_to_target_list",
        entity_type="TargetList",
        record_id=target_list.output["id"],
        link="leads",
        related_ids=all_ids(results),
    )
    wait = EspoRecordSensor(
        task_id="wait_for_an_answer",
        entity_type="Lead",
        where=[linked_with("targetLists", [target_list.output["id"]]), not_equals("status", "New")],
        deferrable=True,
        poll_interval=1,
        timeout=30,
        soft_fail=True,
    )
    link >> wait >> report(read, results, target_list.output["id"])


def _clean(file: str) -> lead_cleaning.Cleaned:
    try:
        return lead_cleaning.clean_file(Path(file))
    except ValueError as error:
        # Trying again would not mend the file.
        raise AirflowFailException(str(error)) from None


def _line(reject: dict[str, Any]) -> int:
    return int(reject["line"])


def _place(reject: dict[str, Any]) -> str:
    return f"lines {reject['line']} to {reject['to_line']}" if "to_line" in reject else f"line {reject['line']}"


def _as_markdown(summary: dict[str, Any]) -> str:
    lines = ["# Lead intake", "", "| | |", "|---|---|"]
    lines += [
        f"| {name} | {summary[name]} |" for name in ("rows", "created", "updated", "unchanged", "rejected", "answered")
    ]
    lines += ["", f"Target list: {summary['target_list']}", "", "## Rejected", ""]
    lines += [f"* {_place(reject)}: {reject['reason']}" for reject in summary["rejects"]]
    lines += ["", "## Mended", ""]
    lines += [f"* {note}: {count}" for note, count in summary["mended"].items()]
    return "\n".join(lines) + "\n"


lead_intake()
