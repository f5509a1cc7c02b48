"""Operators for one record and for lists, run as a worker runs them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_espo.exceptions import (
    EspoAmbiguousMatchError,
    EspoInputError,
    EspoNotFoundError,
    EspoVersionConflictError,
)
from airflow_provider_espo.operators.record import (
    EspoCreateRecordOperator,
    EspoDeleteRecordOperator,
    EspoGetRecordOperator,
    EspoListRecordsOperator,
    EspoUpdateRecordOperator,
    EspoUpsertRecordOperator,
)
from airflow_provider_espo.where import equals, in_
from tests.unit.crm import LEAD, Crm, page, refusal
from tests.unit.running import TaskInstance, run_task

ANNA = {"lastName": "Nowak", "emailAddress": "anna@example.com"}
OTHER_LEAD = "6746d1f3a0b1c2d3f"


def create(**given: Any) -> EspoCreateRecordOperator:
    return EspoCreateRecordOperator(task_id="create", entity_type="Lead", **({"attributes": ANNA} | given))


def part(task: BaseOperator, key: str) -> Any:
    """``task.output[key]``, which Airflow's types do not know."""
    output: Any = task.output
    return output[key]


# --- get


def test_get_returns_the_record(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", **ANNA})
    task = EspoGetRecordOperator(task_id="get", entity_type="Lead", record_id=LEAD, select=["status"])
    assert run_task(task) == {"id": LEAD, "status": "New"}


def test_get_takes_the_id_from_an_upstream_result(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD})
    with DAG("dag", schedule=None):
        made = create()
        task = EspoGetRecordOperator(task_id="get", entity_type="Lead", record_id=part(made, "id"))
    assert task.upstream_task_ids == {"create"}
    result = run_task(task, ti=TaskInstance(xcoms={"create": {"id": LEAD, "action": "created"}}))
    assert result == {"id": LEAD}


def test_get_of_a_missing_record_is_an_error(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", refusal(404))
    with pytest.raises(EspoNotFoundError):
        run_task(EspoGetRecordOperator(task_id="get", entity_type="Lead", record_id=LEAD))


@pytest.mark.parametrize("wrong", ["", "../User", "1?select=x", "a/b", None, "{{ none }}"])
@pytest.mark.parametrize("operator", [EspoGetRecordOperator, EspoDeleteRecordOperator])
def test_what_is_no_id_is_refused_before_anything_is_sent(crm: Crm, operator: Any, wrong: Any) -> None:
    if wrong == "{{ none }}":
        wrong = "{{ params.missing }}"
    with pytest.raises(EspoInputError, match="not a record id"):
        run_task(operator(task_id="it", entity_type="Lead", record_id=wrong), params={"missing": ""})
    assert crm.sent == []


@pytest.mark.parametrize("wrong", ["", "../User", "Lead/1", "Lead?x", None])
def test_what_is_no_entity_type_is_refused_before_anything_is_sent(crm: Crm, wrong: Any) -> None:
    with pytest.raises(EspoInputError, match="not an entity type"):
        run_task(EspoListRecordsOperator(task_id="list", entity_type=wrong))
    assert crm.sent == []


# --- update


def update(**given: Any) -> EspoUpdateRecordOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "record_id": LEAD, "attributes": {"status": "Assigned"}}
    return EspoUpdateRecordOperator(task_id="update", **(arguments | given))


def test_update_sends_only_what_differs(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", **ANNA})
    crm.on("PUT", f"Lead/{LEAD}", {"id": LEAD})
    assert run_task(update(attributes={**ANNA, "status": "Assigned"})) == {"id": LEAD, "action": "updated"}
    assert [sent.json for sent in crm.calls("PUT")] == [{"status": "Assigned"}]


def test_update_of_what_is_so_already_sends_nothing(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "Assigned"})
    assert run_task(update()) == {"id": LEAD, "action": "unchanged"}
    assert crm.calls("PUT") == []


