from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoConnectionError,
    EspoInputError,
    EspoNotFoundError,
)
from airflow_provider_espo.client.wire import (
    NO_BODY,
    Emit,
    Request,
    Response,
    Stream,
    build_request,
    check_headers,
    drain,
    entity_type_segment,
    expect_json,
    expect_object,
    free_path,
    header_map,
    http_method,
    merge_headers,
    name_segment,
    record_id_segment,
    record_path,
    relay,
)

NOT_NAMES = [
    "",
    " ",
    "..",
    "../User",
    "Lead/x",
    "Lead?x=1",
    "Lead#x",
    "Le ad",
    "Lead%2F",
    "Lëad",
    "1Lead",
    None,
    5,
    b"Lead",
]


@pytest.mark.parametrize("value", NOT_NAMES)
def test_what_only_looks_like_an_entity_type_is_refused(value: object) -> None:
    with pytest.raises(EspoInputError, match="not an entity type"):
        entity_type_segment(value)


@pytest.mark.parametrize("value", [*NOT_NAMES[:9], "a" * 65, None, 5, ["6746d1f3a0b1c2d3e"]])
def test_what_only_looks_like_a_record_id_is_refused(value: object) -> None:
    with pytest.raises(EspoInputError, match="not a record id"):
        record_id_segment(value)


def test_an_address_given_as_an_id_is_not_repeated() -> None:
    with pytest.raises(EspoInputError) as caught:
        record_id_segment("jane.doe@example.com")
    assert "jane" not in str(caught.value)
    assert "example" not in str(caught.value)
    assert "20 characters with '.'" in str(caught.value)


@pytest.mark.parametrize("value", ["", "target Lists", "../x", "x/y", None])
def test_what_only_looks_like_a_link_is_refused(value: object) -> None:
    with pytest.raises(EspoInputError, match="is not a link"):
        name_segment(value, "link")


def test_paths_of_lists_records_and_links() -> None:
    assert record_path("Lead") == "Lead"
    assert record_path("CMyType", "a-B_9") == "CMyType/a-B_9"
    assert record_path("Lead", "id1", "targetLists") == "Lead/id1/targetLists"
    with pytest.raises(EspoInputError):
        record_path("Lead", None, "targetLists")


@pytest.mark.parametrize(
    ("given_path", "sent"),
    [
        ("Lead/action/convert", "Lead/action/convert"),
        ("/Lead", "Lead"),
        ("/api/v1/Lead", "Lead"),
        (" Lead ", "Lead"),
        ("Contact/no such id", "Contact/no%20such%20id"),
        ("Contact/no%20such%20id", "Contact/no%20such%20id"),
        ("Contact/%7euser", "Contact/~user"),
        ("Tag/Grüße", "Tag/Gr%C3%BC%C3%9Fe"),
        ("Tag/a:b@c+d", "Tag/a%3Ab%40c%2Bd"),
        ("I18n/a%25b", "I18n/a%25b"),
    ],
)
def test_a_free_path_takes_the_one_form_in_which_it_is_sent_and_signed(given_path: str, sent: str) -> None:
    assert free_path(given_path) == sent
    assert free_path(sent) == sent


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "Lead/../User", "Lead/./x", "Lead//x", "Lead/", "Lead/%2e%2e/User", "Lead%2Fx", "Lead?x=1", "Lead#top",
        "https://user:MARKER@crm.example.com/api/v1/Lead", "Lead/%ff", "Lead/\ud800", "Lead\\x", None, 7,
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused_and_not_repeated(path: object) -> None:
    with pytest.raises(EspoInputError) as caught:
        free_path(path)
    assert "MARKER" not in str(caught.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=4))
def test_a_free_path_is_plain_ascii_keeps_its_segments_and_is_stable(segments: list[str]) -> None:
    try:
        sent = free_path("/".join(segments))
    except EspoInputError:
        return
    assert sent.isascii()
    assert not set(sent) & set(' ?#\\"<>^`{|}')
    assert free_path(sent) == sent
    assert not any(unquote(part) in ("", ".", "..") for part in sent.split("/"))


def test_methods_are_those_that_espocrm_routes() -> None:
    assert http_method("put") == "PUT"
    for wrong in ("HEAD", "TRACE", "GET ", "", None, 1):
        with pytest.raises(EspoInputError):
            http_method(wrong)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "POST"])
