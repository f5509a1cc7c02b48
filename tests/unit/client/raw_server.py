"""A server on a loopback port that does exactly what a test says, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour: TypeAlias = Callable[[socket.socket, "RawServer"], None]


class RawServer:
    """Accepts connections and lets a behaviour deal with each; the last one deals with all further ones.

    :param tls: TLS context of a server, ``None`` for plain HTTP.
    :param host: loopback address to listen on.
    """

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._behaviours = list(behaviours)
        self._tls = tls
        self._host = host
        self._listener = socket.create_server((host, 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def read_request(self, connection: socket.socket) -> bytes:
        """Read one request with its body; empty at the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        # A blocked accept() does not notice that its socket is closed.
        with contextlib.suppress(OSError), socket.create_connection((self._host, self.port), timeout=5):
            pass
        self._threads[0].join(10)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.closing.is_set():
                connection.close()
                return
            self._open.append(connection)
            self.connections += 1
            self._start(
                self._serve, connection, self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            )

    def _serve(self, connection: socket.socket, behaviour: Behaviour) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            behaviour(connection, self)
            connection.close()


def http(status: str = "200 OK", body: bytes = b"{}", *headers: str) -> bytes:
    """Bytes of an answer."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answers(data: bytes) -> Behaviour:
    """Answer every request of a connection with the same bytes."""

    def behave(connection: socket.socket, server: RawServer) -> None:
        while server.read_request(connection):
            connection.sendall(data)

    return behave


def answers_and_closes(data: bytes) -> Behaviour:
    """Answer one request and close the connection."""

    def behave(connection: socket.socket, server: RawServer) -> None:
        server.read_request(connection)
        connection.sendall(data)

    return behave


def answers_and_is_silent(data: bytes) -> Behaviour:
    """Send these bytes and then nothing, until the test is over."""

    def behave(connection: socket.socket, server: RawServer) -> None:
        server.read_request(connection)
        connection.sendall(data)
        server.closing.wait(30)

    return behave


def resets(connection: socket.socket, server: RawServer) -> None:
    """Take the request and reset the connection."""
    server.read_request(connection)
    _reset(connection)


def resets_at_once(connection: socket.socket, _server: RawServer) -> None:
    """Take the first bytes, whatever they are, and reset the connection."""
    connection.recv(1)
    _reset(connection)


def speaks_http_to_anything(connection: socket.socket, _server: RawServer) -> None:
    """Answer the first bytes, whatever they are, in plain HTTP."""
    connection.recv(65536)
    connection.sendall(http("400 Bad Request"))


def hangs_up_at_once(connection: socket.socket, _server: RawServer) -> None:
    """Take the first bytes, whatever they are, and close the connection in order."""
    connection.recv(65536)
    connection.shutdown(socket.SHUT_RDWR)


def listens_only(_connection: socket.socket, server: RawServer) -> None:
    """Take the connection and do nothing."""
    server.closing.wait(30)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Certificates:
    """A CA of our own with a certificate for 127.0.0.1 and one for a client, as files.

    :param folder: where to put them.
    """

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        self.cert_file = folder / "cert.pem"
        self.key_file = folder / "key.pem"
        self.locked_key_file = folder / "locked.pem"
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca = _certificate("Test CA", "Test CA", ca_key, ca_key, is_ca=True)
        certificate = _certificate("127.0.0.1", "Test CA", key, ca_key, is_ca=False)
        self.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key_file.write_bytes(_pem(key, serialization.NoEncryption()))
        self.locked_key_file.write_bytes(_pem(key, serialization.BestAvailableEncryption(b"secret")))

    def server_context(self, *, asks_for_a_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        if asks_for_a_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca_file)
        return context


def _pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _certificate(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, ca_key: ec.EllipticCurvePrivateKey, *, is_ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if is_ca:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(ca_key, hashes.SHA256())
