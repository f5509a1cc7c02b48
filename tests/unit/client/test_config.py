from __future__ import annotations

import base64
import dataclasses
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_espo.client.config import (
    EXTRA_NAMES,
    NUMBERS,
    AuthMethod,
    ClientConfig,
    HmacDigest,
    read_extra,
    secrets_of,
    token_secrets,
)
from airflow_provider_espo.client.errors import EspoConfigError

KEY = "k3y/With+odd=chars&more"


def make(
    extra: Mapping[str, Any] | str | None = None,
    *,
    host: str | None = "https://crm.example.com",
    login: str | None = None,
    password: str | None = KEY,
    **kwargs: Any,
) -> ClientConfig:
    return ClientConfig.from_connection(host=host, login=login, password=password, extra=extra, **kwargs)


def test_defaults_of_the_class_are_those_of_a_connection_without_settings() -> None:
    config = make(host="crm.example.com")
    assert config == ClientConfig(site_url="https://crm.example.com", secret=KEY)
    assert config.auth_method is AuthMethod.API_KEY
    assert config.verify is True
    for name, allowed in NUMBERS.items():
        assert getattr(config, name) == allowed.default


def test_every_extra_is_a_setting_and_reaches_it() -> None:
    extra = {
        "auth_method": "basic",
        "ca_file": "/etc/ssl/ca.pem",
        "client_cert": "/etc/ssl/me.pem",
        "client_key": "/etc/ssl/me.key",
        "timeout": 61,
        "connect_timeout": 11,
        "max_retries": 5,
        "max_workers": 6,
        "page_size": 7,
        "requests_per_second": 8,
        "proxies": {"all": "http://proxy:3128"},
        "headers": {"X-Gate": "open"},
        "portal_id": "64a0b1c2d3e4f5a6b",
        "hmac_digest": "hex",
        "act_as": "sales",
        "web_url": "https://crm.example.org/espo",
    }
    assert {*extra, "verify"} == set(EXTRA_NAMES)
    assert make({"verify": False}).verify is False
    config = make(extra, login="admin")
    assert {name: getattr(config, name) for name in extra} == extra
    default = make(login="admin")
    assert all(getattr(config, name) != getattr(default, name) for name in extra)


def test_names_with_airflows_old_prefix_work_and_give_way_to_the_new_ones() -> None:
    assert make({"extra__espo__timeout": "30"}).timeout == 30
    assert make({"extra__espo__timeout": "30", "timeout": 40}).timeout == 40
    assert make({"timeout": None, "extra__espo__timeout": "30"}).timeout == 30


@pytest.mark.parametrize(
    "written", ["CRM.example.org", "https://crm.example.org/#Lead", "https://crm.example.org/api/v1"]
)
def test_the_url_for_people_is_read_as_the_site_url_is(written: str) -> None:
    config = make({"web_url": written})
    assert (config.web_url, config.site_url) == ("https://crm.example.org", make().site_url)


@pytest.mark.parametrize("wrong", ["ftp://crm.example.org", "https://key-5f2b@crm.example.org", "two words", 7])
def test_a_wrong_url_for_people_is_an_error_that_names_the_setting(wrong: object) -> None:
    with pytest.raises(EspoConfigError, match="web_url") as caught:
        make({"web_url": wrong})
    assert "key-5f2b" not in f"{caught.value} {caught.value.__context__}"


def test_an_empty_field_of_the_form_means_the_default() -> None:
    assert make(dict.fromkeys(EXTRA_NAMES, "")) == make()
    assert make(dict.fromkeys(EXTRA_NAMES)) == make()


def test_unknown_extras_are_kept_by_name_with_the_nearest_known_one() -> None:
    config = make({"verfy": False, "warehouse": "s3cret", "extra__other__x": 1, "timeout": 3})
    assert config.unknown_extras == ("extra__other__x", "verfy", "warehouse")
    hint = config.unknown_extras_hint() or ""
    assert "verfy (did you mean verify?)" in hint
    assert "warehouse" in hint
    assert "s3cret" not in hint
    assert make({"timeout": 3}).unknown_extras_hint() is None


@pytest.mark.parametrize("extra", ["{", "[1]", '"text"', "3", "no json"])
def test_broken_extra_is_an_error_and_not_an_empty_one(extra: str) -> None:
    with pytest.raises(EspoConfigError, match="extra is not a JSON object"):
        make(extra)


def test_extra_may_be_missing() -> None:
    assert read_extra(None) == read_extra("") == read_extra({}) == read_extra("{}") == {}