def test_all_methods_but_post_may_be_repeated_unless_said(method: str) -> None:
    assert build_request(method, "Lead").repeatable is (method != "POST")
    assert build_request(method, "Lead", repeatable=True).repeatable
    assert not build_request(method, "Lead", repeatable=False).repeatable


class Opaque:
    def __repr__(self) -> str:
        return "MARKER"


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "body",
    [
        {"a": float("nan")}, {"a": float("inf")}, {"a": b"MARKER"}, {"a": {"MARKER"}}, {"a": Opaque()},
        {"a": Decimal("1.5")}, {"a": datetime(2024, 1, 1)}, {("MARKER",): 1}, {"a": "MARKER\ud800"}, nested(100_000),  # noqa: DTZ001
    ],
    ids=lambda body: type(next(iter(body.values())) if isinstance(body, dict) else body).__name__,
)  # fmt: skip
def test_a_body_that_json_cannot_say_is_refused_and_not_repeated(body: Any) -> None:
    with pytest.raises(EspoInputError, match="not JSON") as caught:
        build_request("POST", "Lead", json=body).body()
    assert "MARKER" not in str(caught.value)
    assert (caught.value.method, caught.value.path) == ("POST", "Lead")


def test_a_body_is_utf8_json_and_none_is_something_else_than_null() -> None:
    assert build_request("POST", "Lead", json={"n": "Zoë", "x": None}).body() == '{"n":"Zoë","x":null}'.encode()
    assert build_request("POST", "Lead", json=None).body() == b"null"
    assert build_request("POST", "Lead").body() is None
    assert repr(NO_BODY) == "NO_BODY"


def test_a_request_and_an_answer_show_no_values() -> None:
    request = build_request(
        "POST", "Lead", query=(("searchParams", "MARKER"),), json={"a": "MARKER"}, headers={"X-Secret": "MARKER"}
    )
    response = Response(200, {"set-cookie": "MARKER"}, b"MARKER")
    assert "MARKER" not in repr(request) + repr(response)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: b"), ("X-A", "a\nb"), ("X-A", "a\0"), ("X-A", " a"), ("X-A", "a "), ("X-A", "Zoë"),
        ("X-A", 5),
        ("X-A", None), ("X-A", b"a"), ("X A", "a"), ("X-A:", "a"), ("", "a"), (5, "a"), ("Content-Length", "3"),
        ("transfer-encoding", "chunked"),
    ],
)  # fmt: skip
def test_a_header_that_one_of_the_libraries_could_not_send_is_refused(name: Any, value: Any) -> None:
    with pytest.raises(EspoInputError, match="cannot be sent") as caught:
        check_headers({name: value})
    assert str(value) == "3" or repr(value) not in str(caught.value)


@pytest.mark.parametrize("value", ["", "a", "a b\tc", "!~", "true"])
def test_an_ordinary_header_passes(value: str) -> None:
    check_headers({"X-Skip-Duplicate-Check": value})


def test_of_headers_that_differ_in_letter_case_only_the_last_is_kept() -> None:
    assert merge_headers({"Accept": "a", "X-B": "1"}, {"accept": "b"}, {"ACCEPT": "c"}) == {"ACCEPT": "c", "X-B": "1"}


def test_header_values_are_read_as_utf8_where_they_are() -> None:
    headers = header_map(
        [(b"X-Status-Reason", "Größe".encode()), (b"X-Old", "é".encode("latin-1")), (b"A", b"1"), (b"a", b"2")]
    )
    assert headers == {"x-status-reason": "Größe", "x-old": "é", "a": "1, 2"}


def test_json_is_known_by_its_type_in_any_letter_case() -> None:
    assert Response(200, {"content-type": "APPLICATION/JSON; charset=x"}, b"").is_json
    assert not Response(200, {"content-type": "text/html"}, b"").is_json
    assert not Response(200, {}, b"").is_json


def test_what_is_not_json_is_a_plain_value_error_whatever_the_library_calls_it() -> None:
    with pytest.raises(ValueError, match="malformed") as caught:
        Response(200, {}, b"<br />").json()
    assert type(caught.value) is ValueError


