"""Notifiers as tasks, DAG runs and deadlines call them."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from airflow.sdk import DAG, BaseNotifier

from airflow_provider_espo.exceptions import EspoNotFoundError, EspoValidationError
from airflow_provider_espo.get_provider_info import class_names, get_provider_info
from airflow_provider_espo.notifications.espo import EspoRecordNotifier, EspoStreamNotifier
from tests.unit.airflows import AsyncCallback, callback_trigger, run_in_executor
from tests.unit.crm import API_KEY, Lost
from tests.unit.notifications.test_happening import of_deadline, of_run, of_task
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.test_import_budget import loaded_by

NOTIFIERS = [EspoRecordNotifier, EspoStreamNotifier]


def records(crm: SandboxCrm, entity_type: str = "Case") -> list[dict[str, Any]]:
    """What is in the CRM, whole."""
    found = crm.asker.find(entity_type)["list"]
    return [crm.asker.read(entity_type, one["id"]) for one in found]


def posts(crm: SandboxCrm, record: str) -> list[str]:
    """What was posted to a record's stream, oldest first."""
    return [one["post"] for one in crm.asker.notes(f"{record}/stream") if one["type"] == "Post"]


def call(notifier: BaseNotifier, context: dict[str, Any]) -> None:
    """Call a notifier as a worker does, or the DAG processor."""
    notifier(context)


def wait_for(notifier: BaseNotifier, context: dict[str, Any]) -> None:
    """Await a notifier, which then has its context from the start."""

    async def on_a_loop() -> None:
        notifier.context = context  # type: ignore[assignment]
        await notifier

    asyncio.run(on_a_loop())


WAYS = pytest.mark.parametrize("notify", [call, wait_for])
Notify = Callable[[BaseNotifier, dict[str, Any]], None]


# --- records


@WAYS
def test_a_failure_makes_a_case_that_says_what_failed(sandbox_crm: SandboxCrm, notify: Notify) -> None:
    notify(EspoRecordNotifier(attributes={"priority": "High"}), of_task())
    (case,) = records(sandbox_crm)
    assert (case["name"], case["status"], case["priority"]) == ("Airflow: sync.load failed", "New", "High")
    lines = case["description"].split("\n")
    assert lines[:4] == ["Run: manual__1", "Try: 2", "Error: ValueError", "Log: http://airflow/log"]
    assert re.fullmatch("airflow-[0-9a-f]{20}", lines[-1])


@WAYS
def test_retries_and_a_repeated_callback_find_the_case(sandbox_crm: SandboxCrm, notify: Notify) -> None:
    notifier = EspoRecordNotifier()
    for context in (of_task(try_number=1, state="up_for_retry"), of_task(), of_task(error=None)):
        notify(notifier, context)
    assert len(records(sandbox_crm)) == 1


def test_the_case_is_found_after_people_have_worked_on_it(sandbox_crm: SandboxCrm) -> None:
    EspoRecordNotifier()(of_task())
    (case,) = records(sandbox_crm)
    text = f"Looked into it.\n{case['description']}\nThe disk was full."
    sandbox_crm.asker.ok("PUT", f"Case/{case['id']}", {"status": "Closed", "name": "Disk full", "description": text})
    EspoRecordNotifier()(of_task())
    assert [(one["name"], one["status"]) for one in records(sandbox_crm)] == [("Disk full", "Closed")]


def test_another_task_and_a_cleared_task_get_a_case_of_their_own(sandbox_crm: SandboxCrm) -> None:
    for context in (of_task(), of_task(task_id="other"), of_task(max_tries=3), of_task(map_index=0), of_run()):
        EspoRecordNotifier()(context)
    assert len(records(sandbox_crm)) == 5


def test_a_case_whose_answer_got_lost_is_not_made_twice(sandbox_crm: SandboxCrm) -> None:
    def lose(sent: Any) -> None:
        if (sent.method, sent.path) == ("POST", "Case"):
            sandbox_crm.live()
            raise Lost

    sandbox_crm.after = lose
    with time_machine.travel(sandbox_crm.now):
        EspoRecordNotifier()(of_task())
    assert len(records(sandbox_crm)) == 1


