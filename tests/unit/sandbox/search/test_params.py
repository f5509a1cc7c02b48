"""How list parameters are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search import SearchParams
from tests.unit.sandbox.search.crm import Refused


def read(query: str, **more: Any) -> SearchParams:
    return SearchParams.from_query(php.parse_query(query), **more)


def read_json(params: Any) -> SearchParams:
    return SearchParams.from_query({"searchParams": json.dumps(params)})


def test_nothing_asked() -> None:
    assert read("") == SearchParams()
    assert SearchParams().max_size == 200


def test_all_separate_parameters() -> None:
    params = read(
        "select=name,status&orderBy=name&order=desc&offset=5&maxSize=10&textFilter=a&primaryFilter=open"
        "&boolFilterList[]=onlyMy&where[0][type]=isNull&where[0][attribute]=source"
    )
    assert params == SearchParams(
        select=("name", "status"),
        where=({"type": "isNull", "attribute": "source"},),
        order_by="name",
        order="DESC",
        offset=5,
        max_size=10,
        text_filter="a",
        primary_filter="open",
        bool_filters=("onlyMy",),
    )


def test_json_makes_the_others_ignored() -> None:
    query = {"searchParams": json.dumps({"maxSize": 3}), "maxSize": "7", "orderBy": "name", "where": [{}]}
    assert SearchParams.from_query(query) == SearchParams(max_size=3)


def test_json_keeps_types() -> None:
    items = [{"type": "equals", "attribute": "doNotCall", "value": True}]
    assert read_json({"where": items, "select": ["id"], "order": "asc"}) == SearchParams(
        where=tuple(items), select=("id",), order="ASC"
    )


@pytest.mark.parametrize("where", ['[{"type":"isNull"}]', "x", "0"])
def test_a_where_that_is_text_is_ignored(where: str) -> None:
    assert SearchParams.from_query({"where": where}).where is None


def test_where_group_goes_before_where() -> None:
    params = read("where[0][type]=a&whereGroup[0][type]=b")
    assert params.where == ({"type": "b"},)


def test_keys_of_where_do_not_matter() -> None:
    assert read("where[3][type]=a&where[1][type]=b").where == ({"type": "a"}, {"type": "b"})


def test_attribute_select_goes_before_select() -> None:
    assert read("select=a&attributeSelect=b, c").select == ("b", " c")


@pytest.mark.parametrize("query", ["select=", "select=0", "select[]=a"])
def test_select_of_nothing_is_no_select(query: str) -> None:
    assert read(query).select is None


def test_legacy_order() -> None:
    assert (read("sortBy=a&asc=true").order_by, read("sortBy=a&asc=true").order) == ("a", "ASC")
    assert read("asc=false").order == "DESC"
    assert read("orderBy=a&sortBy=b&order=desc&asc=true") == SearchParams(order_by="a", order="DESC")


@pytest.mark.parametrize(("text", "number"), [("x", 0), ("7x", 7), ("-1", -1), ("0", 0), ("", 200)])
def test_max_size_is_read_as_php_reads_numbers(text: str, number: int) -> None:
    assert read(f"maxSize={text}").max_size == number


def test_quick_search_goes_without_total() -> None:
    params = read("q=+abc+")
    assert (params.text_filter, params.no_total) == ("abc", True)
    assert not read("textFilter=abc").no_total
    assert read("q=abc&textFilter=x").text_filter == "x"


def test_filters_among_where_items_are_moved() -> None:
    params = read_json(
        {
            "boolFilterList": ["onlyMy"],
            "where": [
                {"type": "bool", "value": ["followed"]},
                {"type": "primary", "value": "open"},
                {"type": "textFilter", "value": "abc"},
                {"type": "isNull", "attribute": "source"},
            ],
        }
    )
    assert params.bool_filters == ("followed",)
    assert (params.primary_filter, params.text_filter) == ("open", "abc")
    assert params.where == ({"type": "isNull", "attribute": "source"},)


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("maxSize=201", (403, "Max size should not exceed 200. Use offset and limit.")),
        ("order=up", (400, "order value is bad.")),
        ("order=true", (400, "order value is bad.")),
        ("searchParams={", (400, "Invalid search params JSON.")),
        ("searchParams=", (400, "Invalid search params JSON.")),
        ("searchParams=NaN", (400, "Invalid search params JSON.")),
        ('searchParams={"q":"\\ud800"}', (400, "Invalid search params JSON.")),
        ("searchParams[]=1", (400, "Invalid search params JSON.")),
        ("searchParams=5", (500, None)),
        ("boolFilterList[][]=x", (400, "boolFilterList has non-string item.")),
    ],
)
def test_bad_separate_parameters(query: str, refusal: tuple[int, str | None], refused: Refused) -> None:
    assert refused(read, query) == refusal


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"maxSize": "1"}, "maxSize must be integer."),
        ({"maxSize": 1.5}, "maxSize must be integer."),
        ({"q": 5}, "q must be string."),
        ({"select": "name"}, "select should be array."),
        ({"select": ["name", 1]}, "select has non-string item."),
        ({"orderBy": ["name"]}, "orderBy should be string."),
        ({"order": 1}, "order should be string."),
        ({"boolFilterList": "onlyMy"}, "boolFilterList should be array."),
        ({"primaryFilter": ["open"]}, "primaryFilter should be string."),
        ({"textFilter": 5}, "textFilter should be string."),
        ({"where": "x"}, "where should be array."),
        ({"offset": 1.5}, "offset should be int."),
        ({"maxTextAttributeLength": "x"}, "maxTextAttributeLength should be int."),
    ],
)
def test_bad_json_parameters(params: Any, reason: str, refused: Refused) -> None:
    assert refused(read_json, params) == (400, reason)


def test_offset_may_be_a_numeric_text() -> None:
    assert read_json({"offset": "7"}).offset == 7


def test_the_limit_is_the_servers() -> None:
    assert read("maxSize=300", limit=500).max_size == 300
    assert read("", limit=500).max_size == 500


def test_filters_of_a_wrong_type_among_where_items_are_a_crash(refused: Refused) -> None:
    assert refused(read_json, {"where": [{"type": "textFilter", "value": ["x"]}]}) == (500, None)
    assert refused(read_json, {"where": [{"type": "bool", "value": [["x"]]}]}) == (500, None)
