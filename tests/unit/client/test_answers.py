from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.answers import error_from, retry_after
from airflow_provider_espo.client.config import AuthMethod
from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoConflictError,
    EspoDuplicateError,
    EspoError,
    EspoForbiddenError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoNotFoundError,
    EspoRateLimitError,
    EspoSecondFactorError,
    EspoServerError,
    EspoValidationError,
    EspoVersionConflictError,
)
from airflow_provider_espo.client.wire import Response, build_request

HTML = "text/html; charset=UTF-8"
JSON = "application/json"
PAGE = b"<html><head><title>403 Forbidden</title></head><body>nginx</body></html>"


def judge(
    status: int,
    body: Any = None,
    *,
    type: str = JSON,
    reason: str | None = None,
    method: str = "POST",
    auth: AuthMethod = AuthMethod.API_KEY,
    **headers: str,
) -> EspoError | None:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    given = {"content-type": type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if reason is not None:
        given["x-status-reason"] = reason
    return error_from(build_request(method, "Lead/action/x"), Response(status, given, content), auth)


def error(status: int, body: Any = None, **kwargs: Any) -> EspoError:
    found = judge(status, body, **kwargs)
    assert found is not None
    assert (found.status, found.method, found.path) == (status, kwargs.get("method", "POST"), "Lead/action/x")
    assert found.reason == (kwargs.get("reason") or None)
    return found


@pytest.mark.parametrize(
    ("status", "body", "type"),
    [(200, {"id": "1"}, JSON), (200, None, JSON), (201, {}, JSON), (204, None, HTML), (200, b"a,b\n1,2\n", "text/csv"),
     (200, b"", HTML), (302, None, HTML), (304, None, HTML)],
)  # fmt: skip
def test_successes_and_redirects_are_no_errors(status: int, body: Any, type: str) -> None:
    assert judge(status, body, type=type) is None


@pytest.mark.parametrize("type", [HTML, "TEXT/HTML", "", "application/octet-stream"])
@pytest.mark.parametrize(("method", "unknown"), [("GET", False), ("POST", True)])
def test_a_page_with_status_200_is_a_bad_answer(type: str, method: str, unknown: bool) -> None:
    found = error(200, b"\n <!doctype html><html></html>", type=type, method=method)
    assert isinstance(found, EspoBadAnswerError)
    assert "site URL" in str(found)
    assert found.outcome_unknown is unknown


def test_a_text_that_calls_itself_a_page_is_one() -> None:
    assert isinstance(error(200, b"Please sign in", type="Text/HTML"), EspoBadAnswerError)


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_page_with_an_error_is_not_taken_for_espocrms_word(status: int) -> None:
    found = error(status, PAGE, type=HTML)
    assert isinstance(found, EspoBadAnswerError)
    assert "proxy or firewall" in str(found)
    assert not found.outcome_unknown


def test_an_empty_401_labelled_html_is_espocrms_refusal() -> None:
    found = error(401, type=HTML)
    assert isinstance(found, EspoAuthenticationError)
    assert "method api_key" in str(found)


@pytest.mark.parametrize(
    ("auth", "hint"),
    [
        (AuthMethod.API_KEY, "API key is unknown"),
        (AuthMethod.HMAC, "secret key"),
        (AuthMethod.BASIC, "password is wrong"),
        (AuthMethod.TOKEN, "password is wrong"),
    ],
)
def test_a_401_says_what_to_check_for_each_method(auth: AuthMethod, hint: str) -> None:
    assert hint in str(error(401, type=HTML, auth=auth))


def test_a_401_with_a_page_comes_from_something_in_front_of_espocrm() -> None:
    found = error(401, PAGE, type=HTML, www_authenticate='Basic realm="intern"')
    assert isinstance(found, EspoAuthenticationError)
    assert "in front of EspoCRM" in str(found)
    assert "key" not in str(found)


def test_a_second_factor_is_told_by_the_reason() -> None:
    found = error(401, {"status": "second-step-required"}, reason="second-step-required", auth=AuthMethod.TOKEN)
    assert isinstance(found, EspoSecondFactorError)
    assert "API user" in str(found)


# What a real server sent: refusals for want of rights have the reason header, be it empty, whatever their label says;
# the throttle of failed logins has no such header.
@pytest.mark.parametrize(
    ("type", "reason", "body"),
    [
        (JSON, "No create access.", None),
        (JSON, "No 'read' access.", None),
        (HTML, "No mass-update permission.", None),
        (JSON, "", None),
        (HTML, "", None),
        (
            JSON,
            "No record access for link operation (Lead:teams).",
            {"messageTranslation": {"label": "noAccessToRecord"}},
        ),
        (JSON, None, {"message": "no"}),
        (JSON, None, None),
    ],
)
def test_a_403_for_want_of_rights_is_not_taken_for_the_throttle(type: str, reason: str | None, body: Any) -> None:
    found = error(403, body, type=type, reason=reason)
    assert isinstance(found, EspoForbiddenError)
    assert not isinstance(found, EspoLoginThrottledError)
    assert "failed logins" not in str(found)
    assert "roles" in str(found)


def test_a_403_without_the_reason_header_and_body_is_the_throttle_or_the_address_list() -> None:
    found = error(403, type=HTML)
    assert isinstance(found, EspoLoginThrottledError)
    assert found.retry_after == 60
    assert "failed logins" in str(found)
    assert "whitelist" in str(found)


def test_without_a_reason_the_hint_names_administrators() -> None:
    assert "administrators" in str(error(403, type=HTML, reason=""))
    assert "administrators" not in str(error(403, reason="No create access."))


def test_a_linked_record_that_does_not_exist_is_said_to() -> None:
    body = {
        "messageTranslation": {"label": "cannotRelateNonExisting", "scope": None, "data": {"foreignEntityType": "User"}}
    }
    found = error(403, body, reason="Can't relate with non-existing record. entity type: Lead, link: assignedUser.")
    assert isinstance(found, EspoForbiddenError)
    assert "does not exist" in str(found)


VALIDATION = {
    "messageTranslation": {"label": "validationFailure", "scope": None, "data": {"field": "name", "type": "required"}}
}
VALIDATION_TEXT = "Field validation failure; entityType: Account, field: name, type: required."


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        (VALIDATION_TEXT, VALIDATION),
        ("validationFailure", VALIDATION),
        (VALIDATION_TEXT, None),
        (VALIDATION_TEXT, b"not json"),
        (VALIDATION_TEXT, {"messageTranslation": {"label": "validationFailure", "data": []}}),
        (VALIDATION_TEXT, {"messageTranslation": {"label": "validationFailure", "data": {"field": None}}}),
    ],
    ids=["new", "7.2.0", "reason only", "broken body", "empty data", "no field"],
)
def test_a_refused_field_is_named_with_its_rule(reason: str, body: Any) -> None:
    found = error(400, body, reason=reason)
    assert isinstance(found, EspoValidationError)
    assert (found.field, found.rule) == ("name", "required")
    assert "must have a value" in str(found)


