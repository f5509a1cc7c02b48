"""The ready retry policy, evaluated by Airflow over every error there is."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta

import airflow.sdk
import pytest
from airflow.sdk import DAG

from airflow_provider_espo import exceptions
from airflow_provider_espo.operators.record import EspoUpsertRecordOperator
from airflow_provider_espo.retry import FINAL, PASSING, espo_retry_policy
from tests.unit.airflows import DagSerialization, hide_names

with_policies = pytest.mark.skipif(
    not hasattr(airflow.sdk, "ExceptionRetryPolicy"), reason="Airflow has retry policies since 3.3"
)

#: What becomes of a task that ends in an error: ``fail``, ``default``, or the minutes after which it is tried again.
DECISIONS: dict[str, str | float] = {
    "EspoError": "default",
    "EspoInputError": "fail",
    "EspoConfigError": "fail",
    "EspoUnknownNameError": "fail",
    "EspoTransportError": 1,
    "EspoConnectionError": 1,
    "EspoTLSError": "fail",
    "EspoTimeoutError": 1,
    "EspoBadAnswerError": 1,
    "EspoApiError": "default",
    "EspoBadRequestError": "fail",
    "EspoValidationError": "fail",
    "EspoAuthenticationError": "fail",
    "EspoSecondFactorError": "fail",
    "EspoForbiddenError": "default",
    "EspoLoginThrottledError": 1.5,
    "EspoNotFoundError": "fail",
    "EspoConflictError": "fail",
    "EspoDuplicateError": "fail",
    "EspoVersionConflictError": "fail",
    "EspoRateLimitError": 2,
    "EspoServerError": 2,
    "EspoMaintenanceError": 10,
    "EspoNothingDoneError": "default",
    "EspoAmbiguousMatchError": "default",
    "EspoJobError": "default",
    "EspoShortfallError": "default",
    "EspoStorageError": "default",
    "EspoPreflightError": "fail",
}

ERRORS = {
    name: error
    for name, error in vars(exceptions).items()
    if inspect.isclass(error) and issubclass(error, exceptions.EspoError)
}


def decision(error: BaseException) -> str | float:
    made = espo_retry_policy().evaluate(error, try_number=1, max_tries=3)
    if made.action.value != "retry":
        assert made.retry_delay is None
        return str(made.action.value)
    assert made.retry_delay is not None
    return made.retry_delay / timedelta(minutes=1)


@with_policies
def test_it_is_known_of_every_error_what_becomes_of_it() -> None:
    assert {name: decision(error("x")) for name, error in ERRORS.items()} == DECISIONS


def test_it_names_only_errors_that_there_are() -> None:
    assert set(FINAL) | set(PASSING) <= set(ERRORS)


@with_policies
@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RuntimeError("x")])
def test_errors_of_others_are_airflows_business(error: Exception) -> None:
    assert decision(error) == "default"


@with_policies
def test_it_comes_through_a_dags_serialization() -> None:
    with DAG("d", schedule=None) as dag:
        EspoUpsertRecordOperator(
            task_id="lead",
            entity_type="Lead",
            attributes={"emailAddress": "n@x.example"},
            match_by=["emailAddress"],
            retries=5,
            retry_policy=espo_retry_policy(),
        )
    first = DagSerialization.to_dict(dag)
    again = DagSerialization.from_dict(json.loads(json.dumps(first)))
    task = again.get_task("lead")
    # The scheduler needs no more than to know that there is one; the worker has the DAG file's own.
    assert task.retries == 5
    assert json.dumps(first, sort_keys=True) == json.dumps(DagSerialization.to_dict(dag), sort_keys=True)


@with_policies
def test_what_it_serializes_to_decides_the_same() -> None:
    policy = espo_retry_policy()
    again = type(policy).deserialize(json.loads(json.dumps(policy.serialize())))
    for error in ERRORS.values():
        assert again.evaluate(error("x"), 1, 3) == policy.evaluate(error("x"), 1, 3)


def test_an_older_airflow_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_names(monkeypatch, "airflow.sdk", ["ExceptionRetryPolicy"])
    with pytest.raises(ImportError, match=r"came with Airflow 3\.3.*Leave retry_policy out"):
        espo_retry_policy()
