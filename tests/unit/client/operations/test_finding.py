"""Global search, labels, lead capture."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import (
    EspoConnectionError,
    EspoInputError,
    EspoNotFoundError,
    EspoNothingDoneError,
)
from tests.unit.crm import Crm, Lost, Sent, refusal

KEY = "c0ffee00c0ffee00c0ffee00c0ffee00"
CONFIG = ClientConfig(site_url=Crm.url, secret="key", max_retries=1, page_size=2)


def found(crm: Crm, count: int, *, counts: bool) -> None:
    """Let the CRM find so many records."""
    rows = [{"id": f"r{number}", "name": f"R{number}", "_scope": "Lead"} for number in range(count)]

    def answer(sent: Sent) -> Any:
        offset, size = int(sent.query["offset"]), int(sent.query["maxSize"])
        rest = len(rows) > offset + size
        return {"list": rows[offset : offset + size], "total": count if counts else -1 if rest else -2}

    crm.on("GET", "GlobalSearch", answer)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize(("there", "limit", "comes"), [(5, 100, 5), (5, 3, 3), (4, 4, 4), (0, 100, 0), (5, 0, 0)])
def test_search_goes_through_all_pages_up_to_the_limit(
    crm: Crm, counts: bool, there: int, limit: int, comes: int
) -> None:
    found(crm, there, counts=counts)
    with EspoClient(CONFIG) as client:
        records = client.global_search("nowak", limit=limit)
    assert [record["id"] for record in records] == [f"r{number}" for number in range(comes)]
    assert {one.query["q"] for one in crm.calls("GET", "GlobalSearch")} <= {"nowak"}


@pytest.mark.parametrize("given", [("",), (" ",), (None,), ("x", -1), ("x", True), ("x", "5")])
def test_a_search_for_nothing_is_not_sent(crm: Crm, given: Any) -> None:
    with EspoClient(CONFIG) as client, pytest.raises(EspoInputError):
        client.global_search(given[0], **({"limit": given[1]} if len(given) > 1 else {}))
    assert crm.sent == []


@pytest.mark.parametrize(("default", "query"), [(False, {}), (True, {"default": "true"})])
def test_labels_come_in_the_users_language_or_the_servers(crm: Crm, default: bool, query: dict[str, str]) -> None:
    crm.on("GET", "I18n", {"Lead": {"fields": {"accountName": "Firma"}}})
    with EspoClient(CONFIG) as client:
        assert client.i18n(default=default)["Lead"]["fields"]["accountName"] == "Firma"
    assert crm.sent[-1].query == query


def test_a_captured_lead_goes_without_the_connections_credentials(crm: Crm) -> None:
    crm.on("POST", f"LeadCapture/{KEY}", True)
    with EspoClient(CONFIG) as client:
        client.capture_lead(KEY, {"lastName": "Nowak", "emailAddress": "n@x.example"})
    (one,) = crm.calls("POST")
    assert one.json == {"lastName": "Nowak", "emailAddress": "n@x.example"}
    assert not {"x-api-key", "authorization", "espo-authorization", "x-hmac-authorization"} & set(one.headers)


@pytest.mark.parametrize("answer", [refusal(404), refusal(403), Lost, refusal(500), False])
def test_the_key_stays_out_of_errors_and_logs(crm: Crm, caplog: pytest.LogCaptureFixture, answer: Any) -> None:
    crm.on("POST", f"LeadCapture/{KEY}", answer)
    with (
        EspoClient(CONFIG) as client,
        caplog.at_level("DEBUG"),
        pytest.raises(Exception, match="LeadCapture/…") as caught,
    ):
        client.capture_lead(KEY, {"lastName": "Nowak"})
    logged = [one.getMessage() for one in caplog.records if not one.name.startswith("requests_mock")]
    assert KEY not in f"{caught.value}{caught.value!r}{logged}"


def test_a_lost_answer_captures_no_second_lead(crm: Crm) -> None:
    crm.on("POST", f"LeadCapture/{KEY}", Lost)
    with EspoClient(CONFIG) as client, pytest.raises(EspoConnectionError):
        client.capture_lead(KEY, {"lastName": "Nowak"})
    assert len(crm.calls("POST")) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [(refusal(404), EspoNotFoundError), (False, EspoNothingDoneError), ({}, EspoNothingDoneError)]
)
def test_an_entry_that_is_not_there_is_an_error(crm: Crm, answer: Any, error: type[Exception]) -> None:
    crm.on("POST", f"LeadCapture/{KEY}", answer)
    with EspoClient(CONFIG) as client, pytest.raises(error):
        client.capture_lead(KEY, {"lastName": "Nowak"})


@pytest.mark.parametrize("given", [(KEY, {}), (KEY, ["x"]), ("", {"lastName": "N"}), ("../x", {"lastName": "N"})])
def test_nothing_to_hand_in_is_not_sent(crm: Crm, given: Any) -> None:
    with EspoClient(CONFIG) as client, pytest.raises(EspoInputError) as caught:
        client.capture_lead(*given)
    assert KEY not in str(caught.value)
    assert crm.sent == []
