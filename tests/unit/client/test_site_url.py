from __future__ import annotations

import traceback

import pytest

from airflow_provider_espo.client.errors import EspoConfigError
from airflow_provider_espo.client.site_url import build_site_url


@pytest.mark.parametrize(
    ("host", "schema", "port", "expected"),
    [
        ("crm.example.com", None, None, "https://crm.example.com"),
        ("crm.example.com", "http", None, "http://crm.example.com"),
        ("crm.example.com", "HTTP://", 8080, "http://crm.example.com:8080"),
        ("crm.example.com:8443/sub", "", None, "https://crm.example.com:8443/sub"),
        ("https://CRM.Example.com:8443/Sub/", None, None, "https://crm.example.com:8443/Sub"),
        ("https://crm.example.com", "sub", 8443, "https://crm.example.com:8443/sub"),
        ("https://crm.example.com/sub", "/sub/", "443", "https://crm.example.com/sub"),
        ("https://crm.example.com/a/b", None, None, "https://crm.example.com/a/b"),
        ("http://localhost:8090", "http", 8090, "http://localhost:8090"),
        ("  https://crm.example.com  ", None, None, "https://crm.example.com"),
        ("espo_web", "http", 80, "http://espo_web"),
        ("192.0.2.7", None, 8443, "https://192.0.2.7:8443"),
        ("крм.example", None, None, "https://крм.example"),
    ],
)
def test_every_way_to_write_an_address_gives_one_site_url(
    host: str, schema: str | None, port: int | str | None, expected: str
) -> None:
    assert build_site_url(host, schema, port) == expected


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("::1", 8090, "https://[::1]:8090"),
        ("http://::1", 8090, "http://[::1]:8090"),
        ("http://[::1]:8090", None, "http://[::1]:8090"),
        ("http://::1/crm", 8090, "http://[::1]:8090/crm"),
        ("[2001:db8::7]", None, "https://[2001:db8::7]"),
    ],
)
def test_ipv6_addresses_work_with_and_without_brackets(host: str, port: int | None, expected: str) -> None:
    assert build_site_url(host, None, port) == expected


@pytest.mark.parametrize(
    "host",
    [
        "https://crm.example.com/sub/api/v1",
        "https://crm.example.com/sub/api/v1/",
        "https://crm.example.com/sub/#Lead",
        "https://crm.example.com/sub#Lead/view/64a0?x=1",
        "https://crm.example.com//sub//",
        "https://crm.example.com:443/sub",
    ],
)
def test_ends_pasted_along_are_taken_off(host: str) -> None:
    assert build_site_url(host) == "https://crm.example.com/sub"


def test_a_path_is_percent_encoded_once() -> None:
    assert build_site_url("https://crm.example.com", "my crm/ü") == "https://crm.example.com/my%20crm/%C3%BC"
    assert build_site_url("https://crm.example.com/my%20crm") == "https://crm.example.com/my%20crm"


@pytest.mark.parametrize(
    ("host", "schema", "port", "words"),
    [
        (None, None, None, "host is missing"),
        ("", "https", 443, "host is missing"),
        ("  ", None, None, "host is missing"),
        ("https://", None, None, "no host name"),
        ("https:///sub", None, None, "no host name"),
        ("/sub", None, None, "no host name"),
        ("ftp://crm.example.com", None, None, "other than http or https"),
        ("espo://crm.example.com", None, None, "other than http or https"),
        ("https://https://crm.example.com", None, None, "URL within a URL"),
        ("https://crm.example.com?x=1", None, None, "query string"),
        ("https://crm example.com", None, None, "blank"),
        ("https://crm.example.com\r\nX-Evil: 1", None, None, "line break"),
        ("https://crm.example.com\\sub", None, None, "backslash"),
        ("https://crm.example.com:port", None, None, "not a valid address"),
        ("https://crm.example.com:70000", None, None, "not a valid address"),
        ("https://[::1", None, None, "not a valid address"),
        ("https://crm%2eexample.com", None, None, "not a valid host name"),
        ("https://-crm.example.com", None, None, "not a valid host name"),
        ("https://crm..example.com", None, None, "not a valid host name"),
        ("https://crm.example.com/../admin", None, None, "'..'"),
        ("https://crm.example.com/api/v1/Lead", None, None, "after /api/v1"),
        ("https://crm.example.com", None, 0.5, "port must be"),
        ("crm.example.com", None, "80a", "port must be"),
        ("crm.example.com", None, -1, "port must be"),
        ("crm.example.com", None, 65536, "port must be"),
        ("crm.example.com", None, True, "port must be"),
        ("crm.example.com", "ftp://", None, "schema must be"),
        ("http://crm.example.com", "https", None, "host names one scheme and schema another"),
        ("https://crm.example.com/a", "b", None, "different sub-paths"),
        ("https://crm.example.com:8443", None, 443, "different ports"),
    ],
)
def test_what_is_no_site_url_is_refused(
    host: str | None, schema: str | None, port: int | str | None, words: str
) -> None:
    with pytest.raises(EspoConfigError, match=words.replace(".", r"\.")):
        build_site_url(host, schema, port)


def test_a_portal_api_url_is_told_where_the_portal_id_goes() -> None:
    with pytest.raises(EspoConfigError, match="portal_id"):
        build_site_url("https://crm.example.com/api/v1/portal-access/64a0b1c2d3e4f5a6b")


@pytest.mark.parametrize(
    "host",
    [
        "https://s3cretuser:s3cretpass@crm.example.com",
        "s3cretkey@crm.example.com",
        "https://crm.example.com:s3cret",
        "https://crm.example.com/s3cret/..",
        "https://crm.example.com?key=s3cret",
    ],
)
def test_a_refused_url_is_not_repeated_in_the_traceback(host: str) -> None:
    with pytest.raises(EspoConfigError) as caught:
        build_site_url(host)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_user_names_in_a_url_are_refused_with_the_place_where_they_belong() -> None:
    with pytest.raises(EspoConfigError, match="login and password fields"):
        build_site_url("https://user@crm.example.com")
