"""``make demo``: a real Airflow DAG brings a file of leads into the sandbox, twice, and reports."""

from __future__ import annotations

import json
import sys
from typing import Any

from dev.local import WORK, airflow_environment, migrate, run_airflow, sandbox

_ROWS = ("rows", "created", "updated", "unchanged", "rejected", "answered")
_LOG = WORK / "airflow.log"


def main() -> int:
    """Run the demo; return the exit status."""
    WORK.mkdir(exist_ok=True)
    _LOG.unlink(missing_ok=True)
    _say("Starting the EspoCRM sandbox and making Airflow's database (the first time only) ...")
    environment = airflow_environment()
    migrate(environment, _LOG)
    with sandbox() as crm:
        environment["AIRFLOW_CONN_ESPO_DEFAULT"] = crm.connection
        _say(f"EspoCRM sandbox at {crm.url}")
        reports = []
        for run in ("first", "second"):
            _say(f"airflow dags test lead_intake ({run} run of the same file) ...")
            reports.append(_run(environment, run))
            if reports[-1] is None:
                return 1
    _print_report(*[report for report in reports if report is not None])
    return 0


def _run(environment: dict[str, str], name: str) -> dict[str, Any] | None:
    folder = WORK / name
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    conf = json.dumps({"report_dir": str(folder)})
    done = run_airflow(["dags", "test", "lead_intake", "--conf", conf], environment, _LOG)
    if done.returncode or not report.exists():
        _say(f"The DAG run failed; see {_LOG}")
        return None
    result: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return result


def _print_report(first: dict[str, Any], second: dict[str, Any]) -> None:
    _say("")
    _say(f"{'lead_intake':<14}{'first run':>12}{'second run':>12}")
    _say("-" * 38)
    for name in _ROWS:
        _say(f"{name:<14}{first[name]:>12}{second[name]:>12}")
    _say("")
    _say("Rejected, by reason:")
    for reason, count in first["reasons"].items():
        _say(f"{count:>6}  {reason}")
    _say("")
    _say("Mended on the way:")
    for note, count in first["mended"].items():
        _say(f"{count:>6}  {note}")
    _say("")
    _say(f"Report of the first run, with the line of each reject: {WORK / 'first' / 'report.md'}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
