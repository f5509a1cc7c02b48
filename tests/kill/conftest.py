"""The table of deaths at the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kill.report import PROPERTY, lines


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a dead process leaves behind in memory is refused to clean up when it is collected: that is no warning."""
    for item in items:
        if item.path.parent.name == "kill":
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many tries died where."""
    found = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and getattr(report, "when", "") == "call"
    ]
    if found:
        terminalreporter.section("killed at a random point and tried again")
        for line in lines(found):
            terminalreporter.write_line(line)
