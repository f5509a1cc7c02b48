"""Operators for links, run as a worker runs them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_espo.exceptions import (
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
    EspoUnknownNameError,
)
from airflow_provider_espo.operators.record import EspoListRecordsOperator
from airflow_provider_espo.operators.relationship import EspoLinkOperator, EspoListRelatedOperator, EspoUnlinkOperator
from airflow_provider_espo.where import equals
from tests.unit.crm import LEAD, Crm, page, refusal
from tests.unit.running import TaskInstance, run_task
from tests.unit.sandbox_crm import SandboxCrm

LISTS = ["65a1b2c3d4e5f6001", "65a1b2c3d4e5f6002"]


def link(**given: Any) -> EspoLinkOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "record_id": LEAD, "link": "targetLists", "related_ids": LISTS}
    return EspoLinkOperator(task_id="link", **(arguments | given))


def unlink(**given: Any) -> EspoUnlinkOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "record_id": LEAD, "link": "targetLists", "related_ids": LISTS}
    return EspoUnlinkOperator(task_id="unlink", **(arguments | given))


def related(**given: Any) -> EspoListRelatedOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "record_id": LEAD, "link": "targetLists"}
    return EspoListRelatedOperator(task_id="related", **(arguments | given))


def test_link_links_all_ids_in_one_request(crm: Crm) -> None:
    crm.on("POST", f"Lead/{LEAD}/targetLists", True)
    assert run_task(link()) == {"linked": 2}
    assert [sent.json for sent in crm.calls("POST")] == [{"ids": LISTS}]


def test_unlink_unlinks_them(crm: Crm) -> None:
    crm.on("DELETE", f"Lead/{LEAD}/targetLists", True)
    assert run_task(unlink()) == {"unlinked": 2}
    assert [sent.json for sent in crm.calls("DELETE")] == [{"ids": LISTS}]


def test_a_single_id_may_be_a_text(crm: Crm) -> None:
    crm.on("POST", f"Lead/{LEAD}/targetLists", True)
    assert run_task(link(related_ids="{{ params.list }}"), params={"list": LISTS[0]}) == {"linked": 1}


@pytest.mark.parametrize(("task", "result"), [(link, {"linked": 0}), (unlink, {"unlinked": 0})])
def test_an_empty_list_sends_nothing(crm: Crm, task: Any, result: dict[str, int]) -> None:
    assert run_task(task(related_ids=[])) == result
    assert crm.calls("POST") == crm.calls("DELETE") == []


@pytest.mark.parametrize(("task", "method"), [(link, "POST"), (unlink, "DELETE")])
def test_an_answer_that_nothing_was_done_is_an_error(crm: Crm, task: Any, method: str) -> None:
    crm.on(method, f"Lead/{LEAD}/targetLists", False)
    with pytest.raises(EspoNothingDoneError):
        run_task(task())


def test_a_missing_record_is_an_error(crm: Crm) -> None:
    crm.on("POST", f"Lead/{LEAD}/targetLists", refusal(404))
    with pytest.raises(EspoNotFoundError):
        run_task(link())


@pytest.mark.parametrize("task", [link, unlink, related])
def test_an_unknown_link_is_refused_before_anything_is_done(crm: Crm, task: Any) -> None:
    with pytest.raises(EspoUnknownNameError, match="targetlists"):
        run_task(task(link="targetlists"))
    assert {sent.path for sent in crm.sent} == {"Metadata"}


def test_a_link_that_is_an_attribute_says_which_to_set(crm: Crm) -> None:
    with pytest.raises(EspoInputError, match="accountId"):
        run_task(link(link="account"))


@pytest.mark.parametrize("task", [link, unlink])
@pytest.mark.parametrize("wrong", [None, 5, [""], ["../x"], {"id": "x"}])
def test_what_are_no_ids_is_refused_before_anything_is_sent(crm: Crm, task: Any, wrong: Any) -> None:
    with pytest.raises(EspoInputError):
        run_task(task(related_ids=wrong))
    assert crm.sent == []


def test_ids_may_come_from_upstream(crm: Crm) -> None:
    crm.on("POST", f"Lead/{LEAD}/targetLists", True)
    with DAG("dag", schedule=None):
        found = EspoListRecordsOperator(task_id="found", entity_type="TargetList")
        task = link(related_ids=found.output)
    assert task.upstream_task_ids == {"found"}
    assert run_task(task, ti=TaskInstance(xcoms={"found": LISTS})) == {"linked": 2}


def test_list_related_returns_the_records_at_the_other_end(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}/targetLists", page({"id": LISTS[0], "name": "Fair"}))
    crm.has("TargetList", {"fields": {"name": {"type": "varchar"}}, "links": {}})
    task = related(where=[equals("name", "{{ params.name }}")], select=["name"], limit="5")
    assert run_task(task, params={"name": "Fair"}) == [{"id": LISTS[0], "name": "Fair"}]
    search = crm.calls("GET", f"Lead/{LEAD}/targetLists")[0].search
    assert search["where"] == [equals("name", "Fair")]
    assert search["maxSize"] == 5


def test_list_related_takes_the_same_filters_as_a_list(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}/targetLists", page())
    filters = {"primary_filter": "{{ params.filter }}", "bool_filters": ["onlyMy"], "text_filter": "fair"}
    run_task(related(**filters), params={"filter": "actual"})
    search = crm.calls("GET", f"Lead/{LEAD}/targetLists")[0].search
    assert search["primaryFilter"] == "actual"
    assert search["boolFilterList"] == ["onlyMy"]
    assert search["textFilter"] == "fair"


def test_list_related_refuses_too_many_rows(crm: Crm) -> None:
    rows = [{"id": f"{number:017x}"} for number in range(3)]
    crm.on("GET", f"Lead/{LEAD}/targetLists", {"total": -1, "list": rows})
    with pytest.raises(EspoInputError, match="More than 2"):
        run_task(related(max_xcom_rows=2))


# --- by a filter


def fill(**given: Any) -> EspoLinkOperator:
    arguments: dict[str, Any] = {"entity_type": "TargetList", "link": "leads", "where": [equals("lastName", "A")]}
    return EspoLinkOperator(task_id="fill", **(arguments | given))


@pytest.fixture
def fair(sandbox_crm: SandboxCrm) -> str:
    for name in ("A", "A", "B"):
        sandbox_crm.asker.create("Lead", lastName=name)
    return str(sandbox_crm.asker.create("TargetList", name="Fair")["id"])


def on_list(crm: SandboxCrm, list_id: str) -> list[str]:
    return sorted(one["lastName"] for one in crm.asker.ok("GET", f"TargetList/{list_id}/leads")["list"])


def test_a_filter_says_which_records_are_linked(sandbox_crm: SandboxCrm, fair: str) -> None:
    task = fill(
        record_id="{{ params.id }}", where=[equals("lastName", "{{ params.name }}")], max_records="{{ params.most }}"
    )
    for _ in range(2):
        assert run_task(task, params={"id": fair, "name": "A", "most": 2}) == {"linked": 2}
    assert on_list(sandbox_crm, fair) == ["A", "A"]


def test_every_record_is_linked_only_if_that_is_said(sandbox_crm: SandboxCrm, fair: str) -> None:
    filters: tuple[Any, ...] = (None, [], "{{ [] }}")
    for where in filters:
        with pytest.raises(EspoInputError):
            run_task(fill(record_id=fair, where=where))
    assert on_list(sandbox_crm, fair) == []
    assert run_task(fill(record_id=fair, where=None, all_records=True)) == {"linked": 3}


def test_more_than_max_records_are_refused(sandbox_crm: SandboxCrm, fair: str) -> None:
    with pytest.raises(EspoInputError, match="2 records match, and max_records is 1"):
        run_task(fill(record_id=fair, max_records=1))
    assert on_list(sandbox_crm, fair) == []


@pytest.mark.parametrize(
    "beside",
    [{"where": [equals("lastName", "A")]}, {"primary_filter": "actual"}, {"all_records": True}, {"max_records": 5}],
)
def test_ids_and_a_filter_contradict_each_other(crm: Crm, beside: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError, match="not both"):
        run_task(link(**beside))
    assert crm.sent == []


def test_ids_that_turn_out_to_be_none_link_nothing(crm: Crm) -> None:
    with DAG("d", schedule=None):
        source = EspoListRecordsOperator(task_id="source", entity_type="TargetList")
        result: Any = source.output
        tasks: tuple[Any, ...] = (link(related_ids=result["none"]), unlink(related_ids=result["none"]))
    for task in tasks:
        with pytest.raises(EspoInputError, match="turned out to be None"):
            run_task(task, ti=TaskInstance(xcoms={"source": {"none": None}}))
    assert crm.sent == []
