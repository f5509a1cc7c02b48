"""Creating a record as a task, and trying it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_espo.exceptions import (
    EspoDuplicateError,
    EspoForbiddenError,
    EspoInputError,
    EspoTimeoutError,
    EspoUnknownNameError,
    EspoValidationError,
)
from airflow_provider_espo.operators.record import (
    EspoCreateRecordOperator,
)
from tests.unit.crm import LEAD, USER, Crm, Lost, TooLate, page, refusal
from tests.unit.running import DAG_RUN_STARTED, Store, TaskInstance, run_task

ANNA = {"lastName": "Nowak", "emailAddress": "anna@example.com"}
OTHER_LEAD = "6746d1f3a0b1c2d3f"


def create(**given: Any) -> EspoCreateRecordOperator:
    return EspoCreateRecordOperator(task_id="create", entity_type="Lead", **({"attributes": ANNA} | given))


def test_create_sends_the_attributes_and_returns_the_id(crm: Crm) -> None:
    crm.on("POST", "Lead", {"id": LEAD, **ANNA})
    assert run_task(create()) == {"id": LEAD, "action": "created"}
    assert [sent.json for sent in crm.calls("POST")] == [ANNA]


def test_create_fills_templates_in_from_the_run(crm: Crm) -> None:
    crm.on("POST", "Lead", {"id": LEAD})
    task = create(attributes={"lastName": "{{ params.name }}", "description": "{{ ti.run_id }}"})
    run_task(task, params={"name": "Nowak"})
    assert crm.calls("POST")[0].json == {"lastName": "Nowak", "description": "run"}


def test_points_in_time_are_sent_as_espocrm_takes_them(crm: Crm) -> None:
    crm.on("POST", "CVisit", {"id": LEAD})
    crm.has("CVisit", {"fields": {"visitedAt": {"type": "datetime"}}, "links": {}})
    run_task(
        EspoCreateRecordOperator(
            task_id="create", entity_type="CVisit", attributes={"visitedAt": "2026-03-01T10:00:00+02:00"}
        )
    )
    assert crm.calls("POST")[0].json == {"visitedAt": "2026-03-01 08:00:00"}


def test_create_refuses_a_name_the_server_does_not_have_before_it_writes(crm: Crm) -> None:
    with pytest.raises(EspoUnknownNameError, match="lastname"):
        run_task(create(attributes={"lastname": "Nowak"}))
    assert crm.calls("POST") == []


def test_create_without_validation_asks_for_no_metadata(crm: Crm) -> None:
    crm.on("POST", "Lead", {"id": LEAD})
    run_task(create(attributes={"lastname": "Nowak"}, validate=False))
    assert [sent.path for sent in crm.sent] == ["Lead"]


def test_a_refused_value_names_field_and_rule(crm: Crm) -> None:
    crm.on(
        "POST", "Lead", refusal(400, "Field validation failure; entityType: Lead, field: emailAddress, type: valid.")
    )
    with pytest.raises(EspoValidationError) as caught:
        run_task(create())
    assert (caught.value.field, caught.value.rule) == ("emailAddress", "valid")
    assert "anna@example.com" not in str(caught.value)


@pytest.fixture
def namesake(crm: Crm) -> Crm:
    """A CRM that has another Nowak and the same Anna."""
    found: list[dict[str, Any]] = [
        {"id": OTHER_LEAD, "lastName": "Nowak", "emailAddress": "other@example.com"},
        {"id": LEAD, "status": "New", **ANNA},
    ]
    conflict = refusal(409, "duplicate")
    crm.on("POST", "Lead", type(conflict)(409, found, conflict.headers))
    for record in found:
        addresses = [{"emailAddress": record["emailAddress"], "primary": True}]
        crm.on("GET", f"Lead/{record['id']}", {**record, "emailAddressData": addresses})
    crm.on("PUT", f"Lead/{LEAD}", {"id": LEAD})
    return crm


def test_duplicates_fail_the_task_unless_told_otherwise(namesake: Crm) -> None:
    with pytest.raises(EspoDuplicateError) as caught:
        run_task(create())
    assert caught.value.record_ids == [OTHER_LEAD, LEAD]


def test_skip_takes_the_found_record_with_the_same_key_and_writes_nothing(namesake: Crm) -> None:
    assert run_task(create(on_duplicate="skip")) == {"id": LEAD, "action": "skipped"}
    assert namesake.calls("PUT") == []


def test_update_writes_what_differs_to_that_record_and_leaves_the_namesake(namesake: Crm) -> None:
    task = create(on_duplicate="update", attributes={**ANNA, "status": "Assigned"})
    assert run_task(task) == {"id": LEAD, "action": "updated"}
    assert [(sent.path, sent.json) for sent in namesake.calls("PUT")] == [(f"Lead/{LEAD}", {"status": "Assigned"})]


def test_update_of_a_mere_namesake_is_refused(namesake: Crm) -> None:
    task = create(on_duplicate="update", attributes={"lastName": "Nowak", "emailAddress": "third@example.com"})
    with pytest.raises(EspoDuplicateError):
        run_task(task)
    assert namesake.calls("PUT") == []


def test_force_creates_all_the_same(crm: Crm) -> None:
    crm.on("POST", "Lead", {"id": LEAD})
    assert run_task(create(on_duplicate="force"))["action"] == "created"
    assert crm.calls("POST")[0].headers["x-skip-duplicate-check"] == "true"


@pytest.mark.parametrize("wrong", [None, "lastName=Nowak", ["lastName"], [("lastName", "Nowak")]])
def test_attributes_that_are_no_dict_are_refused_before_anything_is_sent(crm: Crm, wrong: Any) -> None:
    with pytest.raises(EspoInputError, match="not a dict"):
        run_task(create(attributes=wrong))
    assert crm.sent == []


def test_an_unknown_way_with_duplicates_is_refused_before_anything_is_sent(crm: Crm) -> None:
    with pytest.raises(EspoInputError, match="on_duplicate"):
        run_task(create(on_duplicate="{{ 'merge' }}"))
    assert crm.sent == []


# --- create, tried again


def second_try() -> TaskInstance:
    """The task instance after a first try that failed."""
    return TaskInstance(try_number=2, max_tries=3)


@pytest.fixture(params=["store", "no store"])
def stores(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a worker of Airflow 3.3 gives to a task, and what one of 3.1 does."""
    return {"store": Store()} if request.param == "store" else {}