def test_an_empty_reason_is_none_but_known_to_have_come() -> None:
    assert Response(403, {"x-status-reason": ""}, b"").reason is None
    assert Response(403, {"x-status-reason": ""}, b"").has_reason_header
    assert not Response(403, {}, b"").has_reason_header


@pytest.mark.parametrize("content", [b"<br />Warning{}", b'{"id": ', b"\xff", b"NaN", b"a b"])
@pytest.mark.parametrize(("method", "unknown"), [("GET", False), ("POST", True), ("PUT", True), ("DELETE", True)])
def test_a_success_that_is_not_json_leaves_open_whether_a_write_was_done(
    content: bytes, method: str, unknown: bool
) -> None:
    request = build_request(method, "Lead")
    with pytest.raises(EspoBadAnswerError, match="not JSON") as caught:
        expect_json(request, Response(200, {}, content))
    assert caught.value.outcome_unknown is unknown
    assert (caught.value.status, caught.value.path) == (200, "Lead")


def test_an_answer_that_is_no_object_says_what_it_is() -> None:
    request = build_request("GET", "Lead")
    assert expect_object(request, Response(200, {}, b'{"a": 1}')) == {"a": 1}
    assert expect_json(request, Response(200, {}, b" ")) is None
    for content, kind in ((b"[1]", "list"), (b"", "NoneType"), (b"false", "bool"), (b'"MARKER"', "str")):
        with pytest.raises(EspoBadAnswerError, match=f"a {kind} came") as caught:
            expect_object(request, Response(200, {}, content))
        assert "MARKER" not in str(caught.value)


# -- generators that drive generators --------------------

ONE, TWO = build_request("GET", "one"), build_request("GET", "two")


def respond(content: bytes) -> Response:
    return Response(200, {}, content)


def answer_of(request: Request) -> Generator[Any, Any, Response]:
    got = yield ("send", request.path)
    if isinstance(got, Exception):
        raise got
    return respond(got)


def test_relay_answers_each_request_and_passes_on_what_is_emitted() -> None:
    def source() -> Stream[str]:
        first = yield ONE
        yield Emit("between")
        second = yield TWO
        yield Emit(first.content.decode() + second.content.decode())

    steps = relay(source(), answer_of)
    assert next(steps) == ("send", "one")
    assert steps.send(b"1") == Emit("between")
    assert next(steps) == ("send", "two")
    assert steps.send(b"2") == Emit("12")
    with pytest.raises(StopIteration):
        next(steps)


def test_an_error_is_raised_where_the_operation_asked_and_can_be_handled_there() -> None:
    def source() -> Generator[Request, Response, str]:
        try:
            yield ONE
        except EspoNotFoundError:
            return (yield TWO).content.decode()
        return "not reached"

    steps = relay(source(), answer_of)
    next(steps)
    assert steps.send(EspoNotFoundError("gone")) == ("send", "two")
    with pytest.raises(StopIteration) as end:
        steps.send(b"ok")
    assert end.value.value == "ok"


def test_an_error_that_is_not_handled_comes_out_as_it_is() -> None:
    failure = EspoConnectionError("x")

    def source() -> Generator[Request, Response, None]:
        yield ONE

    steps = relay(source(), answer_of)
    next(steps)
    with pytest.raises(EspoConnectionError) as caught:
        steps.send(failure)
    assert caught.value is failure


@pytest.mark.parametrize("wrap", [lambda g: relay(g, answer_of), lambda g: drain(g, print)], ids=["relay", "drain"])
def test_giving_up_closes_what_is_driven(wrap: Any) -> None:
    closed = []

    def source() -> Generator[Any, Any, None]:
        try:
            yield ONE
        finally:
            closed.append(True)

    kept = source()
    steps = wrap(kept)
    next(steps)
    steps.close()
    assert closed == [True]


def test_drain_hands_on_what_is_emitted_and_lets_the_stream_handle_errors() -> None:
    taken: list[Any] = []

    def source() -> Stream[int]:
        try:
            yield ONE
        except EspoNotFoundError:
            yield Emit(1)
        answer = yield TWO
        yield Emit(len(answer.content))

    operation = drain(source(), taken.append)
    assert next(operation) is ONE
    assert operation.throw(EspoNotFoundError("x")) is TWO
    assert taken == [1]
    with pytest.raises(StopIteration):
        operation.send(respond(b"four"))
    assert taken == [1, 4]
