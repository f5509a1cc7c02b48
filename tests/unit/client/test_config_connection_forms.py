"""All the ways in which Airflow takes a connection give the same settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import pytest
from airflow.sdk import Connection

from airflow_provider_espo.client.config import ClientConfig

KEY = "k3y/With+odd=chars&more"


def read(connection: Connection) -> ClientConfig:
    """Read a connection as the hook does."""
    return ClientConfig.from_connection(
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=connection.extra,
    )


class TestFormsOfOneConnection:
    EXTRA: Mapping[str, str] = {
        "verify": "false",
        "timeout": "30",
        "requests_per_second": "0.5",
        "headers": '{"X-Gate": "open sesame"}',
        "proxies": '{"https": "http://proxy.example.com:3128"}',
    }

    def expected(self) -> ClientConfig:
        return ClientConfig(
            site_url="https://crm.example.com:8443/sub",
            secret=KEY,
            verify=False,
            timeout=30.0,
            requests_per_second=0.5,
            headers={"X-Gate": "open sesame"},
            proxies={"https": "http://proxy.example.com:3128"},
        )

    @pytest.mark.parametrize(
        "address",
        [
            "https://:{key}@crm.example.com:8443/sub",
            "https://:{key}@crm.example.com:8443/sub/",
            ":{key}@crm.example.com:8443/sub",
            ":{key}@https%3A%2F%2Fcrm.example.com%3A8443%2Fsub/",
            ":{key}@crm.example.com%3A8443%2Fsub/",
            "https://:{key}@crm.example.com:8443/sub%2Fapi%2Fv1",
            "https://:{key}@crm.example.com:8443/sub/api/v1",
        ],
    )
    def test_connection_uri(self, address: str) -> None:
        uri = f"espo://{address.format(key=quote(KEY, safe=''))}?{urlencode(self.EXTRA)}"
        connection = Connection.from_uri(uri, conn_id="crm")
        assert connection.conn_type == "espo"
        assert read(connection) == self.expected()

    def test_connection_uri_with_the_whole_extra_as_json(self) -> None:
        extra = urlencode({"__extra__": json.dumps(dict(self.EXTRA))})
        uri = f"espo://https://:{quote(KEY, safe='')}@crm.example.com:8443/sub?{extra}"
        assert read(Connection.from_uri(uri, conn_id="crm")) == self.expected()

    @pytest.mark.parametrize("extra_as_text", [False, True])
    def test_json(self, extra_as_text: bool) -> None:
        extra = dict(self.EXTRA)
        value = {
            "conn_type": "espo",
            "host": "https://crm.example.com:8443/sub",
            "password": KEY,
            "extra": json.dumps(extra) if extra_as_text else extra,
        }
        assert read(Connection.from_json(json.dumps(value), conn_id="crm")) == self.expected()

    def test_single_fields_with_typed_extra(self) -> None:
        extra = {
            "verify": False,
            "timeout": 30,
            "requests_per_second": 0.5,
            "headers": {"X-Gate": "open sesame"},
            "proxies": {"https": "http://proxy.example.com:3128"},
        }
        connection = Connection(
            conn_id="crm",
            conn_type="espo",
            host="crm.example.com/sub",
            schema="https",
            port=8443,
            password=KEY,
            extra=json.dumps(extra),
        )
        assert read(connection) == self.expected()

    def test_environment_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        uri = f"espo://https://:{quote(KEY, safe='')}@crm.example.com:8443/sub?{urlencode(self.EXTRA)}"
        monkeypatch.setenv("AIRFLOW_CONN_CRM_FROM_ENV", uri)
        assert read(Connection.get("crm_from_env")) == self.expected()

    def test_a_connection_that_went_through_airflows_uri_form_is_the_same(self) -> None:
        for host, port in [
            ("https://crm.example.com:8443/sub", None),
            ("crm.example.com/sub", 8443),
            ("http://[::1]:8090", None),
            ("http://[::1]/crm", 8090),
        ]:
            connection = Connection(
                conn_id="crm",
                conn_type="espo",
                host=host,
                port=port,
                password=KEY,
                extra=json.dumps(dict(self.EXTRA)),
            )
            again = Connection.from_uri(connection.get_uri(), conn_id="crm")
            assert read(again) == read(connection)

    def test_core_connections_of_the_api_server_are_read_the_same(self) -> None:
        # The API server and the command line use Airflow's database model, which parses a URI by itself
        # and turns values such as "30" and "false" into numbers and booleans.
        from airflow.models.connection import Connection as CoreConnection

        uri = f"espo://https://:{quote(KEY, safe='')}@crm.example.com:8443/sub?{urlencode(self.EXTRA)}"
        core = CoreConnection(conn_id="crm", uri=uri)
        config = ClientConfig.from_connection(
            host=core.host,
            schema=core.schema,
            port=core.port,
            login=core.login,
            password=core.password,
            extra=core.extra,
        )
        assert config == self.expected()