def created_since(crm: Crm) -> datetime:
    """Since when a look-up wants records."""
    (item,) = [
        item
        for item in crm.calls("GET", "Lead")[-1].search["where"]
        if item.get("attribute") == "createdAt" and item["type"].startswith("greaterThan")
    ]
    return datetime.fromisoformat(item["value"]).replace(tzinfo=UTC)


def test_a_retry_finds_what_the_lost_try_made_and_makes_no_second(crm: Crm, stores: dict[str, Any]) -> None:
    crm.on("POST", "Lead", TooLate)
    crm.on("GET", "Lead", page())
    task = create(retries=3)
    with pytest.raises(EspoTimeoutError):
        run_task(task, ti=TaskInstance(try_number=1, max_tries=3), **stores)
    began = datetime.now(UTC)
    # The server was slow, but did it.
    crm.on("GET", "Lead", page({"id": LEAD, "createdAt": "2026-03-01 06:00:00", **ANNA}))
    result = run_task(task, ti=second_try(), **stores)
    assert result == {"id": LEAD, "action": "created"}
    assert len(crm.calls("POST")) == 1
    since = created_since(crm)
    if stores:
        assert began - timedelta(minutes=5) < since <= began
    else:
        assert DAG_RUN_STARTED - timedelta(minutes=5) <= since <= DAG_RUN_STARTED


