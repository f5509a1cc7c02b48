"""Streams: read from the newest down, looked at again and again, posted to, followed."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.errors import (
    EspoConnectionError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoNothingDoneError,
    EspoTimeoutError,
)
from airflow_provider_espo.client.operations import posting, stream
from airflow_provider_espo.client.state import ClientState, new_state
from airflow_provider_espo.client.wire import Request, Response

CASE = "6746d1f3a0b1c2d3e"
ME = "65a1b2c3d4e5f6071"


class StreamServer:
    """A stream as EspoCRM has it: newest first, filtered by ``where``; and what else posting needs."""

    def __init__(self, numbers: int = 0, **note: Any) -> None:
        self.notes = [
            {"id": f"n{number}", "number": number, "type": "Post", **note} for number in range(1, numbers + 1)
        ]
        self.requests: list[Request] = []
        self.followers: set[str] = set()
        self.unfollowable: set[str] = set()
        self.users = {"sales"}
        self.lose: EspoError | None = None
        self.counts = False

    def post(self, **values: Any) -> dict[str, Any]:
        number = len(self.notes) + 1
        note = {"id": f"n{number}", "number": number, "createdById": ME, "createdAt": _now(), **values}
        self.notes.append(note)
        return note

    def answer(self, request: Request) -> Response | EspoError:
        self.requests.append(request)
        if request.method == "GET" and request.path.endswith(("tream", "stream/own")):
            return self._list(json.loads(dict(request.query).get("searchParams", "{}")))
        if request.path == "App/user":
            return _ok({"user": {"id": ME}})
        if request.path == "User":
            wanted = json.loads(dict(request.query)["searchParams"])["where"][0]["value"]
            return _ok({"list": [{"id": "u", "userName": name} for name in wanted if name in self.users], "total": -2})
        if request.path == "Note":
            note = self.post(**request.json)
            if self.lose is not None:
                lost, self.lose = self.lose, None
                return lost
            return _ok({key: value for key, value in note.items() if key != "number"})
        if request.path.endswith("/subscription"):
            return _ok(True)
        ids = set(request.json["ids"]) if request.method != "GET" else set()
        if request.method == "POST":
            self.followers |= ids - self.unfollowable
        elif request.method == "DELETE":
            self.followers -= ids
        else:
            return _ok({"list": [{"id": one} for one in sorted(self.followers)], "total": len(self.followers)})
        return _ok(True)

    def _list(self, params: dict[str, Any]) -> Response:
        found = [note for note in self.notes if all(_holds(note, item) for item in params.get("where", []))]
        found.sort(key=lambda note: -int(note["number"]))
        size = params.get("maxSize", 200)
        more = len(found) > size
        total = len(found) if self.counts else (-1 if more else -2)
        return _ok({"total": total, "list": found[:size]})


def _holds(note: dict[str, Any], item: dict[str, Any]) -> bool:
    mine, value = note.get(item["attribute"]), item["value"]
    match item["type"]:
        case "greaterThan":
            return bool(mine > value)
        case "greaterThanOrEquals":
            return bool(mine >= value)
        case "lessThan":
            return bool(mine < value)
        case "equals":
            return bool(mine == value)
        case "in":
            return mine in value
        case "contains":
            return value in (mine or "")
        case other:
            raise AssertionError(other)


def _ok(body: Any) -> Response:
    return Response(200, {"content-type": "application/json"}, json.dumps(body).encode())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def run(operation: Generator[Request, Response, Any], server: StreamServer) -> Any:
    try:
        request = next(operation)
        while True:
            answer = server.answer(request)
            request = operation.throw(answer) if isinstance(answer, EspoError) else operation.send(answer)
    except StopIteration as stop:
        return stop.value


@pytest.fixture
def state() -> ClientState:
    return new_state(ClientConfig(site_url="http://127.0.0.1:1", secret="k" * 32, page_size=7, max_retries=0))


def ids(notes: list[dict[str, Any]]) -> list[str]:
    return [str(note["id"]) for note in notes]


# -- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [False, True], ids=["total is not counted", "total is counted"])
@pytest.mark.parametrize("numbers", [0, 1, 6, 7, 8, 14, 40])
def test_all_notes_come_in_the_order_of_their_numbers(state: ClientState, numbers: int, counts: bool) -> None:
    server = StreamServer(numbers)
    server.counts = counts
    assert ids(run(stream.list_notes(state), server)) == [f"n{number}" for number in range(1, numbers + 1)]


def test_a_limit_gives_the_newest_and_asks_for_no_more(state: ClientState) -> None:
    server = StreamServer(40)
    assert ids(run(stream.list_notes(state, limit=9), server)) == [f"n{number}" for number in range(32, 41)]
    assert len(server.requests) == 2


def test_numbers_bound_it_on_both_sides(state: ClientState) -> None:
    found = run(stream.list_notes(state, after_number=10, before_number=14), StreamServer(40))
    assert ids(found) == ["n11", "n12", "n13"]


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        ({}, "GlobalStream"),
        ({"stream": "own"}, "Stream"),
        ({"entity_type": "Case", "record_id": CASE}, f"Case/{CASE}/stream"),
    ],
)
def test_it_reads_the_stream_that_is_meant(state: ClientState, filters: Any, path: str) -> None:
    server = StreamServer(1)
    run(stream.list_notes(state, **filters), server)
    assert [request.path for request in server.requests] == [path]


@pytest.mark.parametrize(
    "filters",
    [
        {"entity_type": "Case"},
        {"record_id": CASE},
        {"entity_type": "Case", "record_id": CASE, "stream": "own"},
        {"stream": "mine"},
        {"entity_type": "../Case", "record_id": CASE},
        {"entity_type": "Case", "record_id": "a/b"},
        {"note_types": "Post"},
        {"note_types": []},
        {"created_by": ""},
        {"after_number": -1},
        {"limit": -1},
        {"where": "[]"},
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(state: ClientState, filters: Any) -> None:
    server = StreamServer(1)
    with pytest.raises(EspoInputError):
        run(stream.list_notes(state, **filters), server)
    assert server.requests == []


def test_filters_are_the_servers(state: ClientState) -> None:
    server = StreamServer(2, parentType="Case", createdById=ME, post="hello")
    server.post(type="Update", parentType="Lead")
    found = run(stream.list_notes(state, note_types=["Post"], parent_types=["Case"], created_by=ME, text="ell"), server)
    assert ids(found) == ["n1", "n2"]


# -- looking again and again ----------------------------------------------------------------------------------------


def test_without_a_number_the_notes_from_now_on_are_new(state: ClientState) -> None:
    server = StreamServer(30)
    first = run(stream.new_notes(state), server)
    assert (first["note_ids"], first["last_number"]) == ([], 30)
    server.post(type="Post")
    second = run(stream.new_notes(state, cursor=first["cursor"]), server)
    assert (second["note_ids"], second["last_number"]) == (["n31"], 31)
    assert run(stream.new_notes(state, cursor=second["cursor"]), server)["note_ids"] == []


def test_notes_above_a_given_number_are_new_and_those_up_to_it_are_not(state: ClientState) -> None:
    found = run(stream.new_notes(state, since_number=28), StreamServer(30))
    assert found["note_ids"] == ["n29", "n30"]


def test_a_note_that_became_visible_late_is_new(state: ClientState) -> None:
    server = StreamServer(30)
    late = server.notes.pop(19)
    first = run(stream.new_notes(state), server)
    server.notes.append(late)
    assert run(stream.new_notes(state, cursor=first["cursor"]), server)["note_ids"] == ["n20"]


@pytest.mark.parametrize("number", [-1, 1_000_000])
def test_a_negative_number_and_one_of_another_server_are_refused(state: ClientState, number: int) -> None:
    with pytest.raises(EspoInputError, match="number"):
        run(stream.new_notes(state, since_number=number), StreamServer(30))


def test_an_empty_stream_begins_at_zero(state: ClientState) -> None:
    server = StreamServer(0)
    first = run(stream.new_notes(state), server)
    server.post(type="Post")
    assert run(stream.new_notes(state, cursor=first["cursor"]), server)["note_ids"] == ["n1"]


# -- posting --------------------------------------------------------------------------------------------------------


def place() -> dict[str, Any]:
    return {"entity_type": "Case", "record_id": CASE}


def test_a_post_goes_to_its_record(state: ClientState) -> None:
    server = StreamServer()
    assert run(posting.post_note(state, "Hello", **place()), server) == {"id": "n1", "action": "created"}
    assert server.requests[-1].json == {"type": "Post", "post": "Hello", "parentType": "Case", "parentId": CASE}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"user_ids": ["a", "a", "b"]}, {"targetType": "users", "usersIds": ["a", "b"]}),
        ({"team_ids": ["t"]}, {"targetType": "teams", "teamsIds": ["t"]}),
        ({"audience": "self"}, {"targetType": "self"}),
        ({"audience": "all"}, {"targetType": "all"}),
    ],
)
def test_or_it_goes_to_people(state: ClientState, given: Any, sent: Any) -> None:
    server = StreamServer()
    run(posting.post_note(state, "Hello", **given), server)
    assert server.requests[-1].json == {"type": "Post", "post": "Hello", **sent}


@pytest.mark.parametrize(
    "given",
    [
        {"post": "Hello"},
        {"post": " ", **place()},
        {"post": "Hello", **place(), "user_ids": ["a"]},
        {"post": "Hello", "audience": "everybody"},
        {"post": "Hello", "entity_type": "Case"},
        {"post": None, **place()},
        {"post": "Hello", **place(), "mentions": "sales"},
        {"post": "Hello", **place(), "attachment_ids": ["../x"]},
    ],
)
def test_a_post_without_text_or_place_is_refused_before_anything_is_sent(state: ClientState, given: Any) -> None:
    server = StreamServer()
    with pytest.raises(EspoInputError):
        run(posting.post_note(state, **given), server)
    assert server.requests == []


def test_who_is_mentioned_stands_in_the_text_once(state: ClientState) -> None:
    server = StreamServer()
    run(posting.post_note(state, "please look", mentions=["sales"], **place()), server)
    run(posting.post_note(state, "thanks @sales", mentions=["@sales"], **place()), server)
    assert [note["post"] for note in server.notes] == ["@sales please look", "thanks @sales"]


def test_a_mention_of_nobody_is_refused_and_nothing_is_posted(state: ClientState) -> None:
    server = StreamServer()
    with pytest.raises(EspoInputError, match="nobody42"):
        run(posting.post_note(state, "hi", mentions=["sales", "nobody42"], **place()), server)
    assert server.notes == []


def test_after_a_lost_answer_there_is_one_post(state: ClientState) -> None:
    server = StreamServer()
    server.lose = EspoConnectionError("broken", outcome_unknown=True)
    assert run(posting.post_note(state, "Hello", **place()), server)["id"] == "n1"
    assert len(server.notes) == 1


def test_after_a_time_out_that_posted_nothing_yet_the_error_is_raised_and_nothing_sent_again(
    state: ClientState,
) -> None:
    server = StreamServer()
    server.lose = EspoTimeoutError("late", outcome_unknown=True)
    original = server.post
    server.post = lambda **values: values  # type: ignore[method-assign]
    with pytest.raises(EspoTimeoutError):
        run(posting.post_note(state, "Hello", **place()), server)
    server.post = original  # type: ignore[method-assign]
    assert sum(request.path == "Note" for request in server.requests) == 1


def test_a_retry_takes_the_post_of_the_earlier_try(state: ClientState) -> None:
    server = StreamServer()
    since = datetime.now(UTC)
    run(posting.post_note(state, "Hello", **place()), server)
    again = run(posting.post_note(state, "Hello", look_for_earlier_since=since, **place()), server)
    other = run(posting.post_note(state, "Other", look_for_earlier_since=since, **place()), server)
    assert (again["id"], other["id"], len(server.notes)) == ("n1", "n2", 2)


def test_a_record_that_is_not_there_is_explained(state: ClientState) -> None:
    server = StreamServer()
    server.lose = EspoForbiddenError("No", status=403, reason="No create access.")
    with pytest.raises(EspoForbiddenError, match="no such record"):
        run(posting.post_note(state, "Hello", **place()), server)


# -- following ------------------------------------------------------------------------------------------------------


def test_one_follows_a_record_oneself(state: ClientState) -> None:
    server = StreamServer()
    assert run(posting.follow(state, "Case", CASE), server) == {"followed": 1}
    assert run(posting.unfollow(state, "Case", CASE), server) == {"unfollowed": 1}
    assert [(request.method, request.path) for request in server.requests] == [
        ("PUT", f"Case/{CASE}/subscription"),
        ("DELETE", f"Case/{CASE}/subscription"),
    ]


def test_others_are_made_to_follow_it_and_again_is_no_error(state: ClientState) -> None:
    server = StreamServer()
    for _ in range(2):
        assert run(posting.follow(state, "Case", CASE, user_ids=["a", "b"]), server) == {"followed": 2}
    assert server.followers == {"a", "b"}
    assert run(posting.unfollow(state, "Case", CASE, user_ids=["a"]), server) == {"unfollowed": 1}
    assert server.followers == {"b"}


def test_true_that_did_nothing_is_an_error_that_names_who(state: ClientState) -> None:
    server = StreamServer()
    server.unfollowable = {"apiuser"}
    with pytest.raises(EspoNothingDoneError, match="apiuser"):
        run(posting.follow(state, "Case", CASE, user_ids=["a", "apiuser"]), server)


def test_nobody_to_follow_sends_nothing(state: ClientState) -> None:
    server = StreamServer()
    assert run(posting.follow(state, "Case", CASE, user_ids=[]), server) == {"followed": 0}
    assert server.requests == []
