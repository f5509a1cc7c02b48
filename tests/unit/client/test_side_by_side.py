from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.side_by_side import Source, check_workers


def test_workers_come_from_the_connection_unless_said() -> None:
    assert check_workers(None, 4) == 4
    assert check_workers(2, 4) == 2


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True])
def test_a_number_of_workers_that_can_do_nothing_is_refused(wrong: object) -> None:
    with pytest.raises(EspoInputError, match="max_workers"):
        check_workers(wrong, 4)  # type: ignore[arg-type]


def test_what_was_taken_before_the_input_failed_is_not_lost() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("row 3")

    source = Source(items())
    assert source.take(5) == [1, 2]
    assert source.take(5) == []
    with pytest.raises(KeyError, match="row 3"):
        source.end()


def test_no_more_is_taken_than_asked_for() -> None:
    items = iter(range(5))
    source = Source(items)
    assert source.take(2) == [0, 1]
    assert source.take(0) == []
    assert source.take(-1) == []
    assert next(items) == 2
    source.end()