@pytest.mark.parametrize(
    "body", [None, {"message": "x"}, [], "x", {"messageTranslation": []}, {"messageTranslation": {"label": "x"}}]
)
def test_another_400_tells_the_servers_reason(body: Any) -> None:
    found = error(400, body, reason="Unknown where item type 'x'.", type=HTML)
    assert type(found) is EspoBadRequestError
    assert "EspoCRM says: Unknown where item type 'x'." in str(found)


def test_404_tells_a_missing_record_from_a_missing_route() -> None:
    record = error(404, reason="Record 0123456789abcdef0 does not exist.", method="GET")
    assert isinstance(record, EspoNotFoundError)
    assert "route" not in str(record)
    assert "route" not in str(error(404, reason="", type=HTML))
    route = error(404, {"message": "404 Not Found"})
    assert isinstance(route, EspoNotFoundError)
    assert "no such route" in str(route)


def test_a_duplicate_carries_the_found_records_and_shows_only_their_ids() -> None:
    records = [{"id": "id1", "name": "MARKER", "emailAddress": "MARKER@example.com"}, {"id": "id2"}, "junk"]
    found = error(409, records, reason="duplicate")
    assert isinstance(found, EspoDuplicateError)
    assert found.record_ids == ["id1", "id2"]
    assert found.records[0]["name"] == "MARKER"
    assert "id1, id2" in str(found)
    assert "MARKER" not in str(found) + repr(found) + repr(found.args)


