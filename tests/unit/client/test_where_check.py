"""The check of filters, hand-written ones above all, and filters that let every record through."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections import deque
from collections.abc import Sequence
from typing import Any, overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo import where
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.where_check import check_where, is_match_all
from airflow_provider_espo.client.where_operators import OPERATORS, Shape


class Reference:
    """Stands for an object that Airflow replaces later; whatever looks into it breaks it."""

    key = "return_value"

    def __iter__(self) -> Any:
        raise AssertionError("looked into")

    def __getitem__(self, key: object) -> Any:
        raise AssertionError("looked into")

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


class Results(Sequence[str]):
    """A sequence that is no list, as Airflow gives the results of mapped tasks."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return ["a", "b"][index]

    def __len__(self) -> int:
        return 2


SECRET = "Jane Doe 4711"


def checked(items: object) -> list[dict[str, Any]]:
    return check_where(items, rendered=True)


def test_nothing_is_an_empty_filter() -> None:
    assert checked(None) == []
    assert checked([]) == []


def test_a_filter_that_is_a_json_string_is_refused_because_espocrm_would_ignore_it() -> None:
    for rendered in (True, False):
        with pytest.raises(EspoInputError, match="would return every record"):
            check_where('[{"type": "equals", "attribute": "status", "value": "New"}]', rendered=rendered)


@pytest.mark.parametrize("items", [{"type": "isNull", "attribute": "a"}, 5, {"a"}, (x for x in "a"), "{{ x }}"])
def test_what_is_not_a_list_of_items_is_refused(items: object) -> None:
    with pytest.raises(EspoInputError, match=r"^where: "):
        checked(items)


def test_given_objects_stay_as_they_are_and_the_result_is_new_and_plain() -> None:
    inner = {"field": "source", "type": "in", "value": ("Call", dt.date(2026, 1, 5))}
    given_items = ({"type": "or", "value": deque([inner])},)
    before = copy.deepcopy(given_items)
    result = checked(given_items)
    assert given_items == before
    assert result == [{"type": "or", "value": [{"type": "in", "attribute": "source", "value": ["Call", "2026-01-05"]}]}]
    json.dumps(result)


def test_sequences_such_as_results_of_mapped_tasks_are_lists() -> None:
    assert checked([{"type": "in", "attribute": "id", "value": Results()}])[0]["value"] == ["a", "b"]


