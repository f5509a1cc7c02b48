"""A CRM whose clock is the event loop's, and on which nothing has failed yet.

Event triggers are tested twice: with shared streams and state stores, and as they run where Airflow has neither.
"""

from __future__ import annotations

import pytest

from airflow_provider_espo.triggers import failures
from tests.unit.sandbox_crm import SandboxCrm
from tests.unit.triggers.leads import on_time
from tests.unit.triggers.triggerer import WAYS, Airflow


@pytest.fixture(params=WAYS)
def airflow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """What the triggers of a test run on."""
    return Airflow(monkeypatch, shares=request.param)


@pytest.fixture
def crm_on_time(sandbox_crm: SandboxCrm, airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> SandboxCrm:
    monkeypatch.setattr(failures, "_rows", {})
    sandbox_crm.before = lambda _sent: on_time(sandbox_crm)
    return sandbox_crm
