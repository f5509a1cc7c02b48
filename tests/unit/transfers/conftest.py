"""Fixtures of the transfers' tests."""

from __future__ import annotations

import pytest

from tests.unit.transfers.running import Runs


@pytest.fixture
def runs() -> Runs:
    """Runs of tasks over time."""
    return Runs()
