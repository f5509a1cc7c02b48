"""Stream operators, run as a worker runs them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoForbiddenError, EspoInputError, EspoNothingDoneError
from airflow_provider_espo.operators.stream import (
    EspoFollowOperator,
    EspoListStreamOperator,
    EspoPostToStreamOperator,
    EspoUnfollowOperator,
)
from tests.unit.crm import LEAD, Crm, Lost, page, refusal
from tests.unit.running import Store, TaskInstance, run_task

NOTES = [{"id": "n2", "number": 2, "post": "b"}, {"id": "n1", "number": 1, "post": "a"}]


def post(**given: Any) -> EspoPostToStreamOperator:
    arguments: dict[str, Any] = {
        "task_id": "post",
        "post": "Hello",
        "entity_type": "Lead",
        "record_id": LEAD,
        "retries": 1,
    }
    return EspoPostToStreamOperator(**(arguments | given))


def test_a_list_has_the_notes_their_ids_and_the_last_number(crm: Crm) -> None:
    crm.on("GET", "GlobalStream", page(*NOTES))
    rendered: dict[str, Any] = {"after_number": "0", "limit": "5"}
    result = run_task(EspoListStreamOperator(task_id="list", **rendered))
    assert result == {"notes": NOTES[::-1], "note_ids": ["n1", "n2"], "last_number": 2}


def test_an_empty_list_keeps_the_number_it_was_given(crm: Crm) -> None:
    crm.on("GET", "GlobalStream", page())
    result = run_task(EspoListStreamOperator(task_id="list", after_number=41))
    assert result == {"notes": [], "note_ids": [], "last_number": 41}


def test_more_notes_than_xcom_should_take_are_refused(crm: Crm) -> None:
    crm.on("GET", "GlobalStream", page(*NOTES))
    with pytest.raises(EspoInputError, match="More than 1"):
        run_task(EspoListStreamOperator(task_id="list", max_xcom_rows=1))


def test_a_post_is_made_once_over_all_tries(crm: Crm) -> None:
    store, path = Store(), f"Lead/{LEAD}/stream"
    crm.on("GET", path, page())
    crm.on("POST", "Note", Lost)
    with pytest.raises(Exception, match="not there when looked for"):
        run_task(post(), store=store)
    tries = len(crm.calls("POST", "Note"))
    made = {
        "id": "n9",
        "number": 9,
        "post": "Hello",
        "parentType": "Lead",
        "parentId": LEAD,
        "createdAt": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
    }
    crm.on("GET", path, page(made))
    again = run_task(post(), store=store, ti=TaskInstance(try_number=2, max_tries=1))
    assert again == {"id": "n9", "action": "created"}
    assert len(crm.calls("POST", "Note")) == tries


def test_a_post_that_was_refused_is_not_found_in_an_equal_one_that_somebody_made_meanwhile(crm: Crm) -> None:
    store, path = Store(), f"Lead/{LEAD}/stream"
    crm.on("GET", path, page())
    crm.on("POST", "Note", refusal(403, "No create access."))
    with pytest.raises(EspoForbiddenError):
        run_task(post(), store=store)
    crm.on("GET", path, page({"id": "n9", "number": 9, "post": "Hello", "parentType": "Lead", "parentId": LEAD}))
    crm.on("POST", "Note", {"id": "n10"})
    again = run_task(post(), store=store, ti=TaskInstance(try_number=2, max_tries=1))
    assert again == {"id": "n10", "action": "created"}


def test_following_says_how_many(crm: Crm) -> None:
    crm.on("PUT", f"Lead/{LEAD}/subscription", True)
    assert run_task(EspoFollowOperator(task_id="f", entity_type="Lead", record_id=LEAD)) == {"followed": 1}


def test_following_that_did_nothing_fails_the_task(crm: Crm) -> None:
    crm.on("POST", f"Lead/{LEAD}/followers", True)
    crm.on("GET", f"Lead/{LEAD}/followers", page())
    with pytest.raises(EspoNothingDoneError, match="API users"):
        run_task(EspoFollowOperator(task_id="f", entity_type="Lead", record_id=LEAD, user_ids=["u1"]))


def test_unfollowing_by_others(crm: Crm) -> None:
    crm.on("DELETE", f"Lead/{LEAD}/followers", True)
    crm.on("GET", f"Lead/{LEAD}/followers", page({"id": "u2"}))
    task = EspoUnfollowOperator(task_id="u", entity_type="Lead", record_id=LEAD, user_ids=["u1"])
    assert run_task(task) == {"unfollowed": 1}