def test_update_can_send_without_reading(crm: Crm) -> None:
    crm.on("PUT", f"Lead/{LEAD}", {"id": LEAD})
    assert run_task(update(only_changes=False))["action"] == "updated"
    assert crm.calls("GET", f"Lead/{LEAD}") == []


def test_update_takes_the_version_from_a_template_and_tells_a_conflict(crm: Crm) -> None:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, "status": "New", "versionNumber": 5})
    conflict = {"values": {"status": "Dead"}, "versionNumber": 7}
    crm.on("PUT", f"Lead/{LEAD}", refusal(409, "modified", **conflict))
    with pytest.raises(EspoVersionConflictError) as caught:
        run_task(update(version_number="{{ params.version }}"), params={"version": 5})
    assert crm.calls("PUT")[0].headers["x-version-number"] == "5"
    assert caught.value.current_version == 7
    assert caught.value.current_values == {"status": "Dead"}
    assert "Dead" not in str(caught.value)


# --- upsert


def upsert(**given: Any) -> EspoUpsertRecordOperator:
    arguments: dict[str, Any] = {"entity_type": "Lead", "attributes": ANNA, "match_by": ["emailAddress"]}
    return EspoUpsertRecordOperator(task_id="upsert", **(arguments | given))


def test_upsert_creates_what_is_not_there(crm: Crm) -> None:
    crm.on("GET", "Lead", page())
    crm.on("POST", "Lead", {"id": LEAD})
    assert run_task(upsert()) == {"id": LEAD, "action": "created"}
    assert crm.calls("POST")[0].headers["x-skip-duplicate-check"] == "true"


@pytest.mark.parametrize(
    ("now", "action", "sent"), [("Nowak", "unchanged", []), ("Novak", "updated", [{"lastName": "Nowak"}])]
)
def test_upsert_changes_what_is_there_and_differs(crm: Crm, now: str, action: str, sent: list[Any]) -> None:
    crm.on("GET", "Lead", page({"id": LEAD, **ANNA, "lastName": now}))
    crm.on("PUT", f"Lead/{LEAD}", {"id": LEAD})
    assert run_task(upsert()) == {"id": LEAD, "action": action}
    assert [one.json for one in crm.calls("PUT")] == sent


