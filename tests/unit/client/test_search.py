"""Search parameters: what is sent, and what is refused before it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo import where
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.search import Search


def sent(search: Search) -> Any:
    ((name, text),) = search.to_query()
    assert name == "searchParams"
    return json.loads(text)


def test_a_search_for_nothing_in_particular_sends_no_parameter() -> None:
    assert Search().to_query() == ()
    assert Search(where=[], bool_filters=[]).to_query() == ()


def test_all_parameters_go_into_one_json_under_espocrms_names() -> None:
    search = Search(
        where=[where.equals("doNotCall", False), where.greater_than("amount", 0)],
        select=["name", "status"],
        order_by="createdAt",
        order="desc",
        primary_filter="actual",
        bool_filters=["onlyMy", "followed"],
        text_filter="acme*",
        max_size=200,
        offset=0,
        max_text_length=500,
    )
    assert sent(search) == {
        "where": [
            {"type": "equals", "attribute": "doNotCall", "value": False},
            {"type": "greaterThan", "attribute": "amount", "value": 0},
        ],
        "select": ["name", "status"],
        "orderBy": "createdAt",
        "order": "desc",
        "primaryFilter": "actual",
        "boolFilterList": ["onlyMy", "followed"],
        "textFilter": "acme*",
        "maxSize": 200,
        "offset": 0,
        "maxTextAttributeLength": 500,
    }


def test_the_json_is_compact_sorted_and_leaves_letters_readable() -> None:
    search = Search(where=[where.contains("name", "Zoë")], max_size=1)
    assert search.to_query() == (
        (
            "searchParams",
            '{"maxSize":1,"where":[{"attribute":"name","type":"contains","value":"Zoë"}]}',
        ),
    )


def test_zero_and_false_are_sent_and_not_taken_for_unset() -> None:
    assert sent(Search(max_size=0, offset=0)) == {"maxSize": 0, "offset": 0}


def test_where_is_checked_and_made_plain() -> None:
    search = Search(where=({"field": "status", "type": "in", "value": ("New",)},))
    assert search.where == ({"type": "in", "attribute": "status", "value": ["New"]},)
    with pytest.raises(EspoInputError, match="would return every record"):
        Search(where='[{"type":"equals"}]')  # type: ignore[arg-type]


def test_select_keeps_its_order_and_names_each_attribute_once() -> None:
    assert Search(select=("b", "a", "b")).select == ("b", "a")


def test_order_takes_any_letter_case() -> None:
    assert Search(order="DESC").order == "desc"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"offset": -1}, "offset is -1"),
        ({"max_size": -1}, "max_size is -1"),
        ({"max_size": "20"}, "max_size is a whole number, not a str"),
        ({"max_size": True}, "max_size is a whole number"),
        ({"max_size": 1.0}, "max_size is a whole number"),
        ({"max_text_length": 0}, "max_text_length is 0"),
        ({"order": "descending"}, "asc or desc"),
        ({"order": True}, "asc or desc"),
        ({"order_by": "account.name"}, "order_by is not a name.*paths"),
        ({"order_by": ""}, "order_by is empty"),
        ({"select": "id,name"}, "select is a list of names, not a str"),
        ({"select": []}, "names no attribute"),
        ({"select": ["id", ""]}, r"select\[1\] is empty"),
        ({"select": ["id, name"]}, r"select\[0\] is not a name"),
        ({"select": ["id", None]}, r"select\[1\] is a name, not None"),
        ({"select": {"id"}}, "list of names, not a set"),
        ({"bool_filters": "onlyMy"}, "list of names, not a str"),
        ({"bool_filters": [""]}, r"bool_filters\[0\] is empty"),
        ({"primary_filter": " "}, "primary_filter is empty"),
        ({"primary_filter": ["actual"]}, "primary_filter is a name"),
        ({"text_filter": " "}, "every record would match"),
        ({"text_filter": 5}, "text_filter is text"),
        ({"text_filter": "\ud800"}, "surrogate"),
    ],
)
def test_what_the_server_would_misread_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EspoInputError, match=message):
        Search(**fields)


def test_a_search_cannot_be_changed_but_gives_changed_ones() -> None:
    first = Search(where=[where.equals("status", "New")], max_size=200)
    second = first.with_(offset=200).and_where(where.greater_than("id", "a"), where.is_null("accountId"))
    assert sent(first) == {
        "where": [{"type": "equals", "attribute": "status", "value": "New"}],
        "maxSize": 200,
    }
    assert [item["type"] for item in sent(second)["where"]] == ["equals", "greaterThan", "isNull"]
    assert sent(second)["offset"] == 200
    assert second.with_(where=(), offset=None, max_size=None).to_query() == ()
    with pytest.raises(AttributeError):
        first.offset = 1  # type: ignore[misc]


def test_changes_are_checked_too() -> None:
    with pytest.raises(EspoInputError):
        Search().with_(offset=-1)
    with pytest.raises(EspoInputError):
        Search().and_where({"type": "nope", "attribute": "a"})


def test_what_a_caller_does_to_its_own_list_later_changes_no_search() -> None:
    item: dict[str, Any] = {"type": "in", "attribute": "status", "value": ["New"]}
    items = [item]
    search = Search(where=items)
    item["value"].append("Dead")
    items.clear()
    assert sent(search)["where"] == [{"type": "in", "attribute": "status", "value": ["New"]}]


names = st.from_regex(r"[a-z][A-Za-z0-9]{0,8}", fullmatch=True)
values = st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)).filter(
    lambda value: not (isinstance(value, float) and value == 0)
)
items = st.builds(
    lambda attribute, value: {"type": "like", "attribute": attribute, "value": value}, names, st.text()
) | st.builds(
    lambda attribute, value: {"type": "columnIn", "attribute": attribute, "value": value},
    names,
    st.lists(values, min_size=1),
)


@given(
    where_items=st.lists(items, max_size=4),
    select=st.lists(names, min_size=1, max_size=5, unique=True),
    order_by=names,
    order=st.sampled_from(["asc", "desc"]),
    text_filter=st.text(min_size=1).filter(lambda text: text.strip() != ""),
    max_size=st.integers(min_value=0),
    offset=st.integers(min_value=0),
)
def test_what_is_sent_decodes_to_what_was_given(
    where_items: list[dict[str, Any]],
    select: list[str],
    order_by: str,
    order: str,
    text_filter: str,
    max_size: int,
    offset: int,
) -> None:
    search = Search(
        where=where_items,
        select=select,
        order_by=order_by,
        order=order,
        text_filter=text_filter,
        max_size=max_size,
        offset=offset,
    )
    expected = {
        "select": select,
        "orderBy": order_by,
        "order": order,
        "textFilter": text_filter,
        "maxSize": max_size,
        "offset": offset,
    }
    if where_items:
        expected["where"] = where_items
    decoded = sent(search)
    assert decoded == expected
    assert json.dumps(decoded, sort_keys=True) == json.dumps(expected, sort_keys=True)  # types, not only values
    search.to_query()[0][1].encode()  # UTF-8, as a URL carries it
    assert search.with_().to_query() == search.to_query()
