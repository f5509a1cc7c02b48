"""The place in a stream: every note is seen, and seen once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.stream_cursor import StreamCursor, stream_number


def note(number: int) -> dict[str, Any]:
    return {"id": f"n{number}", "number": number}


@st.composite
def commits(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    """An overlap, and numbers in the order in which they become visible, cut into what comes between two looks.

    No number is later than ``overlap`` behind the highest that is visible already.
    """
    overlap = draw(st.integers(1, 8))
    waiting = list(range(1, draw(st.integers(0, 40)) + 1))
    order: list[int] = []
    while waiting:
        # What may come next without leaving the first behind for too long.
        ready = [number for number in waiting if number - waiting[0] < overlap]
        chosen = draw(st.sampled_from(ready))
        waiting.remove(chosen)
        order.append(chosen)
    looks: list[list[int]] = [[]]
    for number in order:
        if draw(st.booleans()):
            looks.append([])
        looks[-1].append(number)
    return overlap, looks


@given(commits())
def test_every_note_is_seen_once_in_whatever_order_notes_become_visible(case: tuple[int, list[list[int]]]) -> None:
    overlap, looks = case
    cursor, visible, seen = StreamCursor(0), set[int](), list[int]()
    for arrived in [*looks, []]:
        visible |= set(arrived)
        page = [note(number) for number in visible if number > cursor.look_from(overlap)]
        new, cursor = cursor.advance(page, overlap)
        assert [one["number"] for one in new] == sorted(one["number"] for one in new)
        seen += [one["number"] for one in new]
        cursor = StreamCursor.from_json(cursor.to_json())
    assert sorted(seen) == sorted(visible)


@given(commits())
def test_what_is_remembered_stays_small(case: tuple[int, list[list[int]]]) -> None:
    overlap, looks = case
    cursor = StreamCursor(0)
    for arrived in looks:
        _, cursor = cursor.advance([note(number) for number in arrived], overlap)
        assert len(cursor.known) <= overlap


def test_a_note_that_was_late_is_found_by_the_next_look() -> None:
    _, cursor = StreamCursor(10).advance([note(11), note(13)], 5)
    new, cursor = cursor.advance([note(11), note(12), note(13)], 5)
    assert [one["id"] for one in new] == ["n12"]
    assert cursor.last_number == 13


def test_nothing_new_changes_nothing() -> None:
    _, cursor = StreamCursor(10).advance([note(11)], 5)
    new, again = cursor.advance([note(11)], 5)
    assert (new, again) == ([], cursor)


def test_a_look_never_goes_below_zero() -> None:
    assert StreamCursor(3).look_from(50) == 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "5",
        [],
        {},
        {"known": {}},
        {"last_number": -1},
        {"last_number": 1, "known": []},
        {"last_number": 1, "x": 1},
    ],
)
def test_what_is_no_cursor_is_refused(value: object) -> None:
    with pytest.raises(EspoInputError):
        StreamCursor.from_json(value)


def test_a_cursor_that_went_through_a_template_as_text_numbers_is_read() -> None:
    assert StreamCursor.from_json({"last_number": "7", "known": {"a": "7"}}) == StreamCursor(7, {"a": 7})


@pytest.mark.parametrize("value", [-1, True, 1.5, "x", "-3", None, ""])
def test_what_is_no_notes_number_is_refused_without_being_shown(value: object) -> None:
    with pytest.raises(EspoInputError, match="since_number is not a note's number"):
        stream_number("since_number", value)