class TestCredentials:
    def test_api_key_needs_a_password_only(self) -> None:
        assert make(password=KEY).secret == KEY
        with pytest.raises(EspoConfigError, match="password is missing: auth_method api_key"):
            make(password=None)

    def test_a_key_in_the_login_field_is_refused_with_the_right_uri_form(self) -> None:
        # So Airflow reads espo://s3cretkey@crm.example.com.
        with pytest.raises(EspoConfigError, match="espo://:KEY@host") as caught:
            make(host="crm.example.com", login="s3cretkey", password=None)
        assert "s3cretkey" not in str(caught.value)

    @pytest.mark.parametrize("method", ["hmac", "basic", "token"])
    def test_the_other_methods_need_both(self, method: str) -> None:
        config = make({"auth_method": method}, login="someone", password="secret word")
        assert (config.auth_method, config.login, config.secret) == (method, "someone", "secret word")
        with pytest.raises(EspoConfigError, match="password is missing"):
            make({"auth_method": method}, login="someone", password="")
        with pytest.raises(EspoConfigError, match=f"login is missing: auth_method {method}"):
            make({"auth_method": method}, login=" ", password="secret word")
        with pytest.raises(EspoConfigError, match="login and password are missing"):
            make({"auth_method": method}, login=None, password=None)

    def test_keys_lose_the_line_break_pasted_along(self) -> None:
        assert make(password=f" {KEY}\n").secret == KEY
        config = make({"auth_method": "hmac"}, login=f"{KEY}\n", password="seckey\n")
        assert (config.login, config.secret) == (KEY, "seckey")

    def test_a_password_keeps_its_blanks(self) -> None:
        assert make({"auth_method": "basic"}, login="a", password=" p w ").secret == " p w "

    @pytest.mark.parametrize("password", ["two words", "a\r\nX-Evil: 1", "schlüssel"])
    def test_what_cannot_be_an_api_key_is_refused_unseen(self, password: str) -> None:
        with pytest.raises(EspoConfigError, match="password holds characters") as caught:
            make(password=password)
        assert password not in str(caught.value)

    def test_what_cannot_be_an_hmac_key_is_refused(self) -> None:
        with pytest.raises(EspoConfigError, match="login holds characters"):
            make({"auth_method": "hmac"}, login="two words", password="seckey")

    @pytest.mark.parametrize("method", ["basic", "token"])
    def test_a_colon_in_the_user_name_would_shift_the_password(self, method: str) -> None:
        with pytest.raises(EspoConfigError, match="colon"):
            make({"auth_method": method}, login="a:b", password="secret")

    def test_an_unknown_method_names_all_and_the_nearest(self) -> None:
        with pytest.raises(EspoConfigError, match=r"api_key, hmac, basic, token\. Perhaps hmac is meant"):
            make({"auth_method": "hmc"})


class TestContradictions:
    def test_a_ca_that_would_not_be_asked(self) -> None:
        with pytest.raises(EspoConfigError, match="ca_file is given and verify is false"):
            make({"ca_file": "/etc/ssl/ca.pem", "verify": "false"})

    def test_a_client_key_needs_its_certificate(self) -> None:
        with pytest.raises(EspoConfigError, match="client_key is given without client_cert"):
            make({"client_key": "/etc/ssl/me.key"})
        assert make({"client_cert": "/etc/ssl/me.pem"}).client_cert == "/etc/ssl/me.pem"

    @pytest.mark.parametrize("method", ["api_key", "hmac"])
    def test_an_api_user_cannot_act_as_another(self, method: str) -> None:
        with pytest.raises(EspoConfigError, match="use basic or token"):
            make({"auth_method": method, "act_as": "sales"}, login="someone")

    def test_a_user_name_that_no_header_takes(self) -> None:
        with pytest.raises(EspoConfigError, match="act_as holds a character"):
            make({"auth_method": "basic", "act_as": "märz"}, login="admin")

    def test_basic_and_an_authorization_header(self) -> None:
        with pytest.raises(EspoConfigError, match="must not hold Authorization"):
            make({"auth_method": "basic", "headers": {"authorization": "Basic eDp5"}}, login="admin")
        # Before another method it may be for a proxy in front of the CRM.
        assert make({"headers": {"Authorization": "Basic eDp5"}}).headers["Authorization"] == "Basic eDp5"

    @pytest.mark.parametrize("portal_id", ["../admin", "a/b", "a?b", "a b"])
    def test_a_portal_id_that_would_change_the_path(self, portal_id: str) -> None:
        with pytest.raises(EspoConfigError, match="portal_id is not an id"):
            make({"portal_id": portal_id})

    @pytest.mark.parametrize("page_size", [201, 0, -1, "x"])
    def test_a_page_size_the_server_would_refuse(self, page_size: Any) -> None:
        with pytest.raises(EspoConfigError, match="page_size must be a whole number from 1 to 200"):
            make({"page_size": page_size})

    def test_a_user_agent_with_a_line_break(self) -> None:
        with pytest.raises(EspoConfigError, match="user_agent"):
            make(user_agent="a\r\nX-Evil: 1")


def test_api_url_with_and_without_portal() -> None:
    assert make(host="crm.example.com/sub").api_url == "https://crm.example.com/sub/api/v1"
    portal = make({"portal_id": "64a0b1c2d3e4f5a6b"})
    assert portal.api_url == "https://crm.example.com/api/v1/portal-access/64a0b1c2d3e4f5a6b"


