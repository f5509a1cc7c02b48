from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.operations import system
from airflow_provider_espo.client.wire import Operation, Request, Response
from tests.unit.client.driving import make_state, over_httpx, over_requests, run
from tests.unit.client.fake_espo import FakeEspo


@pytest.fixture
def fake() -> FakeEspo:
    return FakeEspo()


def answered(operation: Operation[Any], content: bytes, status: int = 200) -> Any:
    """Result of an operation whose one request is answered so."""
    next(operation)
    try:
        operation.send(Response(status, {"content-type": "application/json"}, content))
    except StopIteration as stop:
        return stop.value
    raise AssertionError("one request was expected")


def first(operation: Operation[Any]) -> Request:
    return next(operation)


# -- any request ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("Lead", "Lead"),
        ("/Lead", "Lead"),
        ("/api/v1/Lead", "Lead"),
        ("api/v1/Lead/action/convert", "Lead/action/convert"),
        (" Lead ", "Lead"),
        ("//x", "x"),
        ("Lead/Käse und Wein", "Lead/K%C3%A4se%20und%20Wein"),
        ("Lead/K%C3%A4se", "Lead/K%C3%A4se"),
        ("LeadCapture/a&b=c", "LeadCapture/a%26b%3Dc"),
    ],
)
def test_paths_are_sent_in_one_form_below_the_api(path: str, sent: str) -> None:
    assert first(system.request(make_state(), "GET", path)).path == sent


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "Lead/../User",
        "Lead/%2e%2e/User",
        "..",
        "Lead//1",
        "Lead/",
        "Lead?maxSize=1",
        "Lead#x",
        "https://other.example.com/api/v1/Lead",
        "Lead/a%2Fb",
        None,
        5,
        ["Lead"],
    ],
)
def test_paths_that_lead_elsewhere_are_refused_before_anything_is_sent(fake: FakeEspo, path: Any) -> None:
    with pytest.raises(EspoInputError):
        run(fake, system.request(make_state(), "GET", path))
    assert fake.calls == []


@pytest.mark.parametrize("method", ["GET", "post", "Put", "PATCH", "delete"])
def test_methods_are_those_espocrm_has_in_any_letter_case(method: str) -> None:
    assert first(system.request(make_state(), method, "Lead")).method == method.upper()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "", None, "GET /x", 5])
def test_other_methods_are_refused(fake: FakeEspo, method: Any) -> None:
    with pytest.raises(EspoInputError, match="not one of"):
        run(fake, system.request(make_state(), method, "Lead"))
    assert fake.calls == []


def test_a_request_may_be_repeated_unless_it_is_a_post_or_said_otherwise() -> None:
    assert first(system.request(make_state(), "PUT", "Lead/a1")).repeatable
    assert not first(system.request(make_state(), "POST", "Lead")).repeatable
    assert first(system.request(make_state(), "POST", "Lead", repeatable=True)).repeatable


def test_query_values_keep_their_types_as_json_and_texts_stay_as_they_are() -> None:
    query = {
        "q": "Käse & Wein",
        "flag": True,
        "none": None,
        "size": 5,
        "boolFilterList": ["onlyMy"],
        "searchParams": {"where": [{"type": "equals", "attribute": "name", "value": "ä"}], "maxSize": 0},
    }
    pairs = dict(first(system.request(make_state(), "GET", "Lead", query=query)).query)
    assert pairs["q"] == "Käse & Wein"
    assert (pairs["flag"], pairs["none"], pairs["size"]) == ("true", "null", "5")
    assert json.loads(pairs["boolFilterList"]) == ["onlyMy"]
    assert json.loads(pairs["searchParams"]) == query["searchParams"]


@pytest.mark.parametrize(
    "query", ["maxSize=1", [("a", "b")], {5: "x"}, {"": "x"}, {"x": float("nan")}, {"x": b"s3cret"}, {"x": {"s3cret"}}]
)
def test_a_query_that_cannot_be_sent_is_refused_without_its_values(fake: FakeEspo, query: Any) -> None:
    with pytest.raises(EspoInputError) as caught:
        run(fake, system.request(make_state(), "GET", "Lead", query=query))
    assert "s3cret" not in str(caught.value)
    assert fake.calls == []


@pytest.mark.parametrize("name", ["where", "whereGroup"])
@pytest.mark.parametrize("value", [[], [{"type": "isNull", "attribute": "name"}], '[{"type": "isNull"}]', {"a": 1}])
def test_a_filter_the_server_would_ignore_is_refused_because_it_would_return_every_record(
    fake: FakeEspo, name: str, value: Any
) -> None:
    with pytest.raises(EspoInputError, match="would return every record"):
        run(fake, system.request(make_state(), "GET", "Lead", query={name: value}))
    assert fake.calls == []