def test_the_authors_words_are_rendered_and_replace_the_defaults(sandbox_crm: SandboxCrm) -> None:
    attributes = {"name": "{{ ti.task_id }} is down", "description": "Call {{ dag_run.run_id }}", "type": "Incident"}
    EspoRecordNotifier(attributes=attributes)(of_task())
    (case,) = records(sandbox_crm)
    assert (case["name"], case["type"]) == ("load is down", "Incident")
    assert re.fullmatch("Call manual__1\n\nairflow-[0-9a-f]{20}", case["description"])


def test_one_notifier_tells_of_each_of_many_tasks(sandbox_crm: SandboxCrm) -> None:
    notifier = EspoRecordNotifier(attributes={"name": "{{ ti.task_id }}"})
    notifier(of_task(task_id="first"))
    notifier(of_task(task_id="second"))
    assert sorted(case["name"] for case in records(sandbox_crm)) == ["first", "second"]


def test_a_task_goes_to_whom_the_author_says_and_else_to_the_connections_user(sandbox_crm: SandboxCrm) -> None:
    me = sandbox_crm.asker.ok("GET", "App/user")["user"]["id"]
    EspoRecordNotifier(entity_type="Task")(of_task())
    (task,) = records(sandbox_crm, "Task")
    assert (task["name"], task["assignedUserId"]) == ("Airflow: sync.load failed", me)


def test_the_marker_can_have_a_field_of_its_own(sandbox_crm: SandboxCrm) -> None:
    for _ in range(2):
        EspoRecordNotifier(entity_type="Account", marker_field="sicCode")(of_task())
    (made,) = records(sandbox_crm, "Account")
    assert re.fullmatch("airflow-[0-9a-f]{20}", made["sicCode"])
    assert "airflow-" not in made["description"]


def test_without_a_run_to_tell_it_by_a_case_is_made_each_time(sandbox_crm: SandboxCrm) -> None:
    for _ in range(2):
        EspoRecordNotifier()({})
    assert ["airflow-" in str(case["description"]) for case in records(sandbox_crm)] == [False, False]


