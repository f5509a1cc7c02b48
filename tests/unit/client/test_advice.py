"""What errors say to do: the part of them that the reader needs at night."""

from __future__ import annotations

import math

import pytest

from airflow_provider_espo.client.answers import error_from
from airflow_provider_espo.client.config import AuthMethod
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import Response, build_request, check_headers, free_path, record_id_segment
from airflow_provider_espo.where import last_x_days


@pytest.mark.parametrize(
    ("record_id", "advice"),
    [
        (None, "upstream task's result empty"),
        ("", "upstream task's result empty"),
        ({"id": "6746d1f3a0b1c2d3e", "name": "Anna"}, "Give the record's id alone"),
        ("{{ params.lead_id }}", "A template was not rendered"),
        ("anna@example.com", "letters, digits"),
        ("../User", "letters, digits"),
    ],
)
def test_an_id_that_is_none_says_where_it_may_come_from(record_id: object, advice: str) -> None:
    with pytest.raises(EspoInputError, match=advice) as caught:
        record_id_segment(record_id)
    assert "anna" not in str(caught.value).lower()
    assert "?." not in str(caught.value)


@pytest.mark.parametrize("path", ["Lead/../User", "Lead/", "Lead//x", "Lead/%2e%2e/User", "Lead\r\nX: 1", "Lead/\0"])
def test_a_path_that_leads_elsewhere_is_refused_without_blaming_its_slashes(path: str) -> None:
    with pytest.raises(EspoInputError, match="empty or nothing but dots") as caught:
        free_path(path)
    assert "'/'" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "advice"), [(b"x", "Decode it"), ({"a"}, "sorted"), (object(), "Give text"), (math.nan, "Send null")]
)
def test_a_value_that_json_cannot_say_comes_with_what_to_give_in_its_place(value: object, advice: str) -> None:
    with pytest.raises(EspoInputError, match=advice):
        to_wire({"description": value})


def test_true_is_no_number_of_days_and_not_called_negative() -> None:
    with pytest.raises(EspoInputError, match="not a bool"):
        last_x_days("createdAt", True)


def test_a_header_that_cannot_be_sent_says_why() -> None:
    with pytest.raises(EspoInputError, match="on one line"):
        check_headers({"X-Note": "a\r\nb"})


@pytest.mark.parametrize(
    ("reason", "advice"),
    [("Controller 'Leads' does not exist.", "Lead, not Leads"), ("Record x does not exist.", "deleted, or hidden")],
)
def test_not_found_says_what_may_be_wrong(reason: str, advice: str) -> None:
    response = Response(404, {"x-status-reason": reason}, b"")
    error = error_from(build_request("GET", "Leads"), response, AuthMethod.API_KEY)
    assert advice in str(error)
