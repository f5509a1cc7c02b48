from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.bulk.results import ResultFiles
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.operations.bulk import Outcome


@pytest.fixture
def results(tmp_path: Path) -> ResultFiles:
    return ResultFiles(Folder(str(tmp_path)))


def outcome(index: int, action: str, record_id: str | None = None, error: str | None = None) -> Outcome:
    return {"index": index, "id": record_id, "action": action, "error": error}


OUTCOMES = [
    outcome(10, "created", "a"),
    outcome(11, "failed", error="wrong"),
    outcome(12, "unchanged", "b"),
    outcome(13, "skipped", "c"),
    outcome(14, "missing"),
]


def test_each_row_is_in_one_file(results: ResultFiles, tmp_path: Path) -> None:
    results.write(2, OUTCOMES, {11: {"name": "Ä"}})
    found = {path.name: path.read_text(encoding="utf-8").splitlines() for path in tmp_path.iterdir()}
    assert {name: [json.loads(line) for line in lines] for name, lines in found.items()} == {
        "ok-00002.ndjson": [
            {"index": 10, "id": "a", "action": "created"},
            {"index": 12, "id": "b", "action": "unchanged"},
        ],
        "skipped-00002.ndjson": [
            {"index": 13, "id": "c", "action": "skipped"},
            {"index": 14, "id": None, "action": "missing"},
        ],
        "failed-00002.ndjson": [{"index": 11, "error": "wrong", "row": {"name": "Ä"}}],
    }


def test_what_was_written_is_read(results: ResultFiles) -> None:
    results.write(2, OUTCOMES, {11: {"name": "Ä"}})
    assert results.failed(2) == [{"index": 11, "error": "wrong", "row": {"name": "Ä"}}]
    assert results.outcomes(2) == [OUTCOMES[0], OUTCOMES[2], OUTCOMES[3], OUTCOMES[4]]
    assert list(results.created(2)) == ["a"]
    assert list(results.created(2, but=[10])) == []
    assert not results.failed(3)
    assert not results.outcomes(3)


def test_a_file_without_lines_is_not_there_nor_one_of_before(results: ResultFiles, tmp_path: Path) -> None:
    results.write(0, OUTCOMES, {11: {}})
    results.write(0, [outcome(10, "created", "a")], {})
    assert [path.name for path in tmp_path.iterdir()] == ["ok-00000.ndjson"]


def test_rows_that_are_no_json_are_kept_as_text(results: ResultFiles) -> None:
    bad: Any = {None: ["x"]}
    results.write(0, [outcome(0, "failed", error="no name")], {0: bad})
    assert results.failed(0)[0]["row"] == repr(bad)


def test_only_its_own_files_are_cleared(results: ResultFiles, tmp_path: Path) -> None:
    (tmp_path / "ok-notes.txt").write_text("mine")
    assert not results.is_used()
    results.write(0, OUTCOMES, {11: {}})
    results.finish({"created": 1})
    assert results.is_used()
    results.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["ok-notes.txt"]


def test_the_summary_names_the_files(results: ResultFiles, tmp_path: Path) -> None:
    results.write(0, OUTCOMES, {11: {}})
    results.finish({"created": 1})
    summary = json.loads((tmp_path / "results.json").read_text())
    assert summary == {"created": 1, "files": ["failed-00000.ndjson", "ok-00000.ndjson", "skipped-00000.ndjson"]}


def test_a_damaged_file_is_told(results: ResultFiles, tmp_path: Path) -> None:
    (tmp_path / "failed-00000.ndjson").write_bytes(b'{"index": 1')
    with pytest.raises(EspoInputError, match=r"failed-00000\.ndjson is damaged"):
        results.failed(0)
