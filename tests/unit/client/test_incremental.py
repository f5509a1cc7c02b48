"""Windows follow each other without a gap, and what was handed out is known again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Page, RowKeys
from airflow_provider_espo.client.incremental import (
    Seen,
    Watermark,
    Window,
    bound,
    bounded_window,
    check_incremental,
    lag_of,
    next_window,
    without_known,
)

SIX, SEVEN = "2026-03-01 06:00:00", "2026-03-01 07:00:00"


def row(record_id: str, modified_at: str) -> RowKeys:
    return {"id": record_id, "modifiedAt": modified_at}


def page(*rows: RowKeys, name: str = "") -> Page:
    return Page([msgspec.Raw(msgspec.json.encode({**one, "name": name})) for one in rows], list(rows))


# --- windows


def test_the_first_window_has_all_up_to_now_and_what_has_no_moment() -> None:
    window = next_window("modifiedAt", 300, None, SIX)
    assert window.where() == [
        {
            "type": "or",
            "value": [
                {"type": "lessThan", "attribute": "modifiedAt", "value": SIX},
                {"type": "isNull", "attribute": "modifiedAt"},
            ],
        }
    ]
    assert window.watermark == SIX


def test_the_next_window_begins_a_lag_before_the_last_one_ended() -> None:
    window = next_window("modifiedAt", 300, SIX, SEVEN)
    assert window.where() == [
        {"type": "greaterThanOrEquals", "attribute": "modifiedAt", "value": "2026-03-01 05:55:00"},
        {"type": "lessThan", "attribute": "modifiedAt", "value": SEVEN},
    ]
    assert (window.known, window.floor, window.watermark) == (SIX, "2026-03-01 06:55:00", SEVEN)


def test_windows_of_numbers() -> None:
    first = next_window("number", 100, None, 1001)
    assert first.where() == [{"type": "lessThan", "attribute": "number", "value": 1001}]
    second = next_window("number", 100, 1001, 1500)
    assert (second.low, second.high, second.known, second.floor) == (901, 1500, 1001, 1400)


def test_a_window_never_ends_before_the_last_one() -> None:
    assert next_window("createdAt", 0, SEVEN, SIX).watermark == SEVEN


def test_a_lag_beyond_the_beginning_of_time_is_the_beginning_of_time() -> None:
    assert next_window("createdAt", 10**12, SIX, SEVEN).low == "0001-01-01 00:00:00"


@given(
    uppers=st.lists(st.integers(0, 100), min_size=1, max_size=8),
    lag=st.integers(0, 40),
    changes=st.lists(st.integers(0, 120), max_size=20),
)
def test_what_is_in_any_window_is_handed_out_by_exactly_one(uppers: list[int], lag: int, changes: list[int]) -> None:
    rows: list[RowKeys] = [{"id": f"{place:03}", "number": number} for place, number in enumerate(changes)]
    handed_out: list[str] = []
    seen, last = Seen([]), None
    for upper in uppers:
        window = next_window("number", lag, last, upper)
        within = [
            one for one in rows if (window.low is None or one["number"] >= window.low) and one["number"] < window.high
        ]
        found = page(*within)
        new = without_known(found, window, seen)
        handed_out += new.ids
        seen = Seen(
            window.seen_line(one, raw)
            for one, raw in zip(found.keys, found.rows, strict=True)
            if window.is_looked_at_again(one)
        )
        last = window.watermark
    assert sorted(handed_out) == [one["id"] for one in rows if one["number"] < max(uppers)]


def test_a_window_with_bounds_keeps_no_watermark_and_looks_at_nothing_again() -> None:
    window = bounded_window("createdAt", SIX, SEVEN)
    assert window.where() == [
        {"type": "greaterThanOrEquals", "attribute": "createdAt", "value": SIX},
        {"type": "lessThan", "attribute": "createdAt", "value": SEVEN},
    ]
    assert window.watermark is None
    assert not window.is_looked_at_again({"id": "1", "createdAt": SIX})
    assert not window.may_be_known({"id": "1", "createdAt": SIX})


def test_a_window_may_be_open_at_one_end() -> None:
    (only,) = bounded_window("createdAt", SIX, None).where()
    assert only == {"type": "greaterThanOrEquals", "attribute": "createdAt", "value": SIX}
    assert bounded_window("number", None, 5).where() == [{"type": "lessThan", "attribute": "number", "value": 5}]


@pytest.mark.parametrize(
    "window",
    [
        next_window("modifiedAt", 300, SIX, SEVEN),
        next_window("number", 5, None, 7),
        bounded_window("createdAt", SIX, None),
    ],
)
def test_a_window_comes_back_out_of_json(window: Window) -> None:
    assert Window.from_dict(msgspec.json.decode(msgspec.json.encode(window.as_dict()))) == window


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"by": "status"},
        {"by": "modifiedAt", "low": 5},
        {"by": "number", "high": "x"},
        {"by": "number", "low": True},
    ],
)
def test_what_is_no_window_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError):
        Window.from_dict(given)


# --- what is known


def test_a_record_is_known_in_the_state_it_was_handed_out_in() -> None:
    window = next_window("modifiedAt", 300, SIX, SEVEN)
    before = page(row("1", "2026-03-01 05:58:00"), row("2", "2026-03-01 05:58:00"), name="old")
    seen = Seen(window.seen_line(one, raw) for one, raw in zip(before.keys, before.rows, strict=True))
    assert without_known(before, window, seen).ids == []
    # Changed in another second, or once more in the same.
    assert without_known(page(row("1", "2026-03-01 05:59:00"), name="old"), window, seen).ids == ["1"]
    assert without_known(page(row("1", "2026-03-01 05:58:00"), name="new"), window, seen).ids == ["1"]
    assert without_known(page(row("3", "2026-03-01 05:58:00"), name="old"), window, seen).ids == ["3"]


def test_behind_the_watermark_nothing_is_known() -> None:
    window = next_window("modifiedAt", 300, SIX, SEVEN)
    found = page(row("1", SIX))
    assert without_known(found, window, Seen([window.seen_line(found.keys[0], found.rows[0])])).ids == ["1"]


@given(st.sets(st.binary(min_size=1, max_size=12).filter(lambda it: not it.endswith((b"\n", b"\r"))), max_size=60))
def test_all_lines_are_found_and_no_other(lines: set[bytes]) -> None:
    seen = Seen(line + b"\n" for line in lines)
    assert len(seen) == len(lines)
    assert all(line in seen for line in lines)
    assert b"another line of some length" not in seen


# --- lag, bounds, watermarks


@pytest.mark.parametrize(
    ("by", "lag", "expected"),
    [
        ("modifiedAt", None, 300),
        ("number", None, 100),
        ("createdAt", timedelta(minutes=2), 120),
        ("createdAt", 0.2, 1),
        ("createdAt", 0, 0),
        ("number", 7, 7),
    ],
)
def test_lags(by: str, lag: object, expected: int) -> None:
    assert lag_of(by, lag) == expected


@pytest.mark.parametrize(
    ("by", "lag"),
    [
        ("createdAt", -1),
        ("createdAt", "5"),
        ("createdAt", True),
        ("createdAt", float("nan")),
        ("number", timedelta(minutes=1)),
        ("number", 1.5),
        ("number", -1),
    ],
)
def test_a_lag_that_is_none_is_refused(by: str, lag: object) -> None:
    with pytest.raises(EspoInputError, match="lag"):
        check_incremental(by, lag)


def test_only_attributes_that_tell_of_changes_are_gone_by() -> None:
    check_incremental(None, None)
    with pytest.raises(EspoInputError, match="incremental_by is status"):
        check_incremental("status", None)
    with pytest.raises(EspoInputError, match="incremental_by is a"):
        check_incremental(["modifiedAt"], None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01 06:00:00", SIX),
        ("2026-03-01T06:00:00+00:00", SIX),
        ("2026-03-01T07:00:00+01:00", SIX),
        ("2026-03-01T06:00:00Z", SIX),
        ("2026-03-01", "2026-03-01 00:00:00"),
        ("2026-03-01T05:59:59.5+00:00", SIX),
        ("2026-03-01T06:00:00.000+00:00", SIX),
        (datetime(2026, 3, 1, 6, tzinfo=UTC), SIX),
        (datetime(2026, 3, 1, 8, tzinfo=timezone(timedelta(hours=2))), SIX),
        (datetime(2026, 3, 1, 5, 59, 59, 1, tzinfo=UTC), SIX),
    ],
)
def test_bounds_in_every_form_of_a_moment(value: object, expected: str) -> None:
    assert bound("modifiedAt", "start", value) == expected


def test_bounds_of_numbers_may_be_rendered_to_texts() -> None:
    assert bound("number", "start", " 17 ") == bound("number", "start", 17) == 17


@pytest.mark.parametrize(
    ("by", "value"),
    [
        ("modifiedAt", "None"),
        ("modifiedAt", ""),
        ("modifiedAt", 17),
        ("modifiedAt", "2026-02-30"),
        ("number", "None"),
        ("number", SIX),
        ("number", True),
        ("number", 1.5),
    ],
)
def test_a_bound_that_is_none_is_refused_without_a_word_of_its_value(by: str, value: object) -> None:
    with pytest.raises(EspoInputError, match="start is no"):
        bound(by, "start", value)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(EspoInputError, match="not behind"):
        bounded_window("createdAt", SEVEN, SIX)
    with pytest.raises(EspoInputError, match="not behind"):
        bounded_window("number", 5, "5")


def test_a_watermark_comes_back_out_of_json_and_may_be_set_by_hand() -> None:
    watermark = Watermark(value=SIX, dataset="/data/leads", run="0123456789ab")
    assert Watermark.from_dict(watermark.as_dict(), "modifiedAt") == watermark
    assert Watermark.from_dict("2026-03-01T06:00:00Z", "modifiedAt") == Watermark(value=SIX)
    assert Watermark.from_dict({"watermark": 7}, "number") == Watermark(value=7)
    broken: list[Any] = [{}, [], {"watermark": None}, {"watermark": "soon"}]
    for one in broken:
        with pytest.raises(EspoInputError, match="watermark"):
            Watermark.from_dict(one, "modifiedAt")