def test_keys_come_in_one_order_whatever_order_they_were_written_in() -> None:
    item = {
        "timeZone": "UTC",
        "value": "2026-01-05",
        "dateTime": True,
        "attribute": "createdAt",
        "type": "on",
    }
    assert list(checked([item])[0]) == ["type", "attribute", "value", "dateTime", "timeZone"]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("equals", r"where\[0\]: a where item is a dict, not a str"),
        ([{"type": "isNull", "attribute": "a"}], r"where\[0\]: .*one by one"),
        ({"attribute": "a", "value": 1}, "no type"),
        ({"type": ["in"], "attribute": "a"}, "not a list"),
        ({"type": "equal", "attribute": "a", "value": 1}, "EspoCRM has no operator equal.*equals"),
        ({"type": "not_equals", "attribute": "a", "value": 1}, "notEquals"),
        ({"type": "last_x_days", "attribute": "a", "value": 1}, "lastXDays"),
        ({"type": "isnull", "attribute": "a"}, "isNull"),
        ({"type": "!=", "attribute": "a", "value": 1}, "notEquals"),
        ({"type": "currentUser", "attribute": "assignedUserId"}, "onlyMy"),
        ({"type": "not", "value": [{"type": "isNull", "attribute": "a"}]}, "over its API.*notEquals"),
        ({"type": "subQueryIn", "value": []}, "over its API.*linkedWith"),
        ({"type": "expression", "attribute": "EQUAL:(a, 1)"}, "over its API"),
        ({"type": "equals", "value": 1}, r"where\[0\] \(equals\): the item has no attribute"),
        ({"type": "equals", "attribute": "", "value": 1}, "empty"),
        ({"type": "equals", "attribute": 5, "value": 1}, "not an int"),
        ({"type": "equals", "attribute": "account.name", "value": 1}, "accountName"),
        ({"type": "equals", "attribute": "a", "field": "b", "value": 1}, "Leave field out"),
        ({"type": "equals", "attribute": "a", "valu": 1}, "valu.*value"),
        ({"type": "equals", "attribute": "a", "value": 1, 5: 1}, "Keys are type"),
        ({"type": "equals", "attribute": "a"}, "one value or a list"),
        ({"type": "equals", "attribute": "a", "value": None}, "isNull"),
        ({"type": "equals", "attribute": "a", "value": []}, "list is empty"),
        ({"type": "in", "attribute": "a", "value": "x"}, "list of values, not a str.*output"),
        ({"type": "in", "attribute": "a", "value": []}, "list is empty"),
        ({"type": "in", "attribute": "a", "value": ["x", None]}, r"where\[0\]\.value\[1\] \(in\): null"),
        ({"type": "in", "attribute": "a", "value": [["x"]]}, r"value\[0\].*not a list"),
        ({"type": "between", "attribute": "a", "value": [1]}, "two values.*list of 1"),
        ({"type": "between", "attribute": "a", "value": [1, 2, 3]}, "two values.*list of 3"),
        ({"type": "between", "attribute": "a", "value": 1}, "two values"),
        ({"type": "lastXDays", "attribute": "a"}, "number of days"),
        ({"type": "lastXDays", "attribute": "a", "value": 1.5}, "number of days"),
        ({"type": "lastXDays", "attribute": "a", "value": -1}, "negative"),
        ({"type": "isNull", "attribute": "a", "value": True}, "takes no value"),
        ({"type": "or", "attribute": "a", "value": []}, "takes no attribute"),
        ({"type": "or"}, "list of where items, not null"),
        ({"type": "or", "value": "[]"}, "list of where items, not a str"),
        ({"type": "or", "value": {"type": "isNull", "attribute": "a"}}, "list of where items, not a dict"),
        ({"type": "inCategory", "attribute": "folder", "value": None}, "an id"),
        ({"type": "linkedWith", "attribute": "teams", "value": [7]}, "an id"),
        ({"type": "arrayAnyOf", "attribute": "a", "value": []}, "list is empty"),
        ({"type": "bool", "value": "onlyMy"}, "list of filter names"),
        ({"type": "bool", "value": ["only my"]}, "a filter name, not another text"),
        ({"type": "primary", "value": ["actual"]}, "filter name"),
        ({"type": "textFilter", "value": ""}, "empty"),
        ({"type": "today", "attribute": "a", "dateTime": "true"}, "true or false"),
        ({"type": "today", "attribute": "a", "timeZone": "UTC"}, "ignores timeZone without dateTime"),
        ({"type": "today", "attribute": "a", "dateTime": True, "timeZone": 2}, "is a name"),
        ({"type": "currentMonth", "attribute": "a", "date": True}, "date works with today"),
        (
            {
                "type": "greaterThan",
                "attribute": "a",
                "value": "2026-01-05",
                "dateTime": True,
                "timeZone": "UTC",
            },
            "compares the value as UTC.*after",
        ),
    ],
)
def test_a_malformed_item_is_refused_with_its_place_and_what_to_do(item: object, message: str) -> None:
    with pytest.raises(EspoInputError, match=message):
        checked([item])


def test_the_place_of_a_nested_mistake_is_named() -> None:
    items = [
        where.is_null("a"),
        {
            "type": "or",
            "value": [where.is_null("a"), {"type": "in", "attribute": "b", "value": ["x", float("nan")]}],
        },
    ]
    with pytest.raises(EspoInputError, match=r"where\[1\]\.value\[1\]\.value\[1\] \(in\): NaN"):
        checked(items)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "equals", "attribute": SECRET, "value": "name"},
        {"type": SECRET, "attribute": "name", "value": "x"},
        {"type": "equals", "attribute": "name", "value": {SECRET: SECRET}},
        {"type": "equals", "attribute": "name", SECRET: 1},
        {"type": "on", "attribute": "createdAt", "value": SECRET},
        {"type": "lastXDays", "attribute": "createdAt", "value": SECRET},
        {"type": "in", "attribute": "name", "value": SECRET},
        {"type": "linkedWith", "attribute": "teams", "value": [{SECRET}]},
        {"type": "bool", "value": [SECRET]},
        {"type": "today", "attribute": "createdAt", "dateTime": True, "timeZone": SECRET},
        {"type": "today", "attribute": "createdAt", "value": SECRET},
        SECRET,
    ],
)
def test_an_error_never_tells_a_value(item: object) -> None:
    with pytest.raises(EspoInputError) as caught:
        checked([item])
    assert "Jane" not in str(caught.value)
    assert "4711" not in repr(caught.value)


def test_time_options_of_operators_without_a_value_are_dropped_where_they_do_nothing() -> None:
    item = {"type": "isNull", "attribute": "dateStart", "dateTime": True, "timeZone": "Europe/Kyiv"}
    assert checked([item]) == [{"type": "isNull", "attribute": "dateStart"}]


