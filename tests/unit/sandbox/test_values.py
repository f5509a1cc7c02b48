from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.sandbox.definition_lines import parse_field
from airflow_provider_espo.sandbox.definitions import AttributeDef
from airflow_provider_espo.sandbox.settings import Settings
from airflow_provider_espo.sandbox.values import broken_rule, cast, is_email, is_url


@pytest.mark.parametrize(
    ("kind", "given", "cast_to"),
    [
        ("varchar", "  a ", "a"),
        ("varchar", "   ", None),
        ("varchar", 12, "12"),
        ("varchar", True, "1"),
        ("varchar", ["a"], "Array"),
        ("varchar", {"a": 1}, "Object"),
        ("int", "12", 12),
        ("int", 10.9, 10),
        ("int", "x", "x"),
        ("int", "", None),
        ("float", "2.50", 2.5),
        ("float", True, 1),
        ("bool", "true", True),
        ("bool", "yes", False),
        ("bool", 1, True),
        ("datetime", "2031-05-10T10:00:00+02:00", "2031-05-10 08:00:00"),
        ("datetime", "2031-05-10T10:00:00Z", "2031-05-10 10:00:00"),
        ("datetime", "2031-05-10T10:00:00", "2031-05-10T10:00:00"),
        ("datetime", "2031-13-10T10:00:00Z", "2031-13-10T10:00:00Z"),
        ("datetime", "2031-05-10T10:00Z", "2031-05-10T10:00Z"),
        ("datetime", "", None),
        ("date", "2031-05-10T23:30:00-05:00", "2031-05-10"),
        ("date", "2031-05-10T10:00:00", "2031-05-10T10:00:00"),
        ("date", "2031-05-10 10:00:00", "2031-05-10 10:00:00"),
        ("date", "", None),
        ("jsonArray", ["a"], ["a"]),
    ],
)
def test_values_are_cast_for_their_attribute(kind: Any, given: Any, cast_to: Any) -> None:
    assert cast(given, AttributeDef("x", kind, "x"), None) == cast_to


@pytest.mark.parametrize(
    ("line", "record", "rule"),
    [
        ("varchar required", {}, "required"),
        ("varchar required", {"x": ""}, "required"),
        ("varchar 3", {"x": "abcd"}, "maxLength"),
        ("varchar", {"x": "a" * 256}, "maxLength"),
        ("text", {"x": "a" * 100_000}, None),
        ("varchar clean", {"x": "a<b"}, "pattern"),
        ("int min=1 max=3", {"x": 0}, "min"),
        ("int min=1 max=3", {"x": 4}, "max"),
        ("int min=1 max=3", {"x": "many"}, "valid"),
        ("int required", {"x": 0}, None),
        ("currency", {"x": 1, "xCurrency": "XXX"}, "validCurrency"),
        ("currency", {"x": 1, "xCurrency": "EUR"}, None),
        ("date", {"x": "2031-02-30"}, "valid"),
        ("date", {"x": "2032-02-29"}, None),
        ("datetime", {"x": "2031-01-01 25:00:00"}, "valid"),
        ("datetime", {"x": "2031-01-01 23:59"}, None),
        ("datetimeOptional required", {"xDate": "2031-01-01"}, None),
        ("datetimeOptional", {"xDate": "soon"}, "valid"),
        ("datetimeOptional required", {}, "required"),
        ("link required", {"xId": "1"}, None),
        ("link required", {}, "required"),
        ("linkMultiple required", {"xIds": []}, "required"),
        ("linkMultiple maxCount=1", {"xIds": ["a", "b"]}, "maxCount"),
        ("linkParent entities=A,B", {"xId": "1", "xType": "C"}, "valid"),
        ("email", {"x": "a@b"}, "emailAddress"),
        ("email", {"xData": [{"emailAddress": "a@example.org"}, {"emailAddress": "b@"}]}, "emailAddress"),
        ("email", {"xData": ["a@example.org"]}, "emailAddress"),
        ("phone", {"xData": [{"phoneNumber": "+49 30 123456"}, {"phoneNumber": "1"}]}, "valid"),
        ("url", {"x": "example.org/a"}, None),
        ("url", {"x": "http://a b"}, "valid"),
        ("array", {"x": "a"}, "array"),
        ("array", {"x": ["a", 1]}, "arrayOfString"),
        ("array", {"x": ["a" * 101]}, "maxItemLength"),
        ("array", {"x": ["a" * 100]}, None),
        ("int", {"x": 2**31}, "rangeInternal"),
        ("int", {"x": -(2**31)}, None),
        ("url 5", {"x": "a b c d"}, "maxLength"),
        ("url protocol", {"x": "example.org"}, "valid"),
        ("url protocol", {"x": "http://localhost/x"}, None),
        ("link", {"xId": "../1"}, "pattern"),
        ("linkMultiple", {"xIds": ["a", 1]}, "pattern"),
        ("linkMultiple", {"xIds": ["a/b"]}, "pattern"),
        ("linkParent entities=A,B", {"xType": "C"}, "valid"),
        ("linkParent entities=A,B", {"xId": "1"}, None),
        ("email", {"xData": [{"emailAddress": ""}]}, None),
        ("email", {"xData": [{"emailAddress": f"a{i}@example.org"} for i in range(11)]}, "maxCount"),
        ("phone", {"xData": [{"type": "Office"}]}, "valid"),
        ("phone types=Office,Fax", {"xData": [{"phoneNumber": "+4930123456", "type": "Home"}]}, "valid"),
        ("phone types=Office,Fax", {"xData": [{"phoneNumber": "+4930123456", "type": "Fax"}]}, None),
    ],
)
def test_first_broken_rule(line: str, record: dict[str, Any], rule: str | None) -> None:
    assert broken_rule(parse_field("x", line), record, Settings()) == rule