def test_no_secret_is_shown_by_repr() -> None:
    config = make(
        {"auth_method": "hmac", "headers": {"X-Gate": "s3cret-h"}, "proxies": "http://u:s3cret-p@proxy:1"},
        login="s3cret-l",
        password="s3cret-s",
    )
    assert "s3cret" not in repr(config)
    assert "s3cret" not in repr(dataclasses.replace(config, timeout=3))
    assert "site_url='https://crm.example.com'" in repr(config)


def test_settings_cannot_be_changed_behind_a_clients_back() -> None:
    config = make()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.verify = False  # type: ignore[misc]


class TestSecrets:
    """What the hook masks covers every form that a log could show."""

    @staticmethod
    def b64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    def test_api_key(self) -> None:
        secrets = secrets_of(make(login="a label"))
        assert {KEY, quote(KEY, safe="")} <= set(secrets)
        assert "a label" not in secrets

    def test_hmac_masks_the_key_and_the_start_of_the_header(self) -> None:
        for key in ("key123", "key1234", "key12345"):
            secrets = secrets_of(make({"auth_method": "hmac"}, login=key, password="secret456"))
            assert {key, "secret456"} <= set(secrets)
            for signature in (b"\x00" * 32, b"\xff" * 32):
                header = base64.b64encode(f"{key}:".encode() + signature).decode()
                masked = max((len(text) for text in secrets if header.startswith(text)), default=0)
                assert masked * 6 >= len(key) * 8

    @pytest.mark.parametrize("method", ["basic", "token"])
    def test_password_methods_mask_the_base64_pair(self, method: str) -> None:
        secrets = secrets_of(make({"auth_method": method}, login="admin", password='pa"ss wörd'))
        assert {'pa"ss wörd', self.b64('admin:pa"ss wörd'), "pa%22ss%20w%C3%B6rd"} <= set(secrets)
        assert json.dumps('pa"ss wörd')[1:-1] in secrets
        assert "admin" not in secrets

    def test_a_login_token_is_masked_alone_and_in_its_header(self) -> None:
        config = make({"auth_method": "token"}, login="admin", password="password")
        assert set(token_secrets(config, "t0ken")) == {"t0ken", self.b64("admin:t0ken")}

    def test_header_values_and_their_credentials_part(self) -> None:
        headers = {"Authorization": "Bearer s3cretA", "X-Token": "s3c", "X-Note": "long enough to hold one"}
        secrets = secrets_of(make({"headers": headers}))
        assert {"Bearer s3cretA", "s3cretA", "s3c", "long enough to hold one"} <= set(secrets)

    def test_short_values_of_harmless_headers_stay_readable_in_logs(self) -> None:
        secrets = secrets_of(make({"headers": {"X-Forwarded-Proto": "https", "X-Stage": "1"}}))
        assert not {"https", "1"} & set(secrets)

    def test_proxy_password_in_every_form(self) -> None:
        secrets = secrets_of(make({"proxies": "http://us%40er:p%2Fw%20d@proxy.example.com:3128"}))
        assert {"p%2Fw%20d", "p/w d", self.b64("us@er:p/w d")} <= set(secrets)
        assert not any("proxy.example.com" in text for text in secrets)

    def test_a_proxy_without_password_adds_nothing(self) -> None:
        assert secrets_of(make({"proxies": "http://proxy.example.com:3128"})) == secrets_of(make())

    def test_longest_first_and_nothing_empty(self) -> None:
        secrets = secrets_of(make({"auth_method": "hmac", "headers": {"X-Key": ""}}, login="key123"))
        assert "" not in secrets
        assert [len(text) for text in secrets] == sorted((len(text) for text in secrets), reverse=True)


class TestFiles:
    def test_files_that_can_be_read_pass(self, tmp_path: Path) -> None:
        pem = tmp_path / "ca.pem"
        pem.write_text("x")
        make({"ca_file": str(pem), "client_cert": str(pem), "client_key": str(pem)}).check_files()
        make().check_files()

    @pytest.mark.parametrize("name", ["ca_file", "client_cert"])
    def test_a_missing_file_is_named_by_its_setting(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(EspoConfigError, match=f"{name} cannot be read on this machine: No such file"):
            make({name: str(tmp_path / "none.pem")}).check_files()


def test_hmac_digest_is_raw_unless_asked_otherwise() -> None:
    assert make().hmac_digest is HmacDigest.RAW
    assert make({"hmac_digest": "HEX"}).hmac_digest is HmacDigest.HEX
    with pytest.raises(EspoConfigError, match="hmac_digest must be one of raw, hex"):
        make({"hmac_digest": "md5"})


def test_reading_settings_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        make({"verfy": 1})
    assert caplog.records == []


def test_the_settings_need_neither_airflow_nor_an_http_library() -> None:
    code = (
        "import sys, airflow_provider_espo.client.config\n"
        "print([m for m in ('airflow', 'requests', 'httpx', 'msgspec', 'pendulum') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
