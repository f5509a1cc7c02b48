"""What is told of a background job."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoForbiddenError,
    EspoInputError,
    EspoLoginThrottledError,
    EspoNotFoundError,
)
from airflow_provider_espo.client.operations.jobs import in_words
from airflow_provider_espo.hooks.espo import EspoHook
from tests.unit.crm import Crm, Reply, refusal

JOB = "6b02a9135ac7bca3d"


@pytest.mark.parametrize(
    ("kind", "path", "answer", "told"),
    [
        (
            "mass_action",
            f"MassAction/{JOB}/status",
            {"status": "Running", "processedCount": 0},
            {"status": "Running", "finished": False, "succeeded": False, "processed": 0},
        ),
        (
            "mass_action",
            f"MassAction/{JOB}/status",
            {"status": "Success", "processedCount": 3},
            {"status": "Success", "finished": True, "succeeded": True, "processed": 3},
        ),
        (
            "mass_action",
            f"MassAction/{JOB}/status",
            {"status": "Failed", "processedCount": None},
            {"status": "Failed", "finished": True, "succeeded": False, "processed": None},
        ),
        (
            "export",
            f"Export/{JOB}/status",
            {"status": "Pending", "attachmentId": None},
            {"status": "Pending", "finished": False, "succeeded": False, "attachment_id": None},
        ),
        (
            "export",
            f"Export/{JOB}/status",
            {"status": "Success", "attachmentId": "6b02a9135ac7bca3e"},
            {"status": "Success", "finished": True, "succeeded": True, "attachment_id": "6b02a9135ac7bca3e"},
        ),
        (
            "import",
            f"Import/{JOB}",
            {"id": JOB, "status": "In Process", "importedCount": 1, "updatedCount": 0, "duplicateCount": 0},
            {
                "status": "In Process",
                "finished": False,
                "succeeded": False,
                "created": 1,
                "updated": 0,
                "duplicates": 0,
            },
        ),
        (
            "import",
            f"Import/{JOB}",
            {"id": JOB, "status": "Complete", "importedCount": 2, "updatedCount": 1, "duplicateCount": 0},
            {"status": "Complete", "finished": True, "succeeded": True, "created": 2, "updated": 1, "duplicates": 0},
        ),
        # A word that a later version may bring does not end the wait.
        (
            "export",
            f"Export/{JOB}/status",
            {"status": "Waiting", "attachmentId": None},
            {"status": "Waiting", "finished": False, "succeeded": False, "attachment_id": None},
        ),
    ],
)
def test_jobs_of_all_kinds_are_told_in_one_shape(
    crm: Crm, kind: Any, path: str, answer: dict[str, Any], told: dict[str, Any]
) -> None:
    crm.on("GET", path, answer)
    assert EspoHook().job_status(kind, JOB) == {"id": JOB, "kind": kind, **told}


def test_somebody_elses_job_is_an_error_that_says_who_may_see_it(crm: Crm) -> None:
    # The header is there, and empty: so EspoCRM knows who asks.
    crm.on("GET", f"MassAction/{JOB}/status", Reply(403, headers={"X-Status-Reason": ""}))
    with pytest.raises(EspoForbiddenError, match="only to the user who started it"):
        EspoHook().job_status("mass_action", JOB)


def test_a_throttled_login_keeps_its_own_hint(crm: Crm) -> None:
    crm.on("GET", f"MassAction/{JOB}/status", refusal(403))
    with pytest.raises(EspoLoginThrottledError, match="10 failed logins"):
        EspoHook().job_status("mass_action", JOB)


def test_a_job_that_is_not_there_is_an_error(crm: Crm) -> None:
    crm.on("GET", f"Export/{JOB}/status", refusal(404))
    with pytest.raises(EspoNotFoundError):
        EspoHook().job_status("export", JOB)


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": 1}, {"status": ""}])
def test_an_answer_without_a_status_is_no_answer(crm: Crm, answer: dict[str, Any]) -> None:
    crm.on("GET", f"MassAction/{JOB}/status", answer)
    with pytest.raises(EspoBadAnswerError, match="no status"):
        EspoHook().job_status("mass_action", JOB)


@pytest.mark.parametrize(
    ("kind", "job_id"), [("massAction", JOB), ("", JOB), (None, JOB), ("export", "../x"), ("export", "")]
)
def test_what_is_no_job_is_refused_before_anything_is_sent(crm: Crm, kind: Any, job_id: str) -> None:
    with pytest.raises(EspoInputError):
        EspoHook().job_status(kind, job_id)
    assert crm.sent == []


def test_progress_is_told_in_words() -> None:
    job = {"id": JOB, "kind": "import", "status": "In Process", "created": 5, "updated": 0, "duplicates": None}
    assert in_words(job) == f"EspoCRM's import {JOB}: In Process, 5 created"
