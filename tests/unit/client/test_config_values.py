from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client import config_values as values
from airflow_provider_espo.client.errors import EspoConfigError

SECONDS = values.NumberRange(60.0, 0, above_minimum=True, unit="seconds")
WORKERS = values.NumberRange(4, 1, 32, whole=True)


@pytest.mark.parametrize("text", ["true", "True", " TRUE ", "1", "yes", "on", "t", "y", 1, True])
def test_true_in_all_its_spellings(text: Any) -> None:
    assert values.read_bool("verify", text, False) is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "OFF", "f", "n", 0, False])
def test_false_in_all_its_spellings(text: Any) -> None:
    assert values.read_bool("verify", text, True) is False


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_empty_field_means_the_default(empty: Any) -> None:
    assert values.read_bool("verify", empty, True) is True
    assert SECONDS.read("timeout", empty) == 60
    assert values.read_choice("hmac_digest", empty, ["raw", "hex"], "raw") == "raw"
    assert values.read_text("ca_file", empty) is None
    assert values.read_headers("headers", empty) == {}
    assert values.read_proxies("proxies", empty) == {}


@pytest.mark.parametrize("value", ["/etc/ssl/ca.pem", "2", 2, 0.0, [], {}])
def test_what_is_no_switch_is_refused(value: Any) -> None:
    with pytest.raises(EspoConfigError, match="verify must be true or false"):
        values.read_bool("verify", value, True)


def test_a_ca_file_given_as_verify_is_told_where_it_goes() -> None:
    with pytest.raises(EspoConfigError, match="ca_file"):
        values.read_bool("verify", "/etc/ssl/ca.pem", True)


@pytest.mark.parametrize(("value", "expected"), [("30", 30.0), (" 0.5 ", 0.5), (30, 30.0), (1e2, 100.0), ("1e1", 10)])
def test_numbers_may_come_as_text(value: Any, expected: float) -> None:
    assert SECONDS.read("timeout", value) == expected


@pytest.mark.parametrize("value", ["8", 8, 8.0, "8.0"])
def test_a_whole_number_is_an_int_however_written(value: Any) -> None:
    number = WORKERS.read("max_workers", value)
    assert number == 8
    assert isinstance(number, int)


@pytest.mark.parametrize("value", [0, -1, "0", "nan", "inf", "1e999", "soon", True, [], "30s", 10**400])
def test_what_is_no_time_is_refused_with_what_is_allowed(value: Any) -> None:
    with pytest.raises(EspoConfigError, match="timeout must be a number of seconds, more than 0"):
        SECONDS.read("timeout", value)


@pytest.mark.parametrize("value", [0, 33, 2.5, "2.5", -4])
def test_a_number_outside_of_its_range_is_refused(value: Any) -> None:
    with pytest.raises(EspoConfigError, match="max_workers must be a whole number from 1 to 32"):
        WORKERS.read("max_workers", value)


@pytest.mark.parametrize("value", ["api_key", "API key", " Api-Key "])
def test_a_choice_does_not_hang_on_case_and_dashes(value: str) -> None:
    assert values.read_choice("auth_method", value, ["api_key", "hmac"], "hmac") == "api_key"


def test_an_unknown_choice_names_all_and_the_nearest() -> None:
    with pytest.raises(EspoConfigError, match=r"one of api_key, hmac\. Perhaps api_key is meant"):
        values.read_choice("auth_method", "apikey", ["api_key", "hmac"], "hmac")
    with pytest.raises(EspoConfigError, match=r"one of api_key, hmac\.$"):
        values.read_choice("auth_method", "kerberos", ["api_key", "hmac"], "hmac")


@pytest.mark.parametrize("value", [3, ["hmac"], {"a": 1}])
def test_a_choice_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(EspoConfigError, match="must be one of"):
        values.read_choice("auth_method", value, ["api_key", "hmac"], "hmac")


def test_text_with_a_line_break_is_refused() -> None:
    with pytest.raises(EspoConfigError, match="act_as holds a line break"):
        values.read_text("act_as", "admin\r\nX-Evil: 1")
    with pytest.raises(EspoConfigError, match="act_as must be text"):
        values.read_text("act_as", 5)


