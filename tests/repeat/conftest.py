"""One sandbox, a process of its own, for all tests of a test process; and the table at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_espo.client.state import forget_shared_states
from tests.repeat.crm import Crm
from tests.repeat.harness import Stage
from tests.repeat.report import PROPERTY, lines


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Keys and passwords of a sandbox whose background jobs are done at once."""
    file = tmp_path_factory.mktemp("sandbox") / "credentials.json"
    command = [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", "0", "--job-delay", "0"]
    with subprocess.Popen([*command, "--credentials-file", str(file)], stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout is not None
        assert sandbox.stdout.readline(), "the sandbox did not start"
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        yield found
        sandbox.terminate()


@pytest.fixture(autouse=True)
def _connected(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the tests that play something have the connections, and no others."""
    if "stage" in request.fixturenames:
        for name, value in request.getfixturevalue("connections").items():
            monkeypatch.setenv(name, value)
    yield
    forget_shared_states()


@pytest.fixture(scope="session")
def stage(credentials: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Where scenarios are played."""
    crm = Crm(credentials)
    yield Stage(crm, tmp_path_factory.mktemp("runs"))
    crm.close()


@pytest.fixture(scope="session")
def connections(credentials: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The connections ``espo_default`` of an API user, ``espo_admin`` and one to a database, as Airflow reads them."""
    host = {"conn_type": "espo", "host": credentials["base_url"]}
    admin = {
        "login": credentials["admin_user"],
        "password": credentials["admin_password"],
        "extra": {"auth_method": "basic"},
    }
    return {
        "AIRFLOW_CONN_ESPO_DEFAULT": json.dumps({**host, "password": credentials["api_key"]}),
        "AIRFLOW_CONN_ESPO_ADMIN": json.dumps({**host, **admin}),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps(
            {"conn_type": "sqlite", "host": str(tmp_path_factory.mktemp("warehouse") / "warehouse.db")}
        ),
    }


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was killed where, and what came of it."""
    found = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and getattr(report, "when", "") == "call"
    ]
    if found:
        terminalreporter.section("killed and tried again")
        for line in lines(found):
            terminalreporter.write_line(line)
