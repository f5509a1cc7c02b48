from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from tests.unit.sandbox.asking import Asker


@pytest.fixture
def crm() -> Iterator[Asker]:
    """A new sandbox in memory, asked by the API user with all rights."""
    sandbox = Sandbox()
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()