def test_a_retry_looks_only_at_what_its_own_user_made(crm: Crm, stores: dict[str, Any]) -> None:
    crm.on("POST", "Lead", {"id": LEAD})
    crm.on("GET", "Lead", page())
    run_task(create(retries=3), ti=TaskInstance(max_tries=3), **stores)
    run_task(create(retries=3), ti=second_try(), **stores)
    where = crm.calls("GET", "Lead")[0].search["where"]
    assert {"type": "equals", "attribute": "createdById", "value": USER["id"]} in where


def test_a_record_that_differs_is_not_taken_for_ones_own(crm: Crm, stores: dict[str, Any]) -> None:
    crm.on("POST", "Lead", TooLate, {"id": LEAD})
    crm.on("GET", "Lead", page())
    with pytest.raises(EspoTimeoutError):
        run_task(create(retries=3), ti=TaskInstance(max_tries=3), **stores)
    crm.on("GET", "Lead", page({"id": OTHER_LEAD, "lastName": "Nowak", "emailAddress": "other@example.com"}))
    assert run_task(create(retries=3), ti=second_try(), **stores)["id"] == LEAD
    assert len(crm.calls("POST")) == 2


def test_the_first_try_looks_for_nothing(crm: Crm, stores: dict[str, Any]) -> None:
    crm.on("POST", "Lead", {"id": LEAD})
    run_task(create(retries=3), ti=TaskInstance(max_tries=3), **stores)
    assert crm.calls("GET", "Lead") == []


def test_a_cleared_task_creates_anew_and_its_retry_looks_from_then_on(crm: Crm, stores: dict[str, Any]) -> None:
    crm.on("POST", "Lead", {"id": LEAD}, {"id": OTHER_LEAD})
    crm.on("GET", "Lead", page())
    task = create(retries=3)
    run_task(task, ti=TaskInstance(try_number=1, max_tries=3), **stores)
    # Clearing adds the retries to the tries there were.
    result = run_task(task, ti=TaskInstance(try_number=2, max_tries=4), **stores)
    assert result == {"id": OTHER_LEAD, "action": "created"}
    assert crm.calls("GET", "Lead") == []
    run_task(task, ti=TaskInstance(try_number=3, max_tries=4), **stores)
    assert len(crm.calls("GET", "Lead")) >= 1


def test_after_a_refusal_a_retry_does_not_take_the_other_record_for_its_own(crm: Crm) -> None:
    # Another task of the same user made an equal one: EspoCRM refuses this one, however often it is tried.
    crm.on("POST", "Lead", refusal(409, "duplicate"))
    crm.on("GET", "Lead", page({"id": OTHER_LEAD, **ANNA}))
    store = Store()
    for try_number in (1, 2):
        with pytest.raises(EspoDuplicateError):
            run_task(create(retries=3), ti=TaskInstance(try_number=try_number, max_tries=3), store=store)


def test_a_refusal_after_a_lost_try_does_not_end_the_looking(crm: Crm) -> None:
    crm.on("POST", "Lead", TooLate, refusal(403))
    crm.on("GET", "Lead", page())
    store = Store()
    with pytest.raises(EspoTimeoutError):
        run_task(create(retries=3), ti=TaskInstance(try_number=1, max_tries=3), store=store)
    with pytest.raises(EspoForbiddenError):
        run_task(create(retries=3), ti=second_try(), store=store)
    # What the first try had sent came late.
    crm.on("GET", "Lead", page({"id": LEAD, **ANNA}))
    result = run_task(create(retries=3), ti=TaskInstance(try_number=3, max_tries=3), store=store)
    assert result == {"id": LEAD, "action": "created"}


def test_a_broken_connection_is_looked_up_within_the_try(crm: Crm) -> None:
    crm.on("POST", "Lead", Lost)
    crm.on("GET", "Lead", page({"id": LEAD, **ANNA}))
    assert run_task(create()) == {"id": LEAD, "action": "created"}
    assert len(crm.calls("POST")) == 1
