from __future__ import annotations

import json

import pytest

from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import (
    Request,
    Router,
    error_reply,
    framework_error,
    header_text,
    is_deeper_than,
)
from tests.unit.sandbox.asking import Asker


def test_fixed_paths_win_over_variable_ones_and_earlier_over_later() -> None:
    router = Router()
    router.add("GET", "/{controller}/{id}", lambda context: 1, action="general")
    router.add("GET", "/App/user", lambda context: 2, action="fixed")
    router.add("GET", "/{controller}/action/{action}", lambda context: 3, action="action")
    router.add("GET", "/{controller}/{id}/{link}", lambda context: 4, action="link")
    found = [router.match("GET", path) for path in ("/App/user", "/App/x", "/A/action/b", "/A/b/c", "/A", "/A/b/c/d")]
    assert [match and match.route.action for match in found] == ["fixed", "general", "action", "link", None, None]


def test_path_parts_are_decoded_once() -> None:
    router = Router()
    router.add("GET", "/{controller}/{id}", lambda context: 1)
    match = router.match("GET", "/Lead/a%2Fb%2525")
    assert match is not None
    assert match.params == {"controller": "Lead", "id": "a/b%25"}


def test_wrong_method_lists_the_right_ones() -> None:
    request = Request("PUT", "/Lead", "", {"accept": "text/html"})
    reply = framework_error(request, ["GET", "POST"])
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, POST")
    assert b"<h1>405 Method Not Allowed</h1>" in reply.content


def test_body_is_read_only_with_its_content_type() -> None:
    def body(content_type: str | None, content: bytes, method: str = "POST") -> object:
        headers = {} if content_type is None else {"content-type": content_type}
        return Request(method, "/", "", headers, content).json

    assert body("application/json; charset=utf-8", b'{"a": 1}') == {"a": 1}
    assert body("text/plain", b'{"a": 1}') == {}
    assert body(None, b'{"a": 1}') == {}
    assert body("application/json", b"[1]") == {"list": [1]}
    assert body("application/x-www-form-urlencoded", b"a=1&b[]=2") == {"a": "1", "b": ["2"]}
    assert body("application/x-www-form-urlencoded", b"a=1", "PUT") == {}
    for broken, status in (
        (b"{", 500),
        (b"\xff", 500),
        (b"NaN", 500),
        (b"1", 400),
        (b"null", 400),
        (b"[" * 600 + b"]" * 600, 500),
    ):
        with pytest.raises(ApiError) as caught:
            body("application/json", broken)
        assert caught.value.status == status


def test_depth() -> None:
    assert is_deeper_than([[[]]], 2)
    assert not is_deeper_than([[1]], 2)
    assert not is_deeper_than(1, 0)


def test_reason_is_one_line_that_a_header_can_carry() -> None:
    reply = error_reply(ApiError(400, "a\r\nX-Evil: ü"))
    assert "\n" not in reply.headers["X-Status-Reason"]
    assert header_text("ü").encode("latin-1").decode() == "ü"
    assert reply.content == b""


def test_failure_in_a_handler_is_an_empty_500(crm: Asker, caplog: pytest.LogCaptureFixture) -> None:
    def fail(context: object) -> None:
        raise RuntimeError("private detail")

    crm.sandbox.router.add("GET", "/Fail", fail)
    reply = crm.send("GET", "Fail")
    assert (reply.status, reply.content) == (500, b"")
    assert "private detail" not in str(reply.headers)
    assert "GET /Fail failed" in caplog.text


def test_every_answer_to_a_user_tells_the_time_of_the_app(crm: Asker) -> None:
    assert crm.send("GET", "Lead").headers["X-App-Timestamp"].isdigit()
    assert "X-App-Timestamp" not in crm.send("GET", "Lead", headers={"X-Api-Key": "wrong"}).headers


def test_metadata_key_names_a_part(crm: Asker) -> None:
    options = crm.send("GET", "Metadata", query="key=entityDefs.Lead.fields.status.options")
    assert json.loads(options.content)[0] == "New"
    assert crm.send("GET", "Metadata", query="key=entityDefs.Lead.fields.status.type").content == b"enum"
    assert crm.send("GET", "Metadata", query="key=entityDefs.Nope").content == b""
    assert crm.as_user("limited").send("GET", "Metadata", query="key=entityDefs.Account.fields").content == b""


def test_metadata_tells_the_columns_of_a_link_and_what_shows_them_on_the_other_side(crm: Asker) -> None:
    contact = crm.ok("GET", "Metadata", query="key=entityDefs.Contact.fields.accounts")
    assert contact["columns"] == {"role": "contactRole", "isInactive": "contactIsInactive"}
    assert contact["additionalAttributeList"] == ["columns"]
    assert crm.ok("GET", "Metadata", query="key=entityDefs.Opportunity.fields.contacts")["columns"] == {
        "role": "opportunityRole"
    }


def test_crash_is_json_or_a_page(crm: Asker) -> None:
    assert json.loads(crm.send("GET", "Lead", query="where[0]=x").content) == {"message": "Slim Application Error"}
    page = crm.send("GET", "Lead", query="where[0]=x", headers={"Accept": "*/*"})
    assert page.status == 500
    assert page.content.startswith(b"<!doctype html>")
