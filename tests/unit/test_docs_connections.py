"""The page on connections says what is so: its examples are read, its tables compared, its messages made."""

from __future__ import annotations

import json
import re
import shlex
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from airflow.cli.cli_parser import get_parser
from airflow.sdk import Connection

from airflow_provider_espo.client import failures
from airflow_provider_espo.client.answers import error_from
from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.errors import EspoConfigError, EspoError
from airflow_provider_espo.client.wire import Response, build_request
from airflow_provider_espo.connection_form import FORM_FIELDS, ui_field_behaviour

PAGE = (Path(__file__).parents[2] / "docs" / "connections.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def commands(start: str) -> list[list[str]]:
    lines = [line for text in blocks("bash") for line in text.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(start)]


def rows(title: str) -> list[list[str]]:
    """Cells of the table whose title row begins like this."""
    table = PAGE.split(f"\n| {title} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def read(connection: Connection) -> ClientConfig:
    assert connection.conn_type == "espo"
    return ClientConfig.from_connection(
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=connection.extra,
    )


def from_command(arguments: list[str]) -> ClientConfig:
    """Read what Airflow's command line makes of ``airflow connections add``."""
    parsed: Any = get_parser().parse_args(arguments[1:])
    if parsed.conn_uri:
        return read(Connection.from_uri(parsed.conn_uri, conn_id=parsed.conn_id))
    if parsed.conn_json:
        return read(Connection.from_json(parsed.conn_json, conn_id=parsed.conn_id))
    return read(
        Connection(
            conn_id=parsed.conn_id,
            conn_type=parsed.conn_type,
            host=parsed.conn_host,
            login=parsed.conn_login,
            password=parsed.conn_password,
            schema=parsed.conn_schema,
            port=parsed.conn_port and int(parsed.conn_port),
            extra=parsed.conn_extra,
        )
    )


EXPECTED = ClientConfig(site_url="https://crm.example.com:8443/sub", secret="9f8e7d6c5b4a", verify=False, timeout=30.0)


class TestExamples:
    def test_the_shortest_one(self) -> None:
        first, *_ = commands("airflow connections add")
        assert from_command(first) == ClientConfig(site_url="https://crm.example.com", secret="9f8e7d6c5b4a")

    def test_all_ways_to_write_it_are_the_same(self) -> None:
        uris = blocks("")[0].split()
        found = [read(Connection.from_uri(uri, conn_id="crm")) for uri in uris]
        found.append(read(Connection.from_json(blocks("json")[0], conn_id="crm")))
        found += [from_command(command) for command in commands("airflow connections add")[1:]]
        assert len(found) == 7
        assert found == [EXPECTED] * len(found)

    def test_environment_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exports = [command[1].split("=", 1) for command in commands("export AIRFLOW_CONN_")]
        assert len(exports) == 2
        for name, value in exports:
            monkeypatch.setenv(name, value)
            assert read(Connection.get(name.removeprefix("AIRFLOW_CONN_").lower())) == EXPECTED

    def test_the_other_methods(self) -> None:
        hmac, token = [read(Connection.from_uri(uri, conn_id="crm")) for uri in blocks("")[1].split()]
        assert (hmac.auth_method, hmac.login, hmac.secret) == (AuthMethod.HMAC, "0a1b2c3d", "5e6f7a8b")
        assert (token.auth_method, token.login, token.secret) == (AuthMethod.TOKEN, "admin", "s3cret@word")
        basic = read(Connection.from_json(blocks("json")[1], conn_id="crm"))
        assert (basic.auth_method, basic.secret, basic.act_as) == (AuthMethod.BASIC, "s3cret@word", "sales")
        assert set(basic.headers) == {"CF-Access-Client-Id", "CF-Access-Client-Secret"}
        assert basic.proxies == {"https": "http://proxy.example.com:3128"}

    def test_every_example_is_one_of_these(self) -> None:
        assert [name for name, _ in BLOCKS].count("") == 2
        assert [name for name, _ in BLOCKS].count("json") == 2
        assert {name for name, _ in BLOCKS} == {"", "bash", "json"}

    def test_airflow_knows_the_other_commands(self) -> None:
        for command in [*commands("airflow connections test"), *commands("airflow pools")]:
            assert get_parser().parse_args(command[1:]).func

    def test_the_switch_of_the_test_button_is_airflows(self) -> None:
        from airflow.configuration import conf

        ((_, setting),) = commands("export AIRFLOW__")
        assert setting == "AIRFLOW__CORE__TEST_CONNECTION=Enabled"
        assert conf.get_default_value("core", "test_connection") == "Disabled"


class TestTables:
    def test_extras_with_label_and_default_are_those_of_the_form(self) -> None:
        documented = [(name.strip("`"), label, default.strip("`")) for name, label, default, _ in rows("extra")]
        form = [
            (field.name, field.label, "" if field.default is None else json.dumps(field.default).strip('"'))
            for field in FORM_FIELDS
        ]
        assert documented == [(name, label, default.removesuffix(".0")) for name, label, default in form]

    def test_standard_fields_have_the_labels_of_the_form(self) -> None:
        text = " ".join(row[0] for row in rows("standard field"))
        for name, label in ui_field_behaviour()["relabeling"].items():
            assert label.split(" (if not")[0] in text
            assert f"`{name}`" in text

    def test_methods_need_what_the_table_says(self) -> None:
        needs = {
            method.strip("`"): (login, password)
            for method, login, password, _ in rows("`auth_method` | login | password")
        }
        assert set(needs) == set(AuthMethod)
        for method, (login, _) in needs.items():
            extra = {"auth_method": method}
            if login == "empty":
                ClientConfig.from_connection(host="crm", password="k3y", extra=extra)
            else:
                with pytest.raises(EspoConfigError, match="login is missing"):
                    ClientConfig.from_connection(host="crm", password="k3y", extra=extra)


def config_error(**fields: Any) -> EspoError:
    with pytest.raises(EspoConfigError) as caught:
        ClientConfig.from_connection(**fields)
    return caught.value


def answer(status: int, *, content: bytes = b"", method: AuthMethod = AuthMethod.API_KEY, **headers: str) -> EspoError:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    error = error_from(build_request("GET", "App/user"), Response(status, names, content), method)
    assert error is not None
    return error


def raised() -> list[EspoError]:
    """The errors that the messages in the page are about, made in the way the client makes them."""
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "unable to get local issuer certificate"
    no_tls = ssl.SSLError(1, "wrong version number")
    no_tls.reason = "WRONG_VERSION_NUMBER"
    return [
        config_error(host="", password="k3y"),
        config_error(host="crm.example.com"),
        failures.no_connection(socket.gaierror(socket.EAI_NONAME, "not known")),
        failures.no_connection_in_time(),
        failures.no_answer_in_time(),
        failures.no_connection(untrusted),
        failures.no_connection(no_tls),
        answer(200, content=b"<!DOCTYPE html><html></html>", content_type="text/html"),
        *(answer(401, method=method) for method in AuthMethod),
        answer(401, x_status_reason="second-step-required"),
        answer(403),
        answer(503, x_status_reason="Application is in maintenance mode."),
        answer(429),
    ]


def test_the_messages_are_those_that_the_client_gives_in_this_order() -> None:
    documented = [row[0].strip("`") for row in rows("message")]
    messages = [error.message.split(" (unable")[0] for error in raised()]
    assert documented == messages