@WAYS
def test_what_espocrm_refuses_is_raised_and_logged(
    sandbox_crm: SandboxCrm, notify: Notify, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(EspoValidationError):
        notify(EspoRecordNotifier(attributes={"priority": "Whatever somebody@example.com"}), of_task())
    assert "somebody@example.com" not in caplog.text


# --- the stream


@pytest.fixture
def account(sandbox_crm: SandboxCrm) -> str:
    account_id: str = sandbox_crm.asker.create("Account", name="ACME")["id"]
    return account_id


@WAYS
def test_a_failure_is_posted_to_a_records_stream(sandbox_crm: SandboxCrm, account: str, notify: Notify) -> None:
    notify(EspoStreamNotifier(entity_type="Account", record_id=account), of_task())
    (post,) = posts(sandbox_crm, f"Account/{account}")
    assert post.split("\n") == [
        "**Airflow: sync.load failed**",
        "Run: manual__1",
        "Try: 2",
        "Error: ValueError",
        "Log: http://airflow/log",
    ]


def test_a_repeated_callback_posts_nothing_more_and_another_try_does(sandbox_crm: SandboxCrm, account: str) -> None:
    notifier = EspoStreamNotifier(entity_type="Account", record_id=account)
    for number in (1, 1, 2):
        notifier(of_task(try_number=number))
    assert [post.split("\n")[2] for post in posts(sandbox_crm, f"Account/{account}")] == ["Try: 1", "Try: 2"]


def test_a_text_without_the_try_is_posted_once_in_a_run(sandbox_crm: SandboxCrm, account: str) -> None:
    notifier = EspoStreamNotifier(
        post="{{ dag_run.run_id }} needs a look", entity_type="Account", record_id="{{ ti.account }}"
    )
    for number in (1, 2):
        notifier(of_task(try_number=number, account=account))
    assert posts(sandbox_crm, f"Account/{account}") == ["manual__1 needs a look"]


def test_people_can_be_told_instead(sandbox_crm: SandboxCrm) -> None:
    EspoStreamNotifier(audience="self")(of_run())
    (sent,) = sandbox_crm.posts("Note")
    assert (sent["targetType"], sent["post"].split("\n")[0]) == ("self", "**Airflow: sync failed**")


def test_a_record_that_is_not_there_is_an_error(sandbox_crm: SandboxCrm) -> None:
    with pytest.raises(EspoNotFoundError):
        EspoStreamNotifier(entity_type="Account", record_id="6746d1f3a0b1c2d3e")(of_task())


# --- deadlines, in the triggerer


@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_a_missed_deadline_is_told_from_the_triggerer(
    sandbox_crm: SandboxCrm, account: str, notifier: type[BaseNotifier]
) -> None:
    place = {"entity_type": "Account", "record_id": account} if notifier is EspoStreamNotifier else {}
    callback = AsyncCallback(notifier, kwargs={"espo_conn_id": "espo_default", **place})
    kwargs = json.loads(json.dumps({**callback.kwargs, "context": of_deadline()}))

    async def run() -> list[Any]:
        return [event.payload async for event in callback_trigger(callback.path, kwargs).run()]

    states = [payload["state"] for payload in asyncio.run(run())]
    assert [str(getattr(state, "value", state)) for state in states] == ["running", "success"]
    told = posts(sandbox_crm, f"Account/{account}") if place else [case["name"] for case in records(sandbox_crm)]
    assert [text.split("\n")[0].strip("*") for text in told] == ["Airflow: sync missed its deadline"]


@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_a_missed_deadline_is_told_from_an_executor(
    sandbox_crm: SandboxCrm, account: str, notifier: type[BaseNotifier]
) -> None:
    place = {"entity_type": "Account", "record_id": account} if notifier is EspoStreamNotifier else {}
    kwargs = json.loads(json.dumps({**place, "context": of_deadline()}))
    path = f"{notifier.__module__}.{notifier.__qualname__}"
    assert run_in_executor(path, kwargs) == (True, None)
    told = posts(sandbox_crm, f"Account/{account}") if place else [case["name"] for case in records(sandbox_crm)]
    assert [text.split("\n")[0].strip("*") for text in told] == ["Airflow: sync missed its deadline"]


# --- what all have in common


@pytest.mark.parametrize("notifier", NOTIFIERS)
def test_the_docstring_says_what_each_argument_is_and_which_are_templated(notifier: type[BaseNotifier]) -> None:
    text = inspect.getdoc(notifier) or ""
    own = [name for name in inspect.signature(notifier).parameters if name != "kwargs"]
    assert re.findall(r"^:param (\w+):", text, re.MULTILINE) == [*own, "espo_conn_id"]
    blocks = re.split(r"^:param ", text, flags=re.MULTILINE)[1:]
    templated = {block.split(":")[0] for block in blocks if "(templated)" in block}
    assert templated == set(notifier.template_fields)
    assert set(own) - templated <= {"internal"}


def test_airflow_has_them_in_its_list() -> None:
    assert get_provider_info()["notifications"] == class_names("notifications", "Notifier")
    assert [name.rpartition(".")[2] for name in class_names("notifications", "Notifier")] == [
        one.__name__ for one in NOTIFIERS
    ]


def test_a_dag_file_that_has_them_loads_no_http_library() -> None:
    loaded = loaded_by(["airflow_provider_espo.notifications.espo", "airflow_provider_espo.links.espo"])
    heavy = ("httpx", "requests", "msgspec", "airflow_provider_espo.client", "airflow_provider_espo.hooks")
    assert [name for name in loaded if name.startswith(heavy)] == []


@WAYS
def test_no_secret_and_no_text_of_an_exception_goes_anywhere(
    sandbox_crm: SandboxCrm, notify: Notify, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        notify(EspoRecordNotifier(), of_task())
        notify(EspoStreamNotifier(entity_type="Account", record_id=account), of_task())
    told = json.dumps([*records(sandbox_crm), *posts(sandbox_crm, f"Account/{account}")]) + caplog.text
    for value in ("somebody@example.com", API_KEY, sandbox_crm.credentials["api_key"]):
        assert value not in told


def test_a_dag_may_have_them_in_its_default_arguments() -> None:
    notifier = EspoRecordNotifier()
    with DAG("dag", schedule=None, on_failure_callback=notifier, default_args={"on_failure_callback": notifier}) as dag:
        pass
    assert dag.on_failure_callback is notifier
    assert SimpleNamespace(**vars(notifier)).entity_type == "Case"
