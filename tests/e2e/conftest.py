"""One Airflow for all live tests: to start it takes longer than to run them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import ROOT, Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the thousand sensors last: they go on waiting until all is stopped."""
    items.sort(key=lambda item: item.path.stem == "test_many_sensors")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    folder: Path = ROOT / ".tmp" / "e2e"
    shutil.rmtree(folder, ignore_errors=True)
    one = Stack(folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()
