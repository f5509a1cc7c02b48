"""CSV files: looked through before they are sent, and made of rows."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.bodies import BLOCK_SIZE
from airflow_provider_espo.client.csv_files import CsvFacts, cell, examine, write_rows
from airflow_provider_espo.client.files import Source
from airflow_provider_espo.exceptions import EspoInputError


def look(content: bytes, *, delimiter: str = ",", header_row: bool = True) -> CsvFacts:
    return examine(Source(content, "x.csv"), delimiter=delimiter, text_qualifier='"', header_row=header_row)


def test_header_rows_and_checksum_are_told() -> None:
    content = b"a,b\n1,2\n3,4\n"
    facts = look(content)
    assert (facts.header, facts.rows, facts.most_values) == (("a", "b"), 2, 2)
    assert (facts.size, facts.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_without_a_header_row_every_row_counts() -> None:
    facts = look(b"1,2\n3,4", header_row=False)
    assert (facts.header, facts.rows) == ((), 2)


def test_line_breaks_within_quotes_empty_lines_and_a_mark_at_the_beginning_do_not_count() -> None:
    facts = look(b'\xef\xbb\xbfa,b\r\n"1\n1",2\r\n\r\n\n"x ""y"" z",4\r\n')
    assert (facts.header, facts.rows, facts.most_values) == (("a", "b"), 2, 2)


def test_the_longest_row_is_told_with_its_line() -> None:
    facts = look(b"a;b\n1;2\n3;4;5;6\n7;8;9\n", delimiter=";")
    assert (facts.most_values, facts.longest_line) == (4, 3)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_has_nothing(content: bytes) -> None:
    facts = look(content)
    assert (facts.header, facts.rows, facts.most_values) == ((), 0, 0)


def test_letters_that_fall_on_the_edge_of_a_block_are_read() -> None:
    content = b"a\n" + ("é" * (BLOCK_SIZE - 1) + "\n").encode()
    assert look(content[: 2 + 100_001 * 2] + b"\n").rows == 1
    # Longer than Python's own limit for a cell, as texts of EspoCRM may be.
    assert look(content).rows == 1


def test_a_file_without_lines_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(EspoInputError, match="no CSV at line 1: a line has no end"):
        look(b"a\n" + b"x" * 17 * 1024 * 1024)


def test_what_is_not_utf_8_is_an_error_that_says_where() -> None:
    with pytest.raises(EspoInputError, match="not UTF-8"):
        look(b"a\nx\n\xe9\n")


@given(st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=2), max_size=20))
def test_rows_are_counted_as_they_were_written(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], *rows])
    try:
        content = text.getvalue().encode()
    except UnicodeEncodeError:
        return
    assert look(content).rows == len(rows)


def test_rows_are_written_so_that_they_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows: list[dict[str, Any]] = [{"a": 'x "y", z\n', "b": None}, {"b": True}, {"a": ["p", "q"], "b": 1.5}]
    facts = write_rows(path, ["a", "b"], rows)
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ['x "y", z\n', ""], ["", "1"], ['["p", "q"]', "1.5"]]
    read = look(path.read_bytes())
    assert (facts.header, facts.rows, facts.most_values) == (read.header, read.rows, read.most_values)
    assert (facts.size, facts.sha256) == (read.size, read.sha256)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "1"),
        (False, "0"),
        (0, "0"),
        ("2026-03-01 06:07:08", "2026-03-01 06:07"),
        ("at 2026-03-01 06:07:08", "at 2026-03-01 06:07:08"),
        ("2026-03-01", "2026-03-01"),
        ({"a": "é"}, '{"a": "é"}'),
    ],
)
def test_values_are_written_as_espocrm_reads_them(value: Any, text: str) -> None:
    assert cell(value) == text