def test_false_options_and_an_empty_value_say_nothing() -> None:
    item = {
        "type": "today",
        "attribute": "a",
        "dateTime": False,
        "date": False,
        "timeZone": None,
        "value": None,
    }
    assert checked([item]) == [{"type": "today", "attribute": "a"}]


def test_filters_in_the_form_of_items_are_let_through() -> None:
    items = [
        {"type": "bool", "value": ["onlyMy"]},
        {"type": "primary", "value": "actual"},
        {"type": "textFilter", "value": "acme*"},
    ]
    assert checked(items) == items


def test_the_column_of_a_date_time_that_is_not_on_a_day_is_written_as_before_or_after() -> None:
    item = {"type": "notOn", "attribute": "dateStart", "value": "2026-01-05", "dateTime": True}
    result = checked([item])
    assert [inner["type"] for inner in result[0]["value"]] == ["before", "after"]


def test_equals_takes_a_list_as_espocrm_does() -> None:
    item = {"type": "equals", "attribute": "status", "value": ["New", "Dead"]}
    assert checked([item]) == [item]


class TestBeforeRendering:
    """What Airflow still has to fill in passes untouched, wherever it stands."""

    def test_in_place_of_the_whole_list(self) -> None:
        reference = Reference()
        whole: Any = check_where(reference, rendered=False)
        assert whole is reference
        assert check_where("{{ params.filter }}", rendered=False) == "{{ params.filter }}"  # type: ignore[comparison-overlap]

    @pytest.mark.parametrize("operator", [o.name for o in OPERATORS.values() if o.shape is not Shape.NOTHING])
    @pytest.mark.parametrize("still_open", [Reference(), "{{ params.x }}"], ids=["object", "jinja"])
    def test_in_place_of_any_operators_value(self, operator: str, still_open: object) -> None:
        item = {"type": operator, "value": still_open}
        if OPERATORS[operator].has_attribute:
            item["attribute"] = "a"
        assert check_where([item], rendered=False)[0]["value"] is still_open

    @pytest.mark.parametrize("operator", ["in", "between", "linkedWith", "arrayAllOf", "or", "bool"])
    @pytest.mark.parametrize("still_open", [Reference(), "{{ params.x }}"], ids=["object", "jinja"])
    def test_inside_of_a_list(self, operator: str, still_open: object) -> None:
        item = {"type": operator, "value": (still_open, still_open)}
        if OPERATORS[operator].has_attribute:
            item["attribute"] = "a"
        value = check_where([item], rendered=False)[0]["value"]
        assert type(value) is list
        assert all(part is still_open for part in value)

    def test_in_place_of_an_item_a_type_an_attribute_and_a_zone(self) -> None:
        reference = Reference()
        items = [
            reference,
            {"type": reference, "field": "a", "value": 1},
            {"type": "equals", "attribute": reference, "value": 1},
            {"type": "today", "attribute": "a", "dateTime": True, "timeZone": reference},
        ]
        result: list[Any] = list(check_where(items, rendered=False))
        assert result[0] is reference
        assert result[1] == {"type": reference, "attribute": "a", "value": 1}
        assert result[2]["attribute"] is reference
        assert result[3]["timeZone"] is reference

    def test_a_mistake_beside_it_is_found_all_the_same(self) -> None:
        with pytest.raises(EspoInputError, match=r"where\[1\]"):
            check_where([where.equals("a", Reference()), {"type": "eqals", "attribute": "a"}], rendered=False)

    def test_times_beside_it_are_made_plain(self) -> None:
        item = where.in_("a", [Reference(), dt.datetime(2026, 1, 5, tzinfo=dt.UTC)])
        assert item["value"][1] == "2026-01-05 00:00:00"


class TestAfterRendering:
    """Nothing may be left open, and rendered text gets the form that its operator takes."""

    def test_an_object_is_refused_with_its_place(self) -> None:
        item = {"type": "in", "attribute": "a", "value": [Reference()]}
        with pytest.raises(EspoInputError, match=r"where\[0\]\.value\[0\] \(in\): a Reference object is not"):
            checked([item])

    def test_an_object_in_place_of_a_list_or_an_item_is_refused(self) -> None:
        for items in (Reference(), [Reference()], [{"type": "in", "attribute": "a", "value": Reference()}]):
            with pytest.raises(EspoInputError):
                checked(items)

    def test_braces_in_text_are_text(self) -> None:
        item = {"type": "equals", "attribute": "description", "value": "{{ not a template }}"}
        assert checked([item]) == [item]

    def test_rendered_times_and_numbers_of_days_get_their_form(self) -> None:
        items = [
            where.greater_than_or_equals("modifiedAt", "{{ data_interval_start }}"),
            where.last_x_days("createdAt", "{{ params.days }}"),
            where.on("createdAt", "{{ ts }}", time_zone="Asia/Tokyo"),
        ]
        for item, rendered in zip(items, ("2026-01-05 00:00:00+00:00", " 7", "2026-01-05T20:00:00+00:00"), strict=True):
            item["value"] = rendered
        assert [item["value"] for item in checked(items)] == ["2026-01-05 00:00:00", 7, "2026-01-06 05:00:00"]

    def test_a_rendered_single_id_is_a_list_of_one(self) -> None:
        item = where.linked_with("teams", "{{ params.team }}")
        item["value"] = "t1"
        assert checked([item])[0]["value"] == ["t1"]


