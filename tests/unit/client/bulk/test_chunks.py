from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.bulk.chunks import check_chunk_size, chunks_of, encoded
from airflow_provider_espo.client.errors import EspoInputError

ROWS = st.lists(st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3)), max_size=20)


@given(ROWS, st.integers(1, 7))
def test_chunks_hold_all_rows_in_order(rows: list[Any], size: int) -> None:
    chunks = list(chunks_of(rows, size))
    assert [row for chunk in chunks for row in chunk.rows] == rows
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.first for chunk in chunks] == [size * number for number in range(len(chunks))]
    assert all(len(chunk.rows) == size for chunk in chunks[:-1])
    assert not chunks or chunks[-1].end == len(rows)


@given(ROWS, ROWS)
def test_the_checksum_tells_whether_all_rows_so_far_are_the_same(rows: list[Any], others: list[Any]) -> None:
    one, other = list(chunks_of(rows, 3)), list(chunks_of(others, 3))
    for first, second in zip(one, other, strict=False):
        same = rows[: first.end] == others[: second.end]
        assert (first.sha256 == second.sha256) == same


def test_the_order_of_rows_counts_and_the_order_of_attributes_does_not() -> None:
    def last(rows: list[Any]) -> str:
        return list(chunks_of(rows, 2))[-1].sha256

    a, b = {"x": 1, "y": 2}, {"x": 2, "y": 1}
    assert last([a, b]) != last([b, a])
    assert last([a, b]) == last([{"y": 2, "x": 1}, b])


def test_no_more_rows_are_read_than_a_chunk_needs() -> None:
    read = []

    def rows() -> Iterator[Any]:
        for number in range(1000):
            read.append(number)
            yield {"n": number}

    chunks = chunks_of(rows(), 10)
    next(chunks)
    assert len(read) == 10


def test_what_databases_give_is_encoded_the_same_each_time() -> None:
    row = {"at": dt.datetime(2026, 3, 1, 6, 0, tzinfo=dt.UTC), "sum": Decimal("1.50"), "day": dt.date(2026, 3, 1)}
    assert encoded(row) == encoded(dict(row))
    assert b"1.50" in encoded(row)


@pytest.mark.parametrize("row", [{None: 1}, {"a": "\ud800"}, {"a": object}, "text", None, {("a", 1): 2}])
def test_what_is_no_json_is_still_told_apart(row: Any) -> None:
    assert encoded(row) == encoded(row)
    assert encoded(row) != encoded({"a": 1})


@pytest.mark.parametrize("size", [0, -1, 10_001, 1.5, True, "500", None])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(EspoInputError, match="chunk_size"):
        check_chunk_size(size)