def test_headers_come_as_object_or_as_json_text() -> None:
    expected = {"CF-Access-Client-Id": "abc", "X-Port": "443"}
    given_headers = {"CF-Access-Client-Id": " abc ", "X-Port": 443}
    assert values.read_headers("headers", given_headers) == expected
    assert values.read_headers("headers", json.dumps(given_headers)) == expected


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ("not json", "must be a JSON object"),
        ("[1]", "must be a JSON object"),
        ([("a", "b")], "must be a JSON object"),
        ({1: "a"}, "must be a JSON object"),
        ({"X-A": "b\r\nX-Evil: 1"}, "line break"),
        ({"X-A": "b\x00"}, "control|line break"),
        ({"X-A\r\nX-Evil": "1"}, "header name"),
        ({"X A": "1"}, "header name"),
        ({"": "1"}, "header name"),
        ({"X-A": "ü"}, "outside of ASCII"),
        ({"X-A": None}, "must be text"),
        ({"X-A": True}, "must be text"),
        ({"X-A": ["b"]}, "must be text"),
        ({"X-A": "1", "x-a": "2"}, "twice"),
        ({"x-API-key": "k"}, "auth_method api_key"),
        ({"X-Skip-Duplicate-Check": "true"}, "on_duplicate"),
        ({"Content-Type": "text/plain"}, "The client sets it"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: Any, words: str) -> None:
    with pytest.raises(EspoConfigError, match=words):
        values.read_headers("headers", headers)


def test_proxies_come_as_object_as_json_text_or_as_one_url() -> None:
    url = "http://user:pass@proxy.example.com:3128"
    assert values.read_proxies("proxies", {"HTTPS": url}) == {"https": url}
    assert values.read_proxies("proxies", json.dumps({"https://": url})) == {"https": url}
    assert values.read_proxies("proxies", f" {url} ") == {"all": url}


@pytest.mark.parametrize(
    ("proxies", "words"),
    [
        ({"ftp": "http://proxy:1"}, "by http, https or all"),
        ({"https": "proxy:3128"}, "not an http:// or https:// URL"),
        ({"https": "socks5://proxy:1080"}, "not an http:// or https:// URL"),
        ({"https": "http://"}, "not an http:// or https:// URL"),
        ({"https": "http://proxy:0"}, "not an http:// or https:// URL"),
        ({"https": "http://proxy:port"}, "not an http:// or https:// URL"),
        ({"https": "http://[::1"}, "not an http:// or https:// URL"),
        ({"https": "http://pro xy:1"}, "not an http:// or https:// URL"),
        ({"https": None}, "not an http:// or https:// URL"),
        ("proxy:3128", "must be a JSON object"),
    ],
)
def test_proxies_that_cannot_be_used_are_refused(proxies: Any, words: str) -> None:
    with pytest.raises(EspoConfigError, match=words):
        values.read_proxies("proxies", proxies)


def test_nearest_finds_a_misspelt_name_and_nothing_for_a_foreign_one() -> None:
    assert values.nearest("verfy", ["verify", "timeout"]) == "verify"
    assert values.nearest("Max-Retries", ["max_retries", "timeout"]) == "max_retries"
    assert values.nearest("warehouse", ["verify", "timeout"]) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(value=JSON)
def test_a_setting_is_either_read_or_refused_as_a_config_error(value: Any) -> None:
    readers: list[Callable[[], object]] = [
        lambda: values.read_bool("x", value, True),
        lambda: SECONDS.read("x", value),
        lambda: WORKERS.read("x", value),
        lambda: values.read_choice("x", value, ["raw", "hex"], "raw"),
        lambda: values.read_text("x", value),
        lambda: values.read_headers("x", value),
        lambda: values.read_proxies("x", value),
    ]
    for reader in readers:
        # Anything else than an EspoConfigError fails the test.
        with contextlib.suppress(EspoConfigError):
            reader()


SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=9).map(lambda text: f"q7Zx{text}")


@given(secret=SECRETS)
def test_a_secret_in_the_wrong_field_is_not_repeated(secret: str) -> None:
    for reader in (
        lambda: values.read_bool("x", secret, True),
        lambda: SECONDS.read("x", secret),
        lambda: values.read_choice("x", secret, ["raw", "hex"], "raw"),
        lambda: values.read_headers("x", secret),
        lambda: values.read_headers("x", {"X-A": f"a\n{secret}"}),
        lambda: values.read_proxies("x", secret),
        lambda: values.read_proxies("x", {"https": secret}),
    ):
        with pytest.raises(EspoConfigError) as caught:
            reader()
        assert secret not in "".join(traceback.format_exception(caught.value))
