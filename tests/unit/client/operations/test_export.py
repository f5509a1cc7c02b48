"""Exports, over both HTTP libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_espo.client.operations.export import start_export
from airflow_provider_espo.client.operations.jobs import job_status
from airflow_provider_espo.exceptions import EspoBadAnswerError, EspoInputError, EspoUnknownNameError
from airflow_provider_espo.where import equals
from tests.unit.crm import LEAD
from tests.unit.file_crm import Lost, on
from tests.unit.job_crm import JobCrm

Run = Callable[..., Any]


@pytest.fixture
def crm() -> JobCrm:
    return JobCrm()


@pytest.fixture(params=["requests", "httpx"])
def run(request: pytest.FixtureRequest, crm: JobCrm) -> Iterator[Run]:
    with on(crm, request.param) as way:
        yield way


def sent(crm: JobCrm) -> Any:
    return crm.calls("POST", "Export")[-1].json


def test_an_export_is_a_background_job_by_default(crm: JobCrm, run: Run) -> None:
    started = run(start_export, "Lead")
    assert started["attachment_id"] is None
    assert sent(crm)["idle"] is True
    assert run(job_status, "export", started["job_id"])["status"] == "Pending"


def test_at_once_the_answer_has_the_file(crm: JobCrm, run: Run) -> None:
    started = run(start_export, "Lead", background=False)
    assert started["job_id"] is None
    assert started["attachment_id"] in crm.contents
    assert "idle" not in sent(crm)


def test_a_filter_goes_as_search_parameters_in_a_stable_order(crm: JobCrm, run: Run) -> None:
    run(start_export, "Lead", where=[equals("status", "New")], primary_filter="actual", text_filter="Ida")
    body = sent(crm)
    assert body["searchParams"] == {
        "where": [{"type": "equals", "attribute": "status", "value": "New"}],
        "primaryFilter": "actual",
        "textFilter": "Ida",
        "orderBy": "id",
    }
    assert "ids" not in body
    run(start_export, "Lead", order_by="createdAt", order="desc")
    assert sent(crm)["searchParams"] == {"orderBy": "createdAt", "order": "desc"}


def test_ids_go_as_ids_each_once(crm: JobCrm, run: Run) -> None:
    run(start_export, "Lead", ids=[LEAD, LEAD])
    assert sent(crm)["ids"] == [LEAD]
    assert "searchParams" not in sent(crm)


@pytest.mark.parametrize("ids", [[], [""], ["../x"], 5, {}])
def test_no_ids_are_refused_as_espocrm_would_export_everything(crm: JobCrm, run: Run, ids: Any) -> None:
    with pytest.raises(EspoInputError):
        run(start_export, "Lead", ids=ids)
    assert crm.sent == []


@pytest.mark.parametrize(
    "beside", [{"where": []}, {"text_filter": "x"}, {"order_by": "name"}], ids=lambda one: next(iter(one))
)
def test_ids_and_a_filter_contradict_each_other(crm: JobCrm, run: Run, beside: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError, match="contradict"):
        run(start_export, "Lead", ids=[LEAD], **beside)
    assert crm.sent == []


def test_columns_are_the_attributes_in_their_order_with_the_fields_they_belong_to(crm: JobCrm, run: Run) -> None:
    run(start_export, "Lead", select=["opportunityAmountCurrency", "opportunityAmount", "id", "accountName"])
    assert sent(crm)["attributeList"] == ["opportunityAmountCurrency", "opportunityAmount", "id", "accountName"]
    assert sent(crm)["fieldList"] == ["opportunityAmount", "id", "account"]


def test_without_select_espocrm_takes_all_fields(crm: JobCrm, run: Run) -> None:
    run(start_export, "Lead")
    assert not {"attributeList", "fieldList"} & sent(crm).keys()


def test_unknown_names_are_refused_as_espocrm_would_drop_them(crm: JobCrm, run: Run) -> None:
    with pytest.raises(EspoUnknownNameError, match="emailAddress"):
        run(start_export, "Lead", select=["email"])
    with pytest.raises(EspoUnknownNameError):
        run(start_export, "Lead", order_by="nope")
    assert crm.calls("POST") == []
    run(start_export, "Lead", select=["email"], validate=False)
    assert sent(crm)["attributeList"] == sent(crm)["fieldList"] == ["email"]


@pytest.mark.parametrize("file_format", ["pdf", "", None, "CSV"])
def test_a_format_that_espocrm_would_fail_at_is_refused(crm: JobCrm, run: Run, file_format: Any) -> None:
    with pytest.raises(EspoInputError, match="csv, xlsx"):
        run(start_export, "Lead", file_format=file_format)
    assert crm.sent == []


def test_a_misspelt_argument_is_an_error(run: Run) -> None:
    with pytest.raises(TypeError, match="were"):
        run(start_export, "Lead", were=[])


def test_a_lost_answer_is_asked_for_again_as_two_exports_do_no_harm(crm: JobCrm, run: Run) -> None:
    crm.fail("POST", "Export", Lost, after=True)
    assert run(start_export, "Lead")["job_id"] in crm.exports
    assert len(crm.exports) == 2


def test_an_answer_without_an_id_is_an_error(crm: JobCrm, run: Run) -> None:
    crm.on("POST", "Export", {})
    with pytest.raises(EspoBadAnswerError):
        run(start_export, "Lead")
