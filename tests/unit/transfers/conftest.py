"""Fixtures of the transfers' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_espo.transfers import sql_progress
from tests.unit.conftest import ConnectionSetter
from tests.unit.transfers.databases import CONN_ID, Database, databases
from tests.unit.transfers.running import Runs


@pytest.fixture
def runs() -> Runs:
    """Runs of tasks over time."""
    return Runs()


@pytest.fixture
def database(connect: ConnectionSetter, tmp_path: Path) -> Iterator[Database]:
    """An empty database to which Airflow has a connection."""
    for one in databases(tmp_path):
        connect(CONN_ID, one.airflow_uri)
        yield one


@pytest.fixture
def noted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a load note where it is after each batch instead of every few seconds."""
    monkeypatch.setattr(sql_progress, "_BETWEEN_NOTES", 0.0)
