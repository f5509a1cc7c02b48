"""Pytest fixtures for your own DAG tests: an EspoCRM on your machine, and an Airflow connection to it.

They come with the package, there is nothing to import::

    def test_my_dag(espo_sandbox):
        espo_sandbox.hook.create_record("Lead", {"lastName": "Nowak"})
        my_dag.test()
        assert espo_sandbox.hook.count_records("Lead") == 1

A test run that uses none of them imports neither Airflow nor the sandbox for this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.sandbox.server import SandboxServer

CONN_ID = "espo_default"


class EspoSandbox:
    """A running sandbox and the connection to it.

    :param server: the sandbox.
    :param conn_id: id of the Airflow connection.
    """

    def __init__(self, server: SandboxServer, conn_id: str = CONN_ID) -> None:
        self.server = server
        self.conn_id = conn_id

    @property
    def url(self) -> str:
        """Site URL of the sandbox."""
        return self.server.url

    @property
    def credentials(self) -> dict[str, Any]:
        """Users, keys and passwords of the sandbox."""
        return dict(self.server.credentials)

    @property
    def connection(self) -> str:
        """The Airflow connection in Airflow's JSON form, with the API key of a user who may do all but administer."""
        return json.dumps({"conn_type": "espo", "host": self.url, "password": self.credentials["api_key"]})

    @property
    def admin_connection(self) -> str:
        """The same as the sandbox's administrator."""
        return json.dumps(
            {
                "conn_type": "espo",
                "host": self.url,
                "login": self.credentials["admin_user"],
                "password": self.credentials["admin_password"],
                "extra": {"auth_method": "basic"},
            }
        )

    @property
    def hook(self) -> EspoHook:
        """A new hook over the connection."""
        from airflow_provider_espo.hooks.espo import EspoHook

        return EspoHook(self.conn_id)

    def add_field(self, entity_type: str, name: str, spec: str) -> None:
        """Add a custom field, as an administrator does in EspoCRM's Entity Manager.

        :param spec: a line as in the sandbox's data files, such as ``"varchar 100 required"``.
        """
        self.server.add_field(entity_type, name, spec)

    def fill(self, entity_type: str, count: int) -> None:
        """Make many records of an entity type at once, for tests with volume."""
        self.server.fill(entity_type, count)


@pytest.fixture
def espo_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[EspoSandbox]:
    """A fresh, empty EspoCRM sandbox on a free port, and the Airflow connection ``espo_default`` to it."""
    from airflow_provider_espo.client.state import forget_shared_states
    from airflow_provider_espo.sandbox.server import SandboxServer
    from airflow_provider_espo.sandbox.settings import Settings

    # Background jobs are done at once, and webhooks delivered: tests have no time to wait, and are on this machine.
    settings = Settings(webhooks_internal=True)
    with SandboxServer(job_delay=0.1, webhook_delay=0.1, settings=settings) as server:
        sandbox = EspoSandbox(server)
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", sandbox.connection)
        yield sandbox
    # Another sandbox may get the same port, and has other custom fields.
    forget_shared_states()
