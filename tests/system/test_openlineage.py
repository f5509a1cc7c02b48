"""What Airflow's own OpenLineage provider sends when DAGs of ours run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Crm

pytest.importorskip("airflow.providers.openlineage")


@pytest.fixture
def sent(airflow_database: None, crm: Crm, tmp_path: Path) -> list[dict[str, Any]]:
    """Events of a run of an example that has both an operator and a hook that is called directly."""
    log = tmp_path / "events"
    transport = {"type": "file", "log_file_path": str(log), "append": True}
    # The provider reads its configuration once in a process.
    environment = {**os.environ, "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    given = json.dumps({"leads": "%", "allowed": 1_000_000})
    subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", "failure_to_crm_case", "--conf", given],
        env=environment,
        check=True,
        capture_output=True,
    )
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def datasets(events: list[dict[str, Any]], task_id: str, side: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Datasets that the end of a task told of."""
    (event,) = [one for one in events if one["job"]["name"].endswith(f".{task_id}") and one["eventType"] == "COMPLETE"]
    return {(one["namespace"], one["name"]): one for one in event[side]}


def test_operators_and_hooks_tell_their_datasets_and_no_secret(crm: Crm, sent: list[dict[str, Any]]) -> None:
    site = crm.hook.config.site_url.partition("://")[2]

    read = datasets(sent, "check_addresses", "inputs")
    assert list(read) == [(f"espo://{site}", "Lead")]
    assert datasets(sent, "check_addresses", "outputs") == {}

    assert datasets(sent, "close_cases", "inputs") == {}
    ((name, written),) = datasets(sent, "close_cases", "outputs").items()
    assert name == (f"espo://{site}", "Case")
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 0
    fields = {field["name"]: field["type"] for field in written["facets"]["schema"]["fields"]}
    assert fields.items() >= {"id": "id", "status": "enum"}.items()
    assert crm.hook.config.secret not in json.dumps(sent)
