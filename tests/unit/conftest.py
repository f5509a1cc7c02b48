"""For all unit tests: nothing remembered between tests, no network but loopback, connections by the environment."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_espo.client.state import forget_shared_states
from tests.unit.crm import API_KEY, Crm, answering
from tests.unit.sandbox_crm import SandboxCrm

ConnectionSetter = Callable[..., str]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_shared_states()
    yield
    forget_shared_states()


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would go out fails at once, and the same on every machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_on_loopback(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"A test went out to {address[0]}")
        connect(self, address)

    def look_up_loopback(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in (None, "", "localhost") and not _is_loopback(name):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect_on_loopback)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_loopback)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> ConnectionSetter:
    """Set an Airflow connection, by default the one to the CRM of the ``crm`` fixture; returns its id."""

    def set_connection(conn_id: str = "espo_default", uri: str | None = None, **fields: Any) -> str:
        value = uri or json.dumps({"conn_type": "espo", "host": Crm.url, "password": API_KEY, **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)
        return conn_id

    return set_connection


@pytest.fixture
def crm(connect: ConnectionSetter) -> Iterator[Crm]:
    """A CRM that answers as it is told to, whichever HTTP library asks, and the connection to it."""
    connect()
    with answering(Crm()) as one:
        yield one


@pytest.fixture
def sandbox_crm(connect: ConnectionSetter) -> Iterator[SandboxCrm]:
    """A CRM that answers as the sandbox does, and the connection to it."""
    one = SandboxCrm()
    connect(password=one.credentials["api_key"])
    with answering(one):
        yield one
    one.sandbox.close()
