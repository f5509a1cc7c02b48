"""A CRM whose clock is the event loop's, and on which nothing has failed yet."""

from __future__ import annotations

import pytest

from airflow_provider_espo.triggers import failures
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.triggers.leads import on_time


@pytest.fixture
def crm_on_time(sandbox_crm: SandboxCrm, monkeypatch: pytest.MonkeyPatch) -> SandboxCrm:
    monkeypatch.setattr(failures, "_rows", {})
    sandbox_crm.before = lambda _sent: on_time(sandbox_crm)
    return sandbox_crm
