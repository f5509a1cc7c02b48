"""What the documentation shows works, and all there is stands in it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow.sdk
import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from tests.unit.airflows import DagSerialization
from tests.unit.test_building_blocks import TASKS, arguments_of, make

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks() -> Iterator[tuple[str, str]]:
    """Python code of the pages, with its place."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 2
            yield f"{page.name}:{line}", found[1]


BLOCKS = dict(blocks())
#: What makes tasks can be run without a CRM. Scripts that call a hook are only compiled.
WITH_TASKS = {
    place: code
    for place, code in BLOCKS.items()
    if re.search(r"^from airflow_provider_espo\.(operators|sensors|transfers)|^from airflow\.sdk", code, re.MULTILINE)
}


def imports(code: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def skip_what_this_airflow_lacks(code: str) -> None:
    """Skip an example of what only later versions of Airflow have."""
    if "espo_retry_policy" in code and not hasattr(airflow.sdk, "ExceptionRetryPolicy"):
        pytest.skip("Airflow has retry policies since 3.3")
    if "AsyncCallback" in code and not hasattr(airflow.sdk, "AsyncCallback"):
        pytest.skip("Airflow has the callbacks of deadlines elsewhere before 3.2")


@pytest.mark.parametrize("place", BLOCKS)
def test_code_in_the_documentation_compiles_and_imports_what_is_there(place: str) -> None:
    skip_what_this_airflow_lacks(BLOCKS[place])
    compile(BLOCKS[place], place, "exec")
    for module, name in imports(BLOCKS[place]):
        if module.startswith("airflow"):
            assert hasattr(__import__(module, fromlist=[name]), name), f"{module} has no {name}"


@pytest.mark.parametrize("place", WITH_TASKS)
def test_tasks_in_the_documentation_can_be_made_and_serialized(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_what_this_airflow_lacks(WITH_TASKS[place])
    module = types.ModuleType("documented")
    monkeypatch.setitem(sys.modules, "documented", module)
    with DAG("documented", schedule=None) as around:
        exec(compile(WITH_TASKS[place], place, "exec"), vars(module))
    dags = [one for one in vars(module).values() if isinstance(one, DAG)]
    for dag in [around, *dags]:
        DagSerialization.to_dict(dag)


@pytest.mark.parametrize("place", [place for place, code in WITH_TASKS.items() if "{{ data_interval" in code])
def test_a_dag_that_goes_by_data_intervals_has_some(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("documented")
    monkeypatch.setitem(sys.modules, "documented", module)
    exec(compile(WITH_TASKS[place], place, "exec"), vars(module))
    made = [one() for one in vars(module).values() if getattr(one, "__module__", None) == "documented"]
    assert made
    for dag in made:
        timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
        interval = timetable.infer_manual_data_interval(run_after=pendulum.datetime(2026, 3, 2))
        assert interval.start < interval.end, "such a run has an empty window"


@pytest.mark.parametrize("place", BLOCKS)
def test_methods_in_the_documentation_exist_and_take_these_arguments(place: str) -> None:
    for node in ast.walk(ast.parse(BLOCKS[place])):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of = ast.unparse(node.func.value)
        if not re.fullmatch(r"hook|self\.hook|EspoHook\(.*\)|espo_sandbox\.hook", of):
            continue
        method = getattr(EspoHook, node.func.attr)
        taken = inspect.signature(method).parameters
        options = any(one.kind is one.VAR_KEYWORD for one in taken.values())
        assert [word.arg for word in node.keywords if word.arg not in taken and not options] == []


def section(title: str) -> str:
    """The section of the guides that has a title; exactly one page has it."""
    found = [
        match[1]
        for page in PAGES
        if (match := re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    ]
    assert len(found) == 1, f"{len(found)} pages have a section {title}"
    return found[0]


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_the_guide_has_every_argument_and_the_result_of_a_task(task: type[Any]) -> None:
    text = section(task.__name__)
    # The connection stands with what all have in common.
    arguments = set(arguments_of(task)) - {"espo_conn_id"}
    assert [name for name in sorted(arguments) if f"`{name}`" not in text] == []
    assert "Returns" in text


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_results_that_the_guide_gives_by_parts_are_pushed_in_parts(task: type[Any]) -> None:
    assert make(task).multiple_outputs == ("Returns `{" in section(task.__name__))


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_the_guide_marks_what_is_templated(task: type[Any]) -> None:
    for names, mark in re.findall(r"^\| (`.+?`) \| (T?) ?\|", section(task.__name__), re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            if name in arguments_of(task):
                assert (name in task.template_fields) == (mark == "T"), name


def test_the_guide_has_every_method_of_the_hooks_with_its_arguments() -> None:
    text = section("Methods")
    own = [
        name
        for name in dir(EspoAsyncHook)
        if not name.startswith("_") and "operations" in str(getattr(getattr(EspoHook, name, None), "__module__", ""))
    ]
    assert len(own) > 10
    for name in own:
        row = re.search(rf"`{name}\(([^)]*)\)`", text)
        assert row, f"hooks.md lacks {name}"
        given = [one.strip() for one in row[1].split(",") if one.strip() not in ("", "*", "…")]
        taken = inspect.signature(getattr(EspoHook, name)).parameters
        named = [
            one for one, parameter in taken.items() if one != "self" and parameter.kind is not parameter.VAR_KEYWORD
        ]
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
            assert given[: len(named)] == named or given == [], name
        else:
            assert given == named, name
