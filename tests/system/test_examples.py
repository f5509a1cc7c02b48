"""Every example DAG is loaded by Airflow itself, and is run by a test in this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow 3.1
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "example_dags"


def test_airflow_loads_every_example_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    # As a DAG bundle does with its folder.
    monkeypatch.syspath_prepend(EXAMPLES)
    bag = DagBag(str(EXAMPLES))
    assert bag.import_errors == {}
    assert {Path(dag.fileloc).stem for dag in bag.dags.values()} == set(bag.dags)


def test_every_example_is_run_by_a_test() -> None:
    examples = {path.stem for path in EXAMPLES.glob("*.py") if "@dag" in path.read_text(encoding="utf-8")}
    assert examples
    assert examples <= {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
