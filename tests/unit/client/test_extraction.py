from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.extraction import Page, Part, Question, decode_page
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Response, build_request

ASKED = build_request("GET", "Lead")


def page_of(*records: dict[str, Any], **dumping: Any) -> Page:
    content = json.dumps({"total": -2, "list": list(records)}, **dumping).encode()
    answer, rows = decode_page(ASKED, Response(200, {}, content))
    return Page(rows, answer["list"])


# -- pages ---------------------------------------------------------------------------------------------------------


def test_records_pass_as_the_very_bytes_that_came() -> None:
    content = b'{"total":-2,"list":[{"id":"a1","amount":0.10000000000000000001,"name":"J\\u00fcrgen\\/"},{"id":"b2"}]}'
    answer, rows = decode_page(ASKED, Response(200, {}, content))
    lines = Page(rows, answer["list"]).lines()
    assert lines == b'{"id":"a1","amount":0.10000000000000000001,"name":"J\\u00fcrgen\\/"}\n{"id":"b2"}\n'


@given(
    st.lists(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(), max_size=4), max_size=5),
    st.sampled_from([None, 2]),
)
def test_there_is_one_line_for_each_record_however_the_answer_was_written(
    records: list[dict[str, Any]], indent: int | None
) -> None:
    records = [{**record, "id": f"{index:017x}"} for index, record in enumerate(records)]
    for record in records:
        # What is read of each record has the types that EspoCRM gives.
        record.update(dict.fromkeys(("createdAt", "modifiedAt", "number")))
    page = page_of(*records, indent=indent)
    assert [json.loads(line) for line in page.lines().splitlines()] == records == page.records
    assert page.ids == [record["id"] for record in records]


def test_of_a_record_only_what_tells_of_changes_is_read() -> None:
    page = page_of({"id": "a", "modifiedAt": "2026-01-05 10:00:00", "number": 7, "name": "Jane", "teamsIds": ["t"]})
    assert page.keys == [{"id": "a", "modifiedAt": "2026-01-05 10:00:00", "number": 7}]
    assert page.last_id == "a"


@pytest.mark.parametrize("number", ["R-17", 17, 1.5, None, ["a", "b"]])
def test_an_attribute_called_number_may_be_of_any_type(number: Any) -> None:
    content = json.dumps({"total": -2, "list": [{"id": "a", "number": number}]}).encode()
    answer, _ = decode_page(ASKED, Response(200, {}, content))
    assert answer["list"] == [{"id": "a", "number": number}]


def test_a_page_of_some_records_keeps_their_order() -> None:
    page = page_of({"id": "a"}, {"id": "b"}, {"id": "c"})
    assert page.where(lambda keys: keys["id"] != "b").lines() == b'{"id": "a"}\n{"id": "c"}\n'
    assert page.where(lambda keys: True) is page
    assert page.where(lambda keys: False).lines() == b""


def test_changed_records_are_written_anew() -> None:
    page = Page.of_records([{"id": "a", "emails": ["x"]}], [{"id": "a"}])
    assert page.lines() == b'{"id":"a","emails":["x"]}\n'


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"list": 5}', b'{"list": ["a"]}', b'{"list": [{"id": 5}]}'])
def test_what_is_no_list_of_records_is_no_page(body: bytes) -> None:
    with pytest.raises(EspoBadAnswerError, match="no list of records"):
        decode_page(ASKED, Response(200, {}, body))


# -- parts ---------------------------------------------------------------------------------------------------------


def test_a_part_is_above_one_id_and_up_to_another() -> None:
    part = Part(number=1, of=3, after="a", up_to="m")
    assert part.where() == [
        {"type": "greaterThan", "attribute": "id", "value": "a"},
        {"type": "lessThanOrEquals", "attribute": "id", "value": "m"},
    ]
    assert part.where("f")[0]["value"] == "f"
    assert Part().where() == []


def test_a_part_goes_through_xcom() -> None:
    part = Part(number=1, of=3, after="a", up_to=None, expected=12)
    assert Part.from_dict(json.loads(json.dumps(part.as_dict()))) == part


@pytest.mark.parametrize(
    "given", [{}, {"number": 3, "of": 3}, {"number": "0", "of": 1}, {"number": 0, "of": 1, "after": "x' OR"}]
)
def test_what_is_no_part_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(EspoInputError):
        Part.from_dict(given)


# -- questions -----------------------------------------------------------------------------------------------------


def test_questions_are_told_apart_by_what_they_ask() -> None:
    where = [{"type": "equals", "attribute": "status", "value": "New"}]
    question = Question(entity_type="Lead", search=Search(where=where, select=["id", "name"]))
    again = Question(entity_type="Lead", search=Search(where=list(where), select=["id", "name"]), page_size=50)
    others = [
        Question(entity_type="Contact", search=question.search),
        Question(entity_type="Lead", search=question.search, detailed=("emailAddressData",)),
        question.narrowed({"type": "isTrue", "attribute": "doNotCall"}),
        question.with_attribute("status"),
    ]
    assert question.fingerprint() == again.fingerprint()
    assert len({question.fingerprint(), *(other.fingerprint() for other in others)}) == 5


def test_columns_begin_with_the_id_and_name_everything_once() -> None:
    question = Question(entity_type="Lead", search=Search(select=["name", "id"]), detailed=("emailAddressData",))
    assert question.columns == ("id", "name", "emailAddressData")
    assert question.with_attribute("name") is question
