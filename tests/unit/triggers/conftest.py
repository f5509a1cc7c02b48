"""Event triggers are tested twice: with shared streams and state stores, and as they run where Airflow has neither."""

from __future__ import annotations

import pytest

from tests.unit.triggers.triggerer import Airflow, shared_stream

SHARED = pytest.param(
    True,
    id="shared",
    marks=pytest.mark.skipif(
        shared_stream is None, reason="Airflow has shared streams and asset state stores since 3.3"
    ),
)


@pytest.fixture(params=[SHARED, pytest.param(False, id="alone")])
def airflow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """What the triggers of a test run on."""
    return Airflow(monkeypatch, shares=request.param)
