"""What all operators, sensors, triggers and hook methods have in common."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator

from airflow_provider_espo.get_provider_info import python_modules
from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from airflow_provider_espo.operators.base import EspoTask
from airflow_provider_espo.operators.record import EspoListRecordsOperator
from airflow_provider_espo.sensors.base import EspoSensor
from airflow_provider_espo.where import equals, in_
from tests.unit.airflows import DagSerialization
from tests.unit.crm import API_KEY, LEAD, Crm, page
from tests.unit.running import run_task


def classes(*kinds: str) -> Iterator[type[Any]]:
    """The public classes of these kinds that the package defines."""
    for kind in kinds:
        for name in python_modules(kind):
            module = importlib.import_module(name)
            yield from (
                one
                for one in vars(module).values()
                if inspect.isclass(one) and one.__module__ == name and re.match(r"Espo|\w+ToEspo", one.__name__)
            )


TASKS = sorted(classes("operators", "sensors", "transfers"), key=lambda one: one.__name__)
TRIGGERS = list(classes("triggers"))

#: An argument of each name, so that every class can be made.
ARGUMENTS: dict[str, Any] = {
    "entity_type": "Lead",
    "record_id": LEAD,
    "attributes": {"lastName": "{{ params.name }}"},
    "match_by": ["lastName"],
    "link": "targetLists",
    "related_ids": ["65a1b2c3d4e5f6001"],
    "path": "Lead",
    "field": "file",
    "attachment_id": "6746d1f3a0b1c2d42",
    "kind": "mass_action",
    "job_id": "6746d1f3a0b1c2d41",
    "action": "follow",
    "lead_id": LEAD,
    "expected": {"status": "Assigned"},
    "rates": {"EUR": 1.2},
    "to": "somebody@example.com",
    "subject": "Hello",
    "partitions": 4,
    "sql_conn_id": "warehouse",
    "table": "leads",
    "sql": "SELECT 1",
    "operation": "update",
    "event": "Lead.create",
    "url": "https://airflow.example.com/espo",
}


def arguments_of(task: type[Any]) -> dict[str, inspect.Parameter]:
    """Arguments of a class and of those of ours it derives from, without those it only hands on."""
    found: dict[str, inspect.Parameter] = {}
    for one in task.__mro__:
        if one.__module__.startswith("airflow_provider_espo") and "__init__" in vars(one):
            init = inspect.unwrap(vars(one)["__init__"])
            found = {
                name: parameter
                for name, parameter in inspect.signature(init).parameters.items()
                if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
            } | found
    return found


def make(task: type[Any], **given: Any) -> Any:
    needed = {
        name: ARGUMENTS[name] for name, parameter in arguments_of(task).items() if parameter.default is parameter.empty
    }
    return task(**({"task_id": re.sub(r"\W", "_", task.__name__)} | needed | given))


def documented(text: str | None) -> list[str]:
    return re.findall(r"^\s*:param (\w+):", text or "", re.MULTILINE)


# --- documentation


@pytest.mark.parametrize("one", TASKS + TRIGGERS, ids=lambda one: one.__name__)
def test_the_docstring_says_what_each_argument_is(one: type[Any]) -> None:
    assert sorted(documented(one.__doc__)) == sorted(arguments_of(one))


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_the_docstring_says_what_is_returned_and_raised(task: type[Any]) -> None:
    text = inspect.getdoc(task) or ""
    assert ":return:" in text
    assert ":raises Espo" in text


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_the_docstring_says_which_arguments_are_templated(task: type[Any]) -> None:
    blocks = re.split(r"^\s*:", inspect.getdoc(task) or "", flags=re.MULTILINE)
    templated = [
        block.split()[1].rstrip(":") for block in blocks if block.startswith("param ") and "(templated)" in block
    ]
    assert sorted(templated) == sorted(task.template_fields)


METHODS = [
    name
    for name, member in inspect.getmembers(EspoHook)
    if not name.startswith("_") and callable(member) and not hasattr(BaseOperator, name) and name not in dir(object)
]
OWN = [name for name in METHODS if getattr(getattr(EspoHook, name), "__module__", "").startswith("airflow_provider")]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("hook", [EspoHook, EspoAsyncHook])
def test_hook_methods_say_what_each_argument_is(hook: type[Any], name: str) -> None:
    method = getattr(hook, name, None)
    if method is None:
        assert name in ("client", "get_conn", "record_url", "test_connection")
        return
    signature = inspect.signature(method)
    arguments = [
        one
        for one, parameter in signature.parameters.items()
        if one != "self" and parameter.kind is not parameter.VAR_KEYWORD
    ]
    text = inspect.getdoc(method)
    assert text
    inherits = re.search(r"Takes the (?:other )?arguments of :meth:`(\w+)`", text)
    known = documented(text) + (documented(inspect.getdoc(getattr(hook, inherits[1]))) if inherits else [])
    assert [one for one in arguments if one not in known] == []


# --- what Airflow asks of tasks


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_arguments_are_taken_by_name_only(task: type[Any]) -> None:
    kinds = {parameter.kind for parameter in arguments_of(task).values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


NOT_TEMPLATED = {
    "validate",
    "missing_ok",
    "only_changes",
    "max_xcom_rows",
    "repeatable",
    "response_filter",
    "deferrable",
    "poll_interval",
    "internal",
    "use_suggestion",
    "is_html",
    "all_records",
    "background",
    "on_shortfall",
    "job_timeout",
    "overlap",
    "replace",
    "chunk_size",
    "verify_content",
    "skip_duplicate_check",
    "silent",
    "revert_on_failure",
    "skip_own",
    "incremental_by",
    "lag",
    "records_per_file",
    "overwrite",
    "deleted",
    "schema_drift",
    "skip_if_empty",
    "min_records",
    "tolerance",
    "mode",
    "batch_rows",
    "create_table",
    "add_columns",
    "column_names",
    "max_deleted_share",
}


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_what_an_author_would_template_is_a_template_field(task: type[Any]) -> None:
    assert set(arguments_of(task)) - NOT_TEMPLATED == set(task.template_fields)
    assert set(task.template_fields_renderers) <= set(task.template_fields)


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_template_fields_are_kept_as_they_were_given(task: type[Any]) -> None:
    given = {name: object() for name in task.template_fields}
    made = make(task, **given)
    assert [name for name, value in given.items() if getattr(made, name) is not value] == []


@pytest.mark.parametrize("task", TASKS, ids=lambda one: one.__name__)
def test_the_default_connection_is_espo_default(task: type[Any]) -> None:
    assert make(task).espo_conn_id == "espo_default"
    assert issubclass(task, EspoTask)


def every_task() -> DAG:
    """A DAG with one of each, plain and mapped."""
    with DAG("everything", schedule=None, params={"name": "Nowak"}) as dag:
        source = EspoListRecordsOperator(task_id="source", entity_type="Lead", where=[equals("status", "New")])
        for task in TASKS:
            made = make(task)
            if "where" in arguments_of(task):
                made.where = [in_("id", ["{{ params.name }}", source.output])]
            given = {name: ARGUMENTS[name] for name in ARGUMENTS if name in arguments_of(task)}
            # A list of entity types stands for whatever a run maps over.
            mapped_over = next((name for name in ("path", "entity_type", *given) if name in given), "espo_conn_id")
            given = {name: value for name, value in {"espo_conn_id": "crm", **given}.items() if name != mapped_over}
            task.partial(task_id=f"mapped_{task.__name__}", **given).expand(**{mapped_over: ["Lead", "Account"]})
    return dag


def test_a_dag_of_all_tasks_serializes_the_same_on_every_parse() -> None:
    first, second = (DagSerialization.to_dict(every_task()) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    tasks = DagSerialization.from_dict(first).task_dict
    assert len(tasks) == 1 + 2 * len(TASKS)
    listing = tasks["EspoListRecordsOperator"]
    assert listing.upstream_task_ids == {"source"}


def test_references_in_mapped_arguments_make_tasks_wait() -> None:
    with DAG("dag", schedule=None):
        source = EspoListRecordsOperator(task_id="source", entity_type="Lead")
        mapped = EspoListRecordsOperator.partial(task_id="mapped", entity_type="Lead").expand(where=source.output)
    assert mapped.upstream_task_ids == {"source"}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))])
def test_a_task_whose_hook_was_used_can_be_copied_and_takes_no_secret_along(
    crm: Crm, copied: Callable[[Any], Any]
) -> None:
    crm.on("GET", "Lead", page())
    task = EspoListRecordsOperator(task_id="list", entity_type="Lead")
    task.hook.whoami()
    twin = copied(task)
    assert twin.hook is not task.hook
    assert run_task(twin) == []
    assert API_KEY.encode() not in pickle.dumps(task)


def test_rendered_fields_and_serialized_tasks_hold_no_secret(crm: Crm) -> None:
    crm.on("GET", "Lead", page())
    with DAG("dag", schedule=None) as dag:
        task = EspoListRecordsOperator(task_id="list", entity_type="Lead")
    run_task(task)
    task.hook.whoami()
    shown = json.dumps(DagSerialization.to_dict(dag)) + repr([getattr(task, name) for name in task.template_fields])
    assert API_KEY not in shown


def test_a_task_closes_its_hook_and_gives_its_token_back(crm: Crm, connect: Callable[..., str]) -> None:
    connect(login="sales", password="correct horse", extra={"auth_method": "token"})
    crm.on("GET", "App/user", {"user": {"id": "1", "userName": "sales"}, "token": "0123456789abcdef"})
    crm.on("POST", "App/destroyAuthToken", True)
    crm.on("GET", "Lead", page())
    run_task(EspoListRecordsOperator(task_id="list", entity_type="Lead"))
    assert len(crm.calls("POST", "App/destroyAuthToken")) == 1


@pytest.mark.parametrize("sensor", list(classes("sensors")), ids=lambda one: one.__name__)
def test_sensors_take_airflows_arguments_and_share_their_base(sensor: type[Any]) -> None:
    made = make(sensor, timeout=5, soft_fail=True, mode="reschedule", poke_interval=7)
    assert isinstance(made, EspoSensor)
    assert isinstance(made, BaseSensorOperator)
    assert (made.timeout, made.poke_interval, made.soft_fail, made.mode) == (5, 7, True, "reschedule")