@pytest.mark.parametrize(
    ("choices", "record", "rule"),
    [
        ("A | B", {"x": "A"}, None),
        ("A | B", {"x": "a"}, "valid"),
        ("A | B", {"x": None}, "valid"),
        ("A | B", {}, None),
        (" | A", {"x": None}, None),
        (" | A", {"x": ""}, None),
    ],
)
def test_enum_takes_its_options_and_nothing_only_if_that_is_one(
    choices: str, record: dict[str, Any], rule: str | None
) -> None:
    assert broken_rule(parse_field("x", "enum", choices), record, Settings()) == rule


def test_multi_enum_takes_only_its_options() -> None:
    field = parse_field("x", "multiEnum", "A | B")
    assert broken_rule(field, {"x": ["A", "B"]}, Settings()) is None
    assert broken_rule(field, {"x": ["A", "C"]}, Settings()) == "valid"


def test_person_needs_a_name_or_what_stands_for_it() -> None:
    field = parse_field("name", "personName anyof=emailAddress")
    assert broken_rule(field, {}, Settings()) == "required"
    assert broken_rule(field, {"firstName": "A"}, Settings()) is None
    assert broken_rule(field, {"emailAddressData": [{"emailAddress": "a@example.org"}]}, Settings()) is None


@pytest.mark.parametrize("address", ["a@example.org", "first.last+tag@sub.example.co", f"{'a' * 64}@example.org"])
def test_good_email(address: str) -> None:
    assert is_email(address)


@pytest.mark.parametrize(
    "address",
    ["", "a", "a@", "@b.org", "a b@c.org", "a@b", "a..b@c.org", "a@-b.org", "a@b.org.", "ü@b.org", "a@exämple.org"],
)
def test_bad_email(address: str) -> None:
    assert not is_email(address)


@pytest.mark.parametrize("url", ["example.org", "ftp://example.org:21/x?y=1&z#w", "http://127.0.0.1:8090", "a./~b"])
def test_url_needs_a_dot_and_may_have_a_scheme(url: str) -> None:
    assert is_url(url)


@pytest.mark.parametrize(
    "url", ["", ".", "http://", "localhost", "http://localhost/x", ".org", "a b.org", "exämple.org"]
)
def test_text_that_is_no_url(url: str) -> None:
    assert not is_url(url)


@pytest.mark.parametrize(("given", "cast_to"), [(None, []), ([" a", "b "], ["a", "b"]), ([1], [1]), ("a", "a")])
def test_lists_are_never_null_and_their_texts_have_no_blanks_around(given: Any, cast_to: Any) -> None:
    assert cast(given, AttributeDef("x", "jsonArray", "x"), parse_field("x", "array")) == cast_to
