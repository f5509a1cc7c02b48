"""Any request as a task."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoError, EspoInputError, EspoServerError, EspoTimeoutError
from airflow_provider_espo.operators.action import EspoRequestOperator
from tests.unit.crm import Crm, Reply, TooLate, refusal
from tests.unit.running import run_task


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def request(**given: Any) -> EspoRequestOperator:
    return EspoRequestOperator(task_id="request", **({"path": "Lead/action/convert"} | given))


def test_the_answer_is_the_result(crm: Crm) -> None:
    crm.on("POST", "Lead/action/convert", {"id": "x"})
    task = request(method="post", json={"id": "{{ params.id }}"}, headers={"X-Skip-Duplicate-Check": "true"})
    assert run_task(task, params={"id": "l1"}) == {"id": "x"}
    sent = crm.sent[0]
    assert sent.json == {"id": "l1"}
    assert sent.headers["x-skip-duplicate-check"] == "true"
    assert sent.headers["content-type"] == "application/json"


def test_an_empty_answer_is_none(crm: Crm) -> None:
    crm.on("GET", "Lead/action/convert", Reply(200))
    assert run_task(request()) is None


@pytest.mark.parametrize("body", [[], {}, 0, False, "", [1]])
def test_a_falsy_body_is_a_body(crm: Crm, body: Any) -> None:
    crm.on("POST", "Lead/action/convert", True)
    run_task(request(method="POST", json=body))
    assert crm.sent[0].body != b""
    assert crm.sent[0].json == body


def test_without_json_no_body_is_sent(crm: Crm) -> None:
    crm.on("POST", "Lead/action/convert", True)
    run_task(request(method="POST"))
    assert crm.sent[0].body == b""
    assert "content-type" not in crm.sent[0].headers


def test_query_values_keep_their_types(crm: Crm) -> None:
    crm.on("GET", "Lead", {"list": []})
    run_task(request(path="/api/v1/Lead", query={"searchParams": {"maxSize": 5, "select": ["id"]}, "q": "{{ 'a b' }}"}))
    assert crm.sent[0].search == {"maxSize": 5, "select": ["id"]}
    assert crm.sent[0].query["q"] == "a b"


def test_a_response_filter_that_is_no_function_is_refused_before_anything_is_sent(crm: Crm) -> None:
    with pytest.raises(EspoInputError, match="response_filter"):
        request(method="POST", response_filter="answer['id']")
    assert crm.sent == []


def test_response_filter_makes_the_result_of_any_answer(crm: Crm) -> None:
    crm.on("GET", "Lead/action/convert", {"list": [{"id": "1"}, {"id": "2"}]}, Reply(200))
    assert run_task(request(response_filter=lambda answer: len(answer["list"]))) == 2
    assert run_task(request(response_filter=lambda answer: answer is None)) is True


def test_a_post_is_not_sent_twice(crm: Crm) -> None:
    crm.on("POST", "Lead/action/convert", TooLate)
    with pytest.raises(EspoTimeoutError):
        run_task(request(method="POST"))
    assert len(crm.sent) == 1


def test_a_post_that_does_no_harm_twice_may_be_repeated(crm: Crm) -> None:
    crm.on("POST", "Lead/action/convert", TooLate, {"done": True})
    assert run_task(request(method="POST", repeatable=True)) == {"done": True}


def test_other_methods_are_repeated_unless_told_not_to(crm: Crm) -> None:
    crm.on("PUT", "Lead/action/convert", refusal(502), {"done": True})
    assert run_task(request(method="PUT")) == {"done": True}
    crm.on("PUT", "Lead/action/convert", refusal(502), {"done": True})
    with pytest.raises(EspoServerError):
        run_task(request(method="PUT", repeatable=False))


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": ""},
        {"path": "../../etc"},
        {"path": "https://elsewhere.example.com/Lead"},
        {"method": "BREW"},
        {"headers": {"X-Api-Key": "other"}},
        {"method": "POST", "json": float("nan")},
        {"method": "POST", "json": {"a": {1, 2}}},
        {"method": "POST", "json": {"a": b"bytes"}},
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(crm: Crm, wrong: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError):
        run_task(request(**wrong))
    assert crm.sent == []


def test_errors_carry_status_and_path(crm: Crm) -> None:
    crm.on("GET", "Lead/action/convert", refusal(404))
    with pytest.raises(EspoError) as caught:
        run_task(request())
    assert (caught.value.status, caught.value.path) == (404, "Lead/action/convert")