def test_filters_in_phps_form_are_sent() -> None:
    request = first(system.request(make_state(), "GET", "Lead", query={"where[0][type]": "isNull"}))
    assert request.query == (("where[0][type]", "isNull"),)


@pytest.mark.parametrize(
    "name",
    [
        "X-Api-Key",
        "x-api-key",
        "X-Hmac-Authorization",
        "Authorization",
        "Espo-Authorization",
        "Espo-Authorization-By-Token",
        "X-Another-User",
        "Cookie",
    ],
)
def test_headers_that_say_who_one_is_are_the_connections_business(fake: FakeEspo, name: str) -> None:
    with pytest.raises(EspoInputError, match="connection's business") as caught:
        run(fake, system.request(make_state(), "GET", "Lead", headers={name: "s3cret"}))
    assert "s3cret" not in str(caught.value)
    assert fake.calls == []


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-B: b"}, {"X A": "b"}, {"X-A": 5}, ["X-A"], "X-A: b"])
def test_headers_that_cannot_be_sent_are_refused(fake: FakeEspo, headers: Any) -> None:
    with pytest.raises(EspoInputError):
        run(fake, system.request(make_state(), "GET", "Lead", headers=headers))
    assert fake.calls == []


def test_other_headers_and_the_body_are_sent(fake: FakeEspo) -> None:
    record_id = fake.add("Account", name="Acme")
    with over_requests(fake) as client:
        answer = client.request(
            "PUT", f"Account/{record_id}", json={"type": "Partner"}, headers={"X-Version-Number": "1"}
        )
    assert answer["type"] == "Partner"
    (call,) = fake.seen("PUT")
    assert call.headers["x-version-number"] == "1"
    assert call.headers["x-api-key"] == "key123"
    assert call.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("body", "value"), [(b"true", True), (b"", None), (b"[1]", [1]), (b"0", 0)])
def test_any_json_is_an_answer_and_no_body_is_none(body: bytes, value: Any) -> None:
    assert answered(system.request(make_state(), "GET", "x"), body) == value


def test_what_is_not_json_is_a_bad_answer() -> None:
    with pytest.raises(EspoBadAnswerError):
        answered(system.request(make_state(), "GET", "x"), b"Fatal error")


# -- who and what --------------------------------------------------------------------------------------------------


def test_whoami_says_who_and_remembers_the_id(fake: FakeEspo) -> None:
    state = make_state()
    me = run(fake, system.whoami(state))
    assert me == {"id": fake.user_id, "user_name": "airflow", "type": "api", "name": "Airflow"}
    assert run(fake, system.my_user_id(state)) == fake.user_id
    assert fake.count("GET", "App/user") == 1


@pytest.mark.parametrize("body", [b"{}", b'{"user": null}', b'{"user": {"id": null}}'])
def test_a_user_without_an_id_is_no_user_to_look_for(body: bytes) -> None:
    with pytest.raises(EspoBadAnswerError, match="who the connection's user is"):
        answered(system.my_user_id(make_state()), body)


def test_the_version_is_known_since_eight_one(fake: FakeEspo) -> None:
    assert run(fake, system.server_version(make_state())) == "10.0.0"
    assert answered(system.server_version(make_state()), b"{}") is None


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'["New"]', ["New"]), (b'"currency"', "currency"), (b"currency", "currency"), (b"", None), (b"\xff", "\ufffd")],
)
def test_metadata_may_be_any_value_also_a_bare_text(body: bytes, value: Any) -> None:
    assert answered(system.metadata(make_state(), "entityDefs.Lead"), body) == value


def test_metadata_without_a_key_is_all_of_it(fake: FakeEspo) -> None:
    assert "Lead" in run(fake, system.metadata(make_state()))["entityDefs"]
    assert run(fake, system.metadata(make_state(), "entityDefs.Lead.fields.status.type")) == "enum"
    assert run(fake, system.metadata(make_state(), "entityDefs.Nope")) is None


def test_settings_are_an_object(fake: FakeEspo) -> None:
    assert run(fake, system.settings(make_state()))["timeZone"] == "UTC"


async def test_the_asynchronous_client_says_the_same(fake: FakeEspo) -> None:
    async with over_httpx(fake) as client:
        assert (await client.whoami())["type"] == "api"
        assert await client.server_version() == "10.0.0"
        assert (await client.settings())["timeZone"] == "UTC"
        assert await client.metadata("entityDefs.Lead.fields.status.type") == "enum"
        with pytest.raises(EspoInputError):
            await client.request("GET", "Lead/../User")
