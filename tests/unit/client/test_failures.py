"""What goes wrong on real sockets is the same error through both transports."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpcore
import httpx
import pytest
import requests
import urllib3.exceptions

from airflow_provider_espo.client import failures
from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoConnectionError,
    EspoError,
    EspoTimeoutError,
    EspoTLSError,
    EspoTransportError,
)
from airflow_provider_espo.client.wire import Operation, build_request, expect_object
from tests.unit.client.raw_server import (
    Behaviour,
    Certificates,
    RawServer,
    answers,
    answers_and_closes,
    answers_and_is_silent,
    hangs_up_at_once,
    http,
    listens_only,
    resets,
    resets_at_once,
    speaks_http_to_anything,
)
from tests.unit.client.transports import Transport

GET = build_request("GET", "Lead")
POST = build_request("POST", "Lead", json={"lastName": "x"})


def config(url: str, **changes: Any) -> ClientConfig:
    return replace(ClientConfig(site_url=url, secret="key", max_retries=0, timeout=5, connect_timeout=5), **changes)


def failure(transport: Transport, settings: ClientConfig) -> Any:
    """Error of a create, with all that matters about it checked to be of the general kind."""
    with pytest.raises(EspoError) as caught:
        transport.send(settings, POST)
    assert (caught.value.method, caught.value.path) == ("POST", "Lead")
    return caught.value


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def free_port() -> Iterator[int]:
    # Bound and not listening: nobody else can get it, and a connection to it is refused.
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_connection_refused(transport: Transport, free_port: int) -> None:
    error = failure(transport, config(f"http://127.0.0.1:{free_port}"))
    assert type(error) is EspoConnectionError
    assert not error.outcome_unknown
    assert "connection refused" in str(error)


def test_unknown_host(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(transport, config("http://crm.invalid"))
    assert type(error) is EspoConnectionError
    assert not error.outcome_unknown
    assert "the host name is not known" in str(error)


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "xn--a.example.com"])
def test_a_host_name_that_cannot_be_looked_up(transport: Transport, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(transport, config(f"http://{host}"))
    assert type(error) is EspoConnectionError
    assert not error.outcome_unknown


def test_no_connection_in_time(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_args: object, **_kwargs: object) -> None:
        raise TimeoutError("timed out")

    async def too_late_on_the_loop(*_args: object, **_kwargs: object) -> None:
        raise httpcore.ConnectTimeout

    monkeypatch.setattr("urllib3.util.connection.create_connection", too_late)
    monkeypatch.setattr("httpcore._backends.auto.AutoBackend.connect_tcp", too_late_on_the_loop)
    error = failure(transport, config("http://127.0.0.1:9"))
    assert type(error) is EspoTimeoutError
    assert not error.outcome_unknown
    assert "connect_timeout" in str(error)


@pytest.mark.parametrize(
    "behaviour",
    [
        answers_and_is_silent(b""),
        answers_and_is_silent(b"HTTP/1.1 200 OK\r\nContent-"),
        answers_and_is_silent(http(body=b"{}" * 50)[:-20]),
    ],
    ids=["nothing", "half a header", "half a body"],
)
def test_no_answer_in_time(transport: Transport, behaviour: Behaviour) -> None:
    with RawServer(behaviour) as server:
        error = failure(transport, config(server.url, timeout=0.05))
    assert type(error) is EspoTimeoutError
    assert error.outcome_unknown
    assert "No answer within timeout" in str(error)
    assert len(server.requests) == 1


CUT: dict[str, Behaviour] = {
    "reset": resets,
    "closed without an answer": answers_and_closes(b""),
    "half a body": answers_and_closes(http(body=b"{}" * 50)[:-20]),
    "half a chunk": answers_and_closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{}"),
    "bad chunk": answers_and_closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "no HTTP": answers_and_closes(b"220 mail.example.com ESMTP\r\n"),
}


@pytest.mark.parametrize("cut", CUT)
def test_a_connection_that_breaks_after_the_request_leaves_the_outcome_open(transport: Transport, cut: str) -> None:
    with RawServer(CUT[cut]) as server:
        error = failure(transport, config(server.url))
    assert type(error) is EspoConnectionError
    assert error.outcome_unknown
    assert "broke before the answer was complete" in str(error)
    assert len(server.requests) == 1


def test_an_answer_cut_off_in_its_header_is_not_taken_for_one(transport: Transport) -> None:
    # The standard library takes it for an answer without a body; then it is no JSON object.
    def create() -> Operation[Any]:
        return expect_object(POST, (yield POST))

    server = RawServer(answers_and_closes(b"HTTP/1.1 200 OK\r\nContent-"))
    with server, pytest.raises(EspoTransportError) as caught:
        transport.do(config(server.url), create())
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(("request_", "unknown"), [(GET, False), (POST, True)], ids=["GET", "POST"])
def test_a_body_that_cannot_be_decompressed(transport: Transport, request_: Any, unknown: bool) -> None:
    body = gzip.compress(b"{}")[:8] + b"junkjunkjunk"
    server = RawServer(answers(http("200 OK", body, "Content-Encoding: gzip")))
    with server, pytest.raises(EspoBadAnswerError, match="compression") as caught:
        transport.send(config(server.url), request_)
    assert caught.value.outcome_unknown is unknown


def test_compressed_answers_are_read(transport: Transport) -> None:
    with RawServer(answers(http("200 OK", gzip.compress(b'{"total": 3}'), "Content-Encoding: gzip"))) as server:
        assert transport.send(config(server.url), GET).json() == {"total": 3}
    assert b"gzip" in server.requests[0].lower()


# -- TLS --------------------


def test_a_certificate_that_nobody_trusts(transport: Transport, certificates: Certificates) -> None:
    with RawServer(answers(http()), tls=certificates.server_context()) as server:
        error = failure(transport, config(server.url))
    assert type(error) is EspoTLSError
    assert not error.outcome_unknown
    assert "not trusted" in str(error)
    assert "ca_file" in str(error)
    assert server.requests == []


def test_a_certificate_for_another_host(transport: Transport, certificates: Certificates) -> None:
    with RawServer(answers(http()), tls=certificates.server_context(), host="127.0.0.2") as server:
        error = failure(transport, config(server.url, ca_file=str(certificates.ca_file)))
    assert type(error) is EspoTLSError
    assert "not trusted" in str(error)
    assert server.requests == []


def test_a_plain_server_behind_an_https_address(transport: Transport) -> None:
    with RawServer(speaks_http_to_anything) as server:
        error = failure(transport, config(server.url.replace("http", "https")))
    assert type(error) is EspoTLSError
    assert not error.outcome_unknown
    assert "http://" in str(error)


def test_a_server_that_asks_for_a_certificate_refuses_one_who_has_none(
    transport: Transport, certificates: Certificates
) -> None:
    context = certificates.server_context(asks_for_a_certificate=True)
    with RawServer(answers(http()), tls=context) as server:
        error = failure(transport, config(server.url, ca_file=str(certificates.ca_file)))
    assert isinstance(error, EspoConnectionError)
    assert server.requests == []


@pytest.mark.parametrize("behaviour", [resets_at_once, hangs_up_at_once])
def test_a_handshake_that_breaks_off_sent_nothing(transport: Transport, behaviour: Behaviour) -> None:
    with RawServer(behaviour) as server:
        error = failure(transport, config(server.url.replace("http", "https")))
    assert type(error) is EspoConnectionError
    assert not error.outcome_unknown


def test_a_handshake_that_takes_too_long_sent_nothing(transport: Transport) -> None:
    with RawServer(listens_only) as server:
        error = failure(transport, config(server.url.replace("http", "https"), connect_timeout=0.05))
    assert type(error) is EspoTimeoutError
    assert not error.outcome_unknown


# -- proxies --------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(transport: Transport, free_port: int, scheme: str) -> None:
    proxies = {"all": f"http://user:MARKER@127.0.0.1:{free_port}"}
    error = failure(transport, config(f"{scheme}://crm.example.com", proxies=proxies))
    assert type(error) is EspoConnectionError
    assert not error.outcome_unknown
    assert "MARKER" not in str(error)


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_a_proxy_that_refuses_the_tunnel(transport: Transport, status: str) -> None:
    with RawServer(answers_and_closes(http(status, b""))) as proxy:
        proxies = {"https": f"http://user:MARKER@127.0.0.1:{proxy.port}"}
        error = failure(transport, config("https://crm.example.com", proxies=proxies))
    assert proxy.requests[0].startswith(b"CONNECT crm.example.com:443")
    assert type(error) is EspoConnectionError
    assert not error.outcome_unknown
    assert f"The proxy refused with status {status[:3]}" in str(error)
    assert "MARKER" not in str(error)


def test_a_proxy_that_asks_who_we_are_on_plain_http(transport: Transport) -> None:
    with RawServer(answers(http("407 Proxy Authentication Required", b"<html>who?</html>"))) as proxy:
        error = failure(transport, config("http://crm.example.com", proxies={"http": f"http://127.0.0.1:{proxy.port}"}))
    assert error.status == 407
    assert "proxies" in str(error)


def test_a_proxy_that_is_silent_while_the_tunnel_is_made(transport: Transport) -> None:
    with RawServer(listens_only) as proxy:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        settings = config("https://crm.example.com", proxies=proxies, connect_timeout=0.05, timeout=0.1)
        error = failure(transport, settings)
    assert type(error) is EspoTimeoutError


# -- the words --------------------


def test_the_libraries_own_texts_are_not_repeated() -> None:
    url = "https://crm.example.com/api/v1/Lead?searchParams=MARKER"
    causes: list[BaseException] = [
        requests.ConnectionError(url),
        requests.ConnectionError(urllib3.exceptions.ProtocolError(url, ConnectionResetError(104, url))),
        httpx.ReadError(url),
        ssl.SSLError(1, url),
        OSError(url),
        OSError(99999, url),
    ]
    for cause in causes:
        for make in (failures.no_connection, failures.no_proxy, failures.broken):
            error = make(cause)
            assert "MARKER" not in str(error) + repr(error.__dict__)


def test_openssls_numbers_are_not_taken_for_the_systems() -> None:
    error = failures.broken(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
    assert "TLS was cut off" in str(error)
    assert "broke before the answer was complete: connection reset by peer" in str(failures.broken(OSError(104, "x")))


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = OSError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first
    assert "broke" in str(failures.broken(first))


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("WRONG_VERSION_NUMBER", EspoTLSError),
        ("TLSV1_ALERT_PROTOCOL_VERSION", EspoTLSError),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", EspoTLSError),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", EspoTLSError),
        ("UNEXPECTED_EOF_WHILE_READING", EspoConnectionError),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", EspoConnectionError),
    ],
)
def test_tls_that_was_refused_is_told_from_tls_that_broke(reason: str, kind: type[EspoError]) -> None:
    cause = ssl.SSLError(1, "x")
    cause.reason = reason
    error = failures.broken(cause)
    assert type(error) is kind
    assert error.outcome_unknown is (kind is EspoConnectionError)
