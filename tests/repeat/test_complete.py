"""Every operator is killed here, and the guide says what comes of it."""

from __future__ import annotations

import importlib
import inspect
import re

from airflow_provider_espo.get_provider_info import names_one, python_modules
from tests.repeat.report import GUIDE, guide_rows, outcome
from tests.repeat.scenarios import BY_TITLE, SCENARIOS


def test_no_operator_is_left_out() -> None:
    public = {
        name
        for kind in ("operators", "transfers")
        for module in python_modules(kind)
        for name, value in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if value.__module__ == module and re.fullmatch(names_one(kind), name)
    }
    assert public - {scenario.operator.__name__ for scenario in SCENARIOS} == set()


def test_the_guide_has_every_task_with_its_key() -> None:
    rows = guide_rows()
    assert {title: row[1:] for title, row in rows.items()} == {
        title: (outcome(scenario), scenario.key) for title, scenario in BY_TITLE.items()
    }


def test_the_guide_adds_up() -> None:
    total = sum(int(row[0]) for row in guide_rows().values())
    assert f"{total} deaths" in GUIDE.read_text(encoding="utf-8")