def test_a_duplicate_without_a_list_is_still_one() -> None:
    found = error(409, b"", reason="duplicate")
    assert isinstance(found, EspoDuplicateError)
    assert found.record_ids == []


@pytest.mark.parametrize(
    ("body", "values", "version"),
    [
        ({"values": {"type": "MARKER"}, "versionNumber": 3}, {"type": "MARKER"}, 3),
        ({"values": [], "versionNumber": 3}, {}, 3),
        ({"values": ["x"]}, {}, None),
        (None, {}, None),
        ([], {}, None),
    ],
)
def test_a_version_conflict_carries_what_is_there_now(body: Any, values: dict[str, Any], version: int | None) -> None:
    found = error(409, body, reason="modified")
    assert isinstance(found, EspoVersionConflictError)
    assert found.current_values == values
    assert found.current_version == version
    assert "MARKER" not in str(found) + repr(found)


def test_a_locked_record_is_a_conflict_with_its_label() -> None:
    label = "cannotModifyLockedRecord"
    found = error(409, {"messageTranslation": {"label": label, "data": {"field": "Type"}}}, reason=label)
    assert type(found) is EspoConflictError
    assert label in str(found)


@pytest.mark.parametrize(
    ("status", "hint"),
    [(405, "no such route"), (407, "proxies"), (413, "larger"), (414, "longer"), (415, "content type"), (418, "418")],
)
def test_other_refusals_say_what_they_mean(status: int, hint: str) -> None:
    found = error(status, {"message": "x"})
    assert isinstance(found, EspoBadRequestError)
    assert hint in str(found)


@pytest.mark.parametrize("status", [407, 413, 414, 415, 429])
def test_a_web_servers_page_with_its_own_status_keeps_the_meaning_of_the_status(status: int) -> None:
    assert not isinstance(error(status, PAGE, type=HTML), EspoBadAnswerError)


def test_a_rate_limit_says_how_long() -> None:
    found = error(429, b"slow down", type="text/plain", retry_after="7")
    assert isinstance(found, EspoRateLimitError)
    assert found.retry_after == 7
    assert "requests_per_second" in str(found)


def test_maintenance_is_told_from_a_server_that_is_away() -> None:
    found = error(503, {"message": "x"}, reason="Application is in maintenance mode.")
    assert isinstance(found, EspoMaintenanceError)
    assert not found.outcome_unknown
    away = error(503, PAGE, type=HTML)
    assert type(away) is EspoServerError
    assert not away.outcome_unknown


@pytest.mark.parametrize("status", [500, 501, 502, 504, 520, 599])
@pytest.mark.parametrize("body", [None, PAGE, {"message": "Slim Application Error"}])
def test_after_other_server_errors_it_is_open_what_was_done(status: int, body: Any) -> None:
    found = error(status, body)
    assert isinstance(found, EspoServerError)
    assert found.outcome_unknown


def test_a_500_points_to_espocrms_log() -> None:
    assert "data/logs" in str(error(500, type=HTML, reason="sendingFail"))


@given(
    st.integers(200, 599),
    st.binary(max_size=60)
    | st.sampled_from([b"null", b"false", b"[]", b"{}", b'{"messageTranslation": {"data": 5}}', PAGE]),
    st.sampled_from([JSON, HTML, "", "text/plain"]),
    st.none() | st.text(max_size=40),
    st.none() | st.text(max_size=20),
)
def test_no_answer_whatever_makes_the_judgement_itself_fail(
    status: int, content: bytes, type: str, reason: str | None, wait: str | None
) -> None:
    headers = {"content-type": type}
    headers |= {} if reason is None else {"x-status-reason": reason}
    headers |= {} if wait is None else {"retry-after": wait}
    response = Response(status, headers, content)
    found = error_from(build_request("GET", "Lead"), response, AuthMethod.API_KEY)
    assert (found is not None) >= (status >= 400)
    assert (retry_after(response) or 0) >= 0
    str(found)


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None), ("0", 0), ("120", 120), (" 5 ", 5), ("soon", None), ("-5", None), ("1.5", None), ("nan", None),
        ("9" * 400, float("inf")),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Sun, 01 Mar 99999 12:00:30 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_and_as_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(Response(429, {"retry-after": value}, b""), NOW) == seconds


def test_no_retry_after_is_none() -> None:
    assert retry_after(Response(503, {}, b"")) is None