def test_upsert_of_two_with_the_key_touches_none(crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": LEAD, **ANNA}, {"id": OTHER_LEAD, **ANNA}))
    with pytest.raises(EspoAmbiguousMatchError) as caught:
        run_task(upsert())
    assert caught.value.record_ids == [LEAD, OTHER_LEAD]
    assert crm.calls("PUT") == crm.calls("POST") == []


def test_upsert_takes_the_name_of_one_key_attribute_too(crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": LEAD, **ANNA}))
    assert run_task(upsert(match_by="{{ 'emailAddress' }}"))["action"] == "unchanged"


# --- delete


def delete(**given: Any) -> EspoDeleteRecordOperator:
    return EspoDeleteRecordOperator(task_id="delete", entity_type="Lead", record_id=LEAD, **given)


def test_delete_deletes(crm: Crm) -> None:
    crm.on("DELETE", f"Lead/{LEAD}", True)
    assert run_task(delete()) == {"id": LEAD, "action": "deleted"}


def test_a_second_delete_is_a_success(crm: Crm) -> None:
    crm.on("DELETE", f"Lead/{LEAD}", refusal(404))
    assert run_task(delete()) == {"id": LEAD, "action": "missing"}


def test_a_missing_record_can_be_made_an_error(crm: Crm) -> None:
    crm.on("DELETE", f"Lead/{LEAD}", refusal(404))
    with pytest.raises(EspoNotFoundError):
        run_task(delete(missing_ok=False))


# --- list


def listing(**given: Any) -> EspoListRecordsOperator:
    return EspoListRecordsOperator(task_id="list", entity_type="Lead", **given)


def rows(count: int) -> dict[str, Any]:
    return page(*({"id": f"{number:017x}"} for number in range(count)))


def test_list_returns_rows_by_filter(crm: Crm) -> None:
    crm.on("GET", "Lead", page({"id": LEAD, "status": "New"}))
    task = listing(where=[equals("status", "{{ params.status }}")], select=["status"])
    assert run_task(task, params={"status": "New"}) == [{"id": LEAD, "status": "New"}]
    assert crm.calls("GET", "Lead")[0].search["where"] == [equals("status", "New")]


def test_references_inside_a_filter_make_the_task_wait_for_their_tasks(crm: Crm) -> None:
    crm.on("GET", "Lead", rows(1))
    with DAG("dag", schedule=None):
        made, other = create(), EspoGetRecordOperator(task_id="get", entity_type="Account", record_id="1")
        task = listing(where=[in_("id", [part(made, "id"), "{{ params.more }}"]), equals("accountId", other.output)])
    assert task.upstream_task_ids == {"create", "get"}
    run_task(task, params={"more": OTHER_LEAD}, ti=TaskInstance(xcoms={"create": {"id": LEAD}, "get": "acc"}))
    assert crm.calls("GET", "Lead")[0].search["where"] == [
        in_("id", [LEAD, OTHER_LEAD]),
        equals("accountId", "acc"),
    ]


def test_a_whole_filter_may_come_from_upstream(crm: Crm) -> None:
    crm.on("GET", "Lead", rows(1))
    with DAG("dag", schedule=None):
        made = create()
        task = listing(where=made.output)
    assert task.upstream_task_ids == {"create"}
    run_task(task, ti=TaskInstance(xcoms={"create": [equals("status", "Dead")]}))
    assert crm.calls("GET", "Lead")[0].search["where"] == [equals("status", "Dead")]


@pytest.mark.parametrize("limit", [2, "2", " 2 ", "{{ params.limit }}"])
def test_a_limit_may_come_from_a_template(crm: Crm, limit: Any) -> None:
    crm.on("GET", "Lead", rows(2))
    assert len(run_task(listing(limit=limit), params={"limit": 2})) == 2
    assert crm.calls("GET", "Lead")[0].search["maxSize"] == 2


@pytest.mark.parametrize("limit", ["many", "", "1.5", 1.5, True, "--5", -1, "-1"])
def test_what_is_no_limit_is_refused_before_anything_is_sent(crm: Crm, limit: Any) -> None:
    with pytest.raises(EspoInputError, match="limit"):
        run_task(listing(limit=limit))
    assert crm.sent == []


def test_too_many_rows_for_xcom_are_refused_with_a_hint(crm: Crm) -> None:
    crm.on("GET", "Lead", {"total": -1, "list": rows(4)["list"]})
    with pytest.raises(EspoInputError, match=r"More than 3 .*iter_records.*max_xcom_rows"):
        run_task(listing(max_xcom_rows=3))
    # One more than allowed is all that was read.
    assert crm.calls("GET", "Lead")[0].search["maxSize"] == 4


def test_as_many_rows_as_allowed_go_through(crm: Crm) -> None:
    crm.on("GET", "Lead", rows(3))
    assert len(run_task(listing(max_xcom_rows=3))) == 3


def test_a_limit_above_the_allowed_rows_does_not_lift_the_bound(crm: Crm) -> None:
    crm.on("GET", "Lead", {"total": -1, "list": rows(4)["list"]})
    with pytest.raises(EspoInputError, match="More than 3"):
        run_task(listing(limit=100, max_xcom_rows=3))


@pytest.mark.parametrize("field", ["select", "bool_filters"])
def test_a_text_where_a_list_is_meant_is_refused(crm: Crm, field: str) -> None:
    with pytest.raises(EspoInputError, match=field):
        run_task(listing(**{field: "status"}))
    assert crm.calls("GET", "Lead") == []
