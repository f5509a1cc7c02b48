"""Scores of a warehouse come back to the leads in the CRM."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.system.conftest import Crm


@pytest.fixture
def leads(crm: Crm) -> Iterator[dict[str, str]]:
    """Leads, by their address."""
    tag = uuid4().hex
    rows = [{"lastName": f"{tag} {n}", "emailAddress": f"{n}.{tag}@example.com"} for n in range(30)]
    outcomes = crm.hook.write_many("Lead", rows, operation="create", on_duplicate="force")
    yield {row["emailAddress"]: str(one["id"]) for row, one in zip(rows, outcomes, strict=True)}
    crm.hook.write_many("Lead", [{"id": one["id"]} for one in outcomes], operation="delete")


def test_the_leads_have_their_scores_and_those_that_have_them_are_left_alone(
    crm: Crm,
    leads: dict[str, str],
    run_dag: Callable[..., Any],
    result_of: Callable[[Any, str], Any],
    kept_of: Callable[[Any], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    addresses = sorted(leads)
    scores = [(address, number * 10.5, number % 3 == 0) for number, address in enumerate(addresses)]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "CREATE TABLE lead_scores (email TEXT, expected_amount NUMERIC, no_calls BOOLEAN, scored_on DATE)"
        )
        new = [(*score, "2026-03-02") for score in [*scores, ("nobody@example.com", 1, False)]]
        old = [(address, 1, True, "2026-03-01") for address in addresses]
        connection.executemany("INSERT INTO lead_scores VALUES (?, ?, ?, ?)", [*old, *new])

    def run() -> Any:
        dag_run = run_dag("scores_to_crm", results=str(tmp_path / "results"))
        assert str(dag_run.state) == "success"
        return dag_run

    first = run()
    result = result_of(first, "scores")
    assert (result["updated"], result["failed"]) == (30, 1)
    found = [crm.hook.get_record("Lead", leads[address]) for address in addresses]
    assert [(one["emailAddress"], one["opportunityAmount"], one["doNotCall"]) for one in found] == scores
    (failed,) = Path(result["results_path"]).glob("failed-*.ndjson")
    assert json.loads(failed.read_text())["row"]["email"] == "nobody@example.com"
    assert "30 leads changed, 0 had it already, 1 failed" in result_of(first, "report")

    second = run()
    assert (result_of(second, "scores")["updated"], result_of(second, "scores")["unchanged"]) == (0, 30)
    assert "example.com" not in " ".join([*kept_of(first), *kept_of(second)])
