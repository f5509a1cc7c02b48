"""What a server really gets, and whom a connection trusts: the same through both transports."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from airflow_provider_espo.client.auth import hmac_header
from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.errors import EspoConfigError, EspoTLSError
from airflow_provider_espo.client.wire import build_request, free_path
from tests.unit.client.raw_server import Certificates, RawServer, answers, http
from tests.unit.client.transports import Transport, ask, reply

GET = build_request("GET", "Lead")


def config(url: str, **changes: Any) -> ClientConfig:
    return replace(ClientConfig(site_url=url, secret="key", max_retries=0, timeout=5, connect_timeout=5), **changes)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def head(request: bytes) -> tuple[str, dict[str, str]]:
    """Target and headers of a request as it came."""
    first, *lines = request.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    return first.split(" ")[1], dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize(
    "path",
    [
        "Lead",
        "Contact/no such id",
        "Tag/Grüße/日本",
        "Tag/a:b@c+d=e,f;g",
        "Tag/~._-",
        "Tag/100%25",
        "Tag/(a)!'*$&",
        "Tag/[1]",
    ],
)
def test_the_path_is_sent_to_the_letter_as_it_was_signed(transport: Transport, path: str) -> None:
    with RawServer(answers(http())) as server:
        settings = config(f"{server.url}/sub/path", auth_method=AuthMethod.HMAC, login="apikey", secret="secret")
        transport.send(settings, build_request("GET", free_path(path), query=(("q", "a/b c"),)))
    target, headers = head(server.requests[0])
    sent = target.partition("?")[0].removeprefix("/sub/path/api/v1/")
    received = {name.lower(): value for name, value in headers.items()}
    assert received["x-hmac-authorization"] == hmac_header("apikey", "secret", "GET", sent)
    assert sent == free_path(path)


@pytest.mark.parametrize("site_path", ["/a%20b", "/crm", "/gr%C3%BC%C3%9Fe", "/~user", ""])
def test_a_sub_path_is_sent_as_configured(transport: Transport, site_path: str) -> None:
    with RawServer(answers(http())) as server:
        transport.send(config(server.url + site_path), GET)
    assert head(server.requests[0])[0] == f"{site_path}/api/v1/Lead"


def test_the_query_arrives_as_it_was_given(transport: Transport) -> None:
    pairs = (("searchParams", '{"where":[{"value":"ü + % & = # ?/é"}]}'), ("empty", ""), ("twice", "1"), ("twice", "2"))
    with RawServer(answers(http())) as server:
        transport.send(config(server.url), build_request("GET", "Lead", query=pairs))
    query = head(server.requests[0])[0].partition("?")[2]
    assert tuple(parse_qsl(query, keep_blank_values=True)) == pairs


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_body_goes_with_every_method(transport: Transport, method: str) -> None:
    with RawServer(answers(http())) as server:
        transport.send(config(server.url), build_request(method, "Lead/1/teams", json={"ids": ["é"]}))
        transport.send(config(server.url), build_request(method, "Lead/1/teams"))
    assert server.requests[0].startswith(f"{method} /api/v1/Lead/1/teams HTTP/1.1\r\n".encode())
    assert server.requests[0].endswith('\r\n\r\n{"ids":["é"]}'.encode())
    assert b"content-type: application/json" in server.requests[0].lower()
    assert server.requests[1].endswith(b"\r\n\r\n")


def test_requests_one_after_the_other_use_one_connection(transport: Transport) -> None:
    with RawServer(answers(http())) as server:
        transport.send(config(server.url), GET, GET, GET)
    assert len(server.requests) == 3
    assert server.connections == 1


def test_cookies_are_not_kept(transport: Transport) -> None:
    with RawServer(answers(http("200 OK", b"{}", "Set-Cookie: auth-token=abc; path=/"))) as server:
        transport.send(config(server.url), GET, GET)
    assert len(server.requests) == 2
    assert b"abc" not in server.requests[1]


def test_an_ipv6_site_keeps_its_brackets_and_port(transport: Transport) -> None:
    wire = transport.wire(config("http://[::1]:8090/crm"), reply(json={}))
    transport.run(wire, ask(GET))
    assert wire.sent[0].url == "http://[::1]:8090/crm/api/v1/Lead"


# -- whom to trust --------------------


def test_ca_file_is_trusted_whatever_the_environment_names(
    transport: Transport, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Certificates(tmp_path)
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(other.ca_file))
    with RawServer(answers(http()), tls=certificates.server_context()) as server:
        assert transport.send(config(server.url, ca_file=str(certificates.ca_file)), GET).status == 200


def test_ca_file_is_trusted_alone(
    transport: Transport, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca_file))
    other = Certificates(tmp_path)
    server = RawServer(answers(http()), tls=certificates.server_context())
    with server, pytest.raises(EspoTLSError):
        transport.send(config(server.url, ca_file=str(other.ca_file)), GET)
    assert server.requests == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_without_ca_file_the_environments_bundle_holds(
    transport: Transport, certificates: Certificates, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificates.ca_file))
    with RawServer(answers(http()), tls=certificates.server_context()) as server:
        assert transport.send(config(server.url), GET).status == 200


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verify_off_trusts_everybody_whatever_the_environment_names(
    transport: Transport, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Certificates(tmp_path).ca_file))
    with RawServer(answers(http()), tls=certificates.server_context(), host="127.0.0.2") as server:
        assert transport.send(config(server.url, verify=False), GET).status == 200


@pytest.mark.parametrize("with_key", [True, False], ids=["two files", "one file"])
def test_the_clients_certificate_is_shown(
    transport: Transport, certificates: Certificates, tmp_path: Path, with_key: bool
) -> None:
    own: dict[str, Any] = {"client_cert": str(certificates.cert_file), "client_key": str(certificates.key_file)}
    if not with_key:
        both = tmp_path / "both.pem"
        both.write_bytes(certificates.cert_file.read_bytes() + certificates.key_file.read_bytes())
        own = {"client_cert": str(both)}
    with RawServer(answers(http()), tls=certificates.server_context(asks_for_a_certificate=True)) as server:
        settings = config(server.url, ca_file=str(certificates.ca_file), **own)
        assert transport.send(settings, GET).status == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ca_file": "missing"}, "CA certificates"),
        ({"ca_file": "junk"}, "CA certificates"),
        ({"client_cert": "missing"}, "client_cert"),
        ({"client_cert": "junk"}, "client_cert"),
        ({"client_cert": "cert", "client_key": "missing"}, "client_cert or client_key"),
        ({"client_cert": "cert", "client_key": "junk"}, "client_cert or client_key"),
        ({"client_cert": "cert", "client_key": "locked"}, "must not be encrypted"),
        ({"client_cert": "cert", "client_key": "foreign"}, "belong together"),
    ],
)
def test_a_file_that_is_no_certificate_is_a_wrong_setting_and_nothing_is_sent(
    transport: Transport, certificates: Certificates, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    (tmp_path / "junk").write_text("no certificate")
    files = {
        "missing": tmp_path / "missing",
        "junk": tmp_path / "junk",
        "cert": certificates.cert_file,
        "locked": certificates.locked_key_file,
        "foreign": Certificates(tmp_path).key_file,
    }
    settings = config("https://127.0.0.1:9", **{name: str(files[file]) for name, file in changes.items()})
    with pytest.raises(EspoConfigError, match=message) as caught:
        transport.send(settings, GET)
    assert str(tmp_path) not in str(caught.value)


def test_an_environments_bundle_that_is_not_there_is_named_by_its_variable(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing"))
    with pytest.raises(EspoConfigError, match="REQUESTS_CA_BUNDLE"):
        transport.send(config("https://127.0.0.1:9"), GET)


# -- proxies --------------------


def went_through(proxy: RawServer) -> bool:
    return [head(request)[0] for request in proxy.requests] == ["http://crm.example.com/api/v1/Lead"]


@pytest.mark.parametrize("key", ["http", "all"])
def test_the_connections_proxy_is_used_whatever_the_environment_says(
    transport: Transport, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "crm.example.com")
    with RawServer(answers(http())) as proxy:
        settings = config("http://crm.example.com", proxies={key: f"http://user:p%40ss@127.0.0.1:{proxy.port}"})
        assert transport.send(settings, GET).status == 200
    assert went_through(proxy)
    assert b"proxy-authorization: basic dxnlcjpwqhnz" in proxy.requests[0].lower()


def test_a_proxy_for_https_is_not_used_for_http(transport: Transport) -> None:
    with RawServer(answers(http())) as server, RawServer(answers(http())) as proxy:
        transport.send(config(server.url, proxies={"https": proxy.url}), GET)
    assert proxy.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("prefix", ["http://", ""])
def test_without_one_the_environments_proxy_is_used(
    transport: Transport, variable: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answers(http())) as proxy:
        monkeypatch.setenv(variable, f"{prefix}127.0.0.1:{proxy.port}")
        assert transport.send(config("http://crm.example.com"), GET).status == 200
    assert went_through(proxy)


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "localhost, 127.0.0.0/8", "*", "127.0.0.1:{port}"])
def test_what_no_proxy_names_is_reached_directly(
    transport: Transport, no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answers(http())) as server, RawServer(answers(http())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", no_proxy.format(port=server.port))
        transport.send(config(server.url), GET)
    assert proxy.requests == []
    assert len(server.requests) == 1


def test_https_goes_through_a_tunnel_and_is_checked_at_its_end(
    transport: Transport, certificates: Certificates
) -> None:
    """The proxy sees where we go and nothing of what we say."""

    def tunnel(connection: socket.socket, proxy: RawServer) -> None:
        proxy.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tls = certificates.server_context().wrap_socket(connection, server_side=True)
        inner.append(proxy.read_request(tls))
        tls.sendall(http())
        tls.close()

    inner: list[bytes] = []
    with RawServer(tunnel) as proxy:
        settings = config(
            "https://localhost", ca_file=str(certificates.ca_file), proxies={"https": f"http://127.0.0.1:{proxy.port}"}
        )
        assert transport.send(settings, GET).status == 200
    assert head(proxy.requests[0])[0] == "localhost:443"
    assert b"key" not in proxy.requests[0]
    assert head(inner[0])[0] == "/api/v1/Lead"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:port", "http://", "http://[::1"])
def test_an_environments_proxy_that_cannot_be_used_is_a_clear_error(
    transport: Transport, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(EspoConfigError, match="all_proxy"):
        transport.send(config("http://crm.example.com"), GET)
