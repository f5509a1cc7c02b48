"""The main job, run as users run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_espo.where import equals, linked_with
from tests.system.conftest import Crm

HEADER = "first_name,last_name,company,email,phone,country,source,met_at,notes"


@pytest.fixture
def run_intake(run_dag: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Run the DAG and return its state and its report."""

    def run(**params: Any) -> tuple[str, dict[str, Any]]:
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        dag_run = run_dag("lead_intake", report_dir=str(tmp_path), **params)
        return str(dag_run.state), json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}

    return run


def test_a_file_of_leads_gets_into_the_crm_and_a_second_run_changes_nothing(
    crm: Crm, run_intake: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    name = f"Trade fair {uuid4().hex}"
    state, first = run_intake(target_list=name)
    assert state == "success"
    assert first["rows"] == 500
    good = first["created"] + first["updated"] + first["unchanged"]
    doubles = first["mended"]["same e-mail address as an earlier line: merged"]
    assert good + doubles + first["rejected"] == 500
    if not crm.is_real:
        # Of the file's leads some are in the demo data already.
        assert first["created"] > 400
        assert first["updated"] > 5
        assert first["answered"] > 0
    target_list = crm.hook.list_records("TargetList", where=[equals("name", name)])
    assert crm.hook.count_records("Lead", where=[linked_with("targetLists", [target_list[0]["id"]])]) == good
    before = _written_by_us(crm)

    state, second = run_intake(target_list=name)

    assert state == "success"
    assert (second["created"], second["updated"], second["unchanged"]) == (0, 0, good)
    assert second["rejects"] == first["rejects"]
    # Others may go on answering leads meanwhile.
    assert _written_by_us(crm).items() <= before.items()


def test_each_bad_row_is_reported_with_its_line_and_the_rest_goes_on(
    crm: Crm, run_intake: Callable[..., tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    tag = uuid4().hex
    file = tmp_path / "leads.csv"
    rows = [
        HEADER,
        f"Good,One{tag},Acme,one{tag}@example.com,,,Call,,",
        "Bad,Address,Acme,nobody at example.com,,,Call,,",
        f",,,nameless{tag}@example.com,,,Call,,",
        f"Too,{'long' * 60},Acme,long{tag}@example.com,,,Call,,",
        f"Good,Two{tag},Acme,two{tag}@example.com,,,Call,,",
    ]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    state, report = run_intake(file=str(file), target_list=f"List {tag}")
    assert state == "success"
    assert report["created"] == 2
    assert [reject["line"] for reject in report["rejects"]] == [3, 4, 5]
    assert "e-mail" in report["rejects"][0]["reason"]
    assert "neither name nor company" in report["rejects"][1]["reason"]
    assert "lastName" in report["rejects"][2]["reason"]
    assert "longlong" not in json.dumps(report)
    for name in ("One", "Two"):
        assert crm.hook.count_records("Lead", where=[equals("lastName", name + tag)]) == 1


def test_airflow_keeps_nothing_of_what_people_wrote(
    crm: Crm, run_dag: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    tag = uuid4().hex
    file = tmp_path / "leads.csv"
    file.write_text(f"{HEADER}\nAnna,Nowak{tag},,{tag}@example.com\nBo,{tag},,{tag} at example.com\n", encoding="utf-8")
    dag_run = run_dag("lead_intake", file=str(file), target_list="Trade fair", report_dir=str(tmp_path))
    assert str(dag_run.state) == "success"
    assert crm.hook.count_records("Lead", where=[equals("lastName", f"Nowak{tag}")]) == 1
    with create_session() as session:
        of_the_run = {"dag_id": dag_run.dag_id, "run_id": dag_run.run_id}
        xcoms = [str(one.value) for one in session.query(XComModel).filter_by(**of_the_run)]
        rendered = [
            str(one.rendered_fields) for one in session.query(RenderedTaskInstanceFields).filter_by(**of_the_run)
        ]
    assert len(xcoms) > 5
    assert len(rendered) > 5
    assert [
        text for text in [*xcoms, *rendered, caplog.text, (tmp_path / "report.md").read_text()] if tag in text
    ] == []


@pytest.mark.parametrize(
    ("content", "missing"),
    [("first_name,last_name\nA,B\n", False), (None, True)],
    ids=["a column is missing", "the file cannot be read"],
)
def test_a_file_that_is_none_fails_before_anything_is_written(
    crm: Crm,
    run_intake: Callable[..., tuple[str, dict[str, Any]]],
    tmp_path: Path,
    content: str | None,
    missing: bool,
) -> None:
    file = tmp_path / "leads.csv"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    name = f"List {uuid4().hex}"
    before = crm.hook.count_records("Lead")
    state, report = run_intake(file=str(file), target_list=name)
    assert state == "failed"
    assert report == {}
    assert crm.hook.count_records("Lead") == before


def test_the_end_of_the_wait_without_an_answer_is_no_failure(
    crm: Crm, run_intake: Callable[..., tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(HEADER + "\n", encoding="utf-8")
    state, report = run_intake(file=str(file), target_list=f"List {uuid4().hex}")
    assert state == "success"
    assert report["rows"] == report["created"] == report["answered"] == 0


def _written_by_us(crm: Crm) -> dict[str, str]:
    """When the connection's user wrote to each lead that nobody else has written to since."""
    us = crm.hook.whoami()["id"]
    leads = crm.hook.iter_records("Lead", select=["modifiedAt", "modifiedById"])
    return {lead["id"]: lead["modifiedAt"] for lead in leads if lead["modifiedById"] in (us, None)}
