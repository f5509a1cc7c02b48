from __future__ import annotations

import pytest

from tests.unit.client.transports import Transport

_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no CA file in the environment, whatever machine the tests run on."""
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.fixture(params=["sync", "aio"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, bare_environment: None) -> Transport:
    """Each of the two transports in turn."""
    return Transport(request.param, monkeypatch)
