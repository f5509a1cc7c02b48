"""Filters as a DAG author meets them: in a DAG file, in templates, and in the documentation."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import re
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_espo import where
from airflow_provider_espo.client.where_build import function_name
from airflow_provider_espo.client.where_check import check_where
from airflow_provider_espo.client.where_operators import OPERATORS
from tests.unit.airflows import DagSerialization

if TYPE_CHECKING:
    from airflow.sdk import Context

DOCUMENT = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")


class Lister(BaseOperator):
    """An operator that has a filter and gives it back as it would be sent."""

    template_fields = ("where",)

    def __init__(self, *, where: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.where = where

    def execute(self, context: Context) -> list[dict[str, Any]]:
        del context
        return check_where(self.where, rendered=True)


class Results:
    """The part of a task instance that hands out other tasks' results."""

    def __init__(self, **by_task: Any) -> None:
        self.by_task = by_task

    def xcom_pull(self, *, task_ids: str, key: str, **_: Any) -> Any:
        result = self.by_task[task_ids]
        return result if key == "return_value" else result[key]


def lead_dag() -> tuple[DAG, Lister]:
    with DAG("leads", schedule=None, start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) as dag:

        @task
        def accounts() -> list[str]:
            return ["a1", "a2"]

        @task(multiple_outputs=True)
        def team() -> dict[str, str]:
            return {"id": "t1"}

        found_team: Any = team()
        lister = Lister(
            task_id="lister",
            where=[
                where.in_("accountId", accounts()),
                where.or_(
                    where.linked_with("teams", [found_team["id"], "t2"]),
                    where.contains("name", "{{ params.part }}"),
                ),
                where.greater_than_or_equals("modifiedAt", "{{ data_interval_start }}"),
                where.before("createdAt", "{{ data_interval_start }}", time_zone="Europe/Kyiv"),
                where.not_on("createdAt", "{{ ds }}", time_zone="Europe/Kyiv"),
                where.last_x_days("createdAt", "{{ params.days }}"),
            ],
        )
    return dag, lister


def test_tasks_whose_results_stand_in_a_filter_are_upstream() -> None:
    _, lister = lead_dag()
    assert lister.upstream_task_ids == {"accounts", "team"}


def test_results_and_jinja_are_filled_in_at_any_depth() -> None:
    _, lister = lead_dag()
    context: Any = {
        "ti": Results(accounts=["a1", "a2"], team={"id": "t1"}),
        "params": {"part": "Acme", "days": 7},
        "data_interval_start": dt.datetime(2026, 1, 5, 22, 30, tzinfo=dt.UTC),
        "ds": "2026-01-05",
    }
    lister.render_template_fields(context)
    local = {"attribute": "createdAt", "dateTime": True, "timeZone": "Europe/Kyiv"}
    assert lister.execute(context) == [
        {"type": "in", "attribute": "accountId", "value": ["a1", "a2"]},
        {
            "type": "or",
            "value": [
                {"type": "linkedWith", "attribute": "teams", "value": ["t1", "t2"]},
                {"type": "contains", "attribute": "name", "value": "Acme"},
            ],
        },
        {"type": "greaterThanOrEquals", "attribute": "modifiedAt", "value": "2026-01-05 22:30:00"},
        {"type": "before", "value": "2026-01-06 00:30:00", **local},
        {
            "type": "or",
            "value": [
                {"type": "before", "value": "2026-01-05", **local},
                {"type": "after", "value": "2026-01-05", **local},
            ],
        },
        {"type": "lastXDays", "attribute": "createdAt", "dateTime": True, "value": 7},
    ]


def test_a_whole_filter_may_be_another_tasks_result() -> None:
    with DAG("leads", schedule=None, start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)):

        @task
        def build() -> list[dict[str, Any]]:
            return [where.is_null("accountId")]

        lister = Lister(task_id="lister", where=build())
    unrendered: Any = check_where(lister.where, rendered=False)
    assert unrendered is lister.where
    context: Any = {"ti": Results(build=[where.is_null("accountId")])}
    lister.render_template_fields(context)
    assert lister.execute(context) == [where.is_null("accountId")]


def test_a_dag_with_filters_serializes_the_same_on_each_parse() -> None:
    first, second = (json.dumps(DagSerialization.to_dict(lead_dag()[0])) for _ in range(2))
    assert first == second
    # A reference to the other task; the second is how Airflow 3.1 writes it.
    assert "task_ids='accounts'" in first or "XComArg(<Task(_PythonDecoratedOperator): accounts>)" in first
    assert " object at 0x" not in first


def public_functions() -> dict[str, Any]:
    return {name: getattr(where, name) for name in where.__all__}


def test_the_public_module_offers_each_function_and_nothing_else() -> None:
    offered = {function_name(operator) for operator in OPERATORS}
    not_functions = {function_name(operator) for operator in ("any", "bool", "primary", "textFilter")}
    assert set(where.__all__) == offered - not_functions
    assert all(inspect.isfunction(function) for function in public_functions().values())


def test_each_function_documents_each_of_its_parameters() -> None:
    for name, function in public_functions().items():
        documented = re.findall(r":param (\w+):", inspect.getdoc(function) or "")
        assert documented == list(inspect.signature(function).parameters), name


def documented_rows() -> list[list[str]]:
    rows = [line for line in DOCUMENT.splitlines() if re.match(r"\| `\w+\(.*\)` \| `\w+` \|", line)]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def test_the_documents_table_has_each_function_once_with_its_parameters() -> None:
    signatures = []
    for name, function in public_functions().items():
        parameters = inspect.signature(function).parameters.values()
        shown = [str(p).split(":")[0] for p in parameters if p.kind is not p.KEYWORD_ONLY]
        signatures.append(f"{name}({', '.join(shown)})")
    assert sorted(row[0] for row in documented_rows()) == sorted(signatures)


def test_the_documents_table_names_the_operator_that_each_function_makes() -> None:
    for signature, operator, *_ in documented_rows():
        assert function_name(operator) == signature.split("(")[0]
        assert operator in OPERATORS


def test_the_documents_table_says_which_functions_take_time_options() -> None:
    order = [row[0].split("(")[0] for row in documented_rows()]
    dated = {"between", *order[order.index("on") : order.index("last_fiscal_quarter") + 1]}
    for name, function in public_functions().items():
        options = {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
        assert ("time_zone" in options) == ("date_time" in options) == (name in dated), name
        operator = next(operator for operator in OPERATORS.values() if function_name(operator.name) == name)
        assert ("date" in options) == operator.local_date, name


def namespace() -> dict[str, Any]:
    start, end = dt.datetime(2026, 1, 5, tzinfo=dt.UTC), dt.datetime(2026, 1, 6, tzinfo=dt.UTC)
    find_accounts = types.SimpleNamespace(output=types.SimpleNamespace())
    return {**public_functions(), "start": start, "end": end, "find_accounts": find_accounts}


BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_the_documents_examples_run(block: str) -> None:
    names = namespace()
    exec(compile(block, "filters.md", "exec"), names)
    made = names["where"] if isinstance(names.get("where"), list) else names["fresh_leads"].where
    assert check_where(made, rendered=False) == made


def test_the_documents_date_examples_are_filters() -> None:
    table = DOCUMENT.split("| The attribute is |")[1].split("\n\n")[0]
    examples = re.findall(r"\| `([^`]+)` \|$", table, re.MULTILINE)
    assert len(examples) == 5
    for example in examples:
        items = eval(f"[{example}]", namespace())
        assert check_where(items, rendered=True) == items