class TestMatchAll:
    """Filters that let every record through."""

    @pytest.mark.parametrize(
        "items",
        [
            None,
            [],
            (),
            '[{"type": "isNull", "attribute": "a"}]',
            [{"type": "or", "value": []}],
            [{"type": "and", "value": []}],
            [{"type": "or"}],
            [{"type": "or", "value": [{"type": "and", "value": [{"type": "or", "value": []}]}]}],
            [{"type": "any", "attribute": "id"}],
            [{"type": "expression", "attribute": "EQUAL:(1, 1)"}],
            [{"type": "and", "value": [{"type": "any", "attribute": "id"}, {"type": "or", "value": []}]}],
            [{"type": "or", "value": [where.equals("a", 1), {"type": "any", "attribute": "id"}]}],
            [{"type": "or", "value": [where.equals("a", 1), {"type": "and", "value": []}]}],
            [{"type": "in", "attribute": "a", "value": []}],
            [{"type": "linkedWithAll", "attribute": "teams", "value": []}],
            [{"type": "inCategory", "attribute": "folder", "value": None}],
            [{"type": "isUserFromTeams", "attribute": "assignedUser"}],
            [{"type": "bool", "value": []}],
            [{"type": "textFilter", "value": ""}],
            [{"type": "contains", "attribute": "name", "value": ""}],
            [where.like("name", "%%")],
            [where.starts_with("name", "%")],
            [where.is_not_null("id")],
            [{"type": "ever", "field": "id"}],
        ],
    )
    def test_in_disguise(self, items: object) -> None:
        assert is_match_all(items)

    @pytest.mark.parametrize(
        "items",
        [
            [where.equals("status", "New")],
            where.equals("status", "New"),
            [where.none()],
            [{"type": "any", "attribute": "id"}, where.equals("status", "New")],
            [{"type": "and", "value": [{"type": "any", "attribute": "id"}, where.is_null("a")]}],
            [where.or_(where.is_null("a"), where.and_(where.is_true("b"), where.is_true("c")))],
            [where.is_not_null("accountId")],
            [where.like("name", "")],
            [where.like("name", "a%")],
            [where.equals("amount", 0)],
            [where.is_false("doNotCall")],
            [{"type": "bool", "value": ["onlyMy"]}],
            [{"type": "primary", "value": "actual"}],
            [where.in_category("folder", "f")],
            Reference(),
            "{{ params.filter }}",
            [Reference()],
            [{"type": "or", "value": Reference()}],
        ],
    )
    def test_a_filter_that_narrows_or_is_not_known_yet_is_none(self, items: object) -> None:
        assert not is_match_all(items)


names = st.from_regex(r"[a-z][A-Za-z0-9]{0,8}", fullmatch=True)
scalars = st.one_of(
    st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.datetimes()
)
leaves = st.one_of(
    st.builds(where.equals, names, scalars),
    st.builds(where.not_equals, names, scalars),
    st.builds(where.in_, names, st.lists(scalars, min_size=1)),
    st.builds(where.between, names, scalars, scalars),
    st.builds(where.not_on, names, st.datetimes(), time_zone=st.sampled_from(["UTC", "Asia/Tokyo"])),
    st.builds(where.last_x_days, names, st.integers(min_value=0), time_zone=st.just("Europe/Kyiv")),
    st.builds(where.is_null, names),
    st.builds(where.linked_with, names, st.lists(st.from_regex(r"[0-9a-f]{17}", fullmatch=True), min_size=1)),
)
filters = st.recursive(
    leaves,
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda items: st.sampled_from([where.and_, where.or_]).map(lambda group: group(*items))
    ),
    max_leaves=8,
)


@given(st.lists(filters, max_size=4))
def test_a_second_check_changes_nothing_and_the_result_survives_json(items: list[dict[str, Any]]) -> None:
    once = checked(items)
    assert checked(once) == once
    assert json.loads(json.dumps(once, allow_nan=False)) == once
    assert is_match_all(once) == (not items)
