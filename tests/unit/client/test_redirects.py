from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoBadAnswerError
from airflow_provider_espo.client.redirects import redirect_target
from airflow_provider_espo.client.wire import Response, build_request


def target(sent_to: str, location: str | None, *, method: str = "GET", path: str = "Lead", api: str = "/api/v1") -> str:
    headers = {} if location is None else {"location": location}
    return redirect_target(build_request(method, path), Response(301, headers, b""), sent_to, api)


@pytest.mark.parametrize(
    ("sent_to", "location", "followed"),
    [
        ("http://h/api/v1/Lead?q=1", "https://h/api/v1/Lead?q=1", "https://h/api/v1/Lead?q=1"),
        ("http://h/api/v1/Lead?q=1", "https://h:443/api/v1/Lead", "https://h/api/v1/Lead?q=1"),
        ("http://h/api/v1/Lead?q=1", "https://h/api/v1/Lead?q=other", "https://h/api/v1/Lead?q=1"),
        ("http://h:80/api/v1/Lead", "https://H/api/v1/Lead", "https://h/api/v1/Lead"),
        ("https://h/api/v1/Lead?q=1", "/crm/api/v1/Lead", "https://h/crm/api/v1/Lead?q=1"),
        ("https://h:8443/api/v1/Lead", "/crm/api/v1/Lead", "https://h:8443/crm/api/v1/Lead"),
        ("https://h/api/v1/Lead", "https://h:443/public/api/v1/Lead#x", "https://h/public/api/v1/Lead"),
        ("https://h:8443/api/v1/Lead", "//h:8443/x/api/v1/Lead", "https://h:8443/x/api/v1/Lead"),
        ("http://[::1]/api/v1/Lead", "https://[::1]/api/v1/Lead", "https://[::1]/api/v1/Lead"),
        ("http://[::1]:8080/api/v1/Lead", "http://[::1]:8080/x/api/v1/Lead", "http://[::1]:8080/x/api/v1/Lead"),
        ("https://h/api/v1/Lead", "https://user:pw@h/x/api/v1/Lead", "https://h/x/api/v1/Lead"),
    ],
)
def test_a_read_follows_to_the_same_api_on_the_same_host(sent_to: str, location: str, followed: str) -> None:
    assert target(sent_to, location) == followed


@pytest.mark.parametrize(
    ("sent_to", "location", "shown"),
    [
        ("https://h/api/v1/Lead", "https://evil.example/api/v1/Lead", "https://evil.example"),
        ("https://h/api/v1/Lead", "//evil.example/api/v1/Lead", "https://evil.example"),
        ("https://h/api/v1/Lead", "https://h.evil.example/api/v1/Lead", "https://h.evil.example"),
        ("https://h/api/v1/Lead", "https://h@evil.example/api/v1/Lead", "https://evil.example"),
        ("https://h/api/v1/Lead", "http://h/api/v1/Lead", "http://h"),
        ("https://h/api/v1/Lead", "https://h:8443/api/v1/Lead", "https://h:8443"),
        ("http://h:8080/api/v1/Lead", "http://h/api/v1/Lead", "http://h"),
        ("http://h/api/v1/Lead", "https://h:8443/api/v1/Lead", "https://h:8443"),
        ("http://h:8080/api/v1/Lead", "https://h/api/v1/Lead", "https://h"),
        ("http://[::1]/api/v1/Lead", "http://[::2]/api/v1/Lead", "http://[::2]"),
        ("http://[::1]/api/v1/Lead", "http://[::1]:81/api/v1/Lead", "http://[::1]:81"),
    ],
)
def test_another_host_port_or_lesser_scheme_is_not_followed_and_named(sent_to: str, location: str, shown: str) -> None:
    with pytest.raises(EspoBadAnswerError) as caught:
        target(sent_to, location)
    assert f"The server redirects to {shown} (GET Lead, status 301)" in str(caught.value)
    assert f"if that ({shown}) is your EspoCRM" in str(caught.value)


def test_a_name_with_a_dot_behind_it_is_another_name() -> None:
    with pytest.raises(EspoBadAnswerError):
        target("https://h/api/v1/Lead", "https://h./api/v1/Lead")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("location", ["https://h/api/v1/Lead", "/x/api/v1/Lead"])
def test_a_write_is_never_sent_again(method: str, location: str) -> None:
    with pytest.raises(EspoBadAnswerError, match="only reads are sent again") as caught:
        target("http://h/api/v1/Lead", location, method=method)
    assert caught.value.method == method


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "location", ["/login?back=MARKER", "https://h/", "/api/v1/Leads", "/api/v1/Lead/", "/xapi/v1/User"]
)
def test_a_login_page_is_explained(method: str, location: str) -> None:
    with pytest.raises(EspoBadAnswerError, match="such as a login page") as caught:
        target("https://h/api/v1/Lead", location, method=method)
    assert "MARKER" not in str(caught.value)


def test_a_login_page_elsewhere_is_named_by_its_site_alone() -> None:
    with pytest.raises(EspoBadAnswerError, match="login page") as caught:
        target("https://h/api/v1/Lead", "https://sso.example/auth/MARKER?state=MARKER")
    assert "https://sso.example" in str(caught.value)
    assert "MARKER" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [None, "", "Lead", "?x=1", "https://", "https:///api/v1/Lead", "ftp://h/api/v1/Lead", "javascript:alert(1)",
     "https://h:99999/api/v1/Lead", "https://h:0/api/v1/Lead", "https://h:x/api/v1/Lead", "https://[::1/api/v1/Lead",
     "http:/api/v1/Lead"],
)  # fmt: skip
def test_a_redirect_to_nowhere_is_a_bad_answer(location: str | None) -> None:
    with pytest.raises(EspoBadAnswerError, match="without saying where"):
        target("https://h/api/v1/Lead", location)


def test_a_portals_requests_stay_in_the_portal() -> None:
    sent_to, api = "http://h/api/v1/portal-access/p1/Lead", "/api/v1/portal-access/p1"
    assert target(sent_to, "https://h/api/v1/portal-access/p1/Lead", api=api).endswith("/p1/Lead")
    with pytest.raises(EspoBadAnswerError):
        target(sent_to, "https://h/api/v1/Lead", api=api)


@given(st.text(st.sampled_from("https:/@.[]1#?h\\%x api/v1/Lead"), max_size=40) | st.text(max_size=30))
def test_whatever_the_location_a_followed_url_is_on_the_host_it_was_sent_to(location: str) -> None:
    followed: Any = None
    try:
        followed = target("https://h/api/v1/Lead?q=1", location)
    except EspoBadAnswerError:
        return
    assert followed.startswith("https://h/")
    assert followed.endswith("/api/v1/Lead?q=1")
