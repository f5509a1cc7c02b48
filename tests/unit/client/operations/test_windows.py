"""What is asked before an incremental extraction: does the attribute do, and what time is it at the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoForbiddenError, EspoInputError, EspoServerError
from airflow_provider_espo.client.extraction import Question
from airflow_provider_espo.client.operations.windows import check_attribute, server_time, upper_bound
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Response
from tests.unit.client.driving import make_state

NOW = datetime(2026, 3, 1, 6, 0, 30, tzinfo=UTC)
QUESTION = Question(entity_type="Case", search=Search(select=["id", "name"], primary_filter="open"))


def asked(by: str, answer: Any, **headers: str) -> tuple[dict[str, Any], Any]:
    state = make_state()
    state.wall_clock = NOW.timestamp
    operation = upper_bound(state, QUESTION, by)
    request = next(operation)
    try:
        if isinstance(answer, Exception):
            operation.throw(answer)
        else:
            operation.send(Response(200, {"content-type": "application/json", **headers}, answer))
    except StopIteration as end:
        return dict(request.query), end.value
    raise AssertionError("It asked once more")


def test_one_small_request_tells_the_servers_time() -> None:
    query, upper = asked(
        "modifiedAt",
        b'{"total": -1, "list": [{"id": "1", "modifiedAt": "2026-02-01 00:00:00"}]}',
        date="Sun, 01 Mar 2026 05:59:58 GMT",
    )
    assert upper == "2026-03-01 05:59:58"
    assert '"maxSize":1' in query["searchParams"]
    assert '"orderBy":"modifiedAt"' in query["searchParams"]
    assert '"primaryFilter":"open"' in query["searchParams"]


def test_without_any_record_it_is_the_servers_time_too() -> None:
    assert asked("createdAt", b'{"total": 0, "list": []}', date="Sun, 01 Mar 2026 05:59:58 GMT")[1] == (
        "2026-03-01 05:59:58"
    )


def test_for_numbers_it_is_the_first_that_is_not_given() -> None:
    assert asked("number", b'{"total": -1, "list": [{"id": "1", "number": 17}]}')[1] == 18
    assert asked("number", b'{"total": 0, "list": []}')[1] == 0


@pytest.mark.parametrize("date", ["", "soon", "2026-03-01"])
def test_a_server_that_does_not_tell_the_time_gets_ours_less_a_margin(date: str) -> None:
    assert server_time(Response(200, {"date": date} if date else {}, b""), NOW) == NOW - timedelta(seconds=60)


def test_an_attribute_that_is_not_shown_is_refused() -> None:
    with pytest.raises(EspoInputError, match="does not show modifiedAt"):
        asked("modifiedAt", b'{"total": -1, "list": [{"id": "1"}]}')


def test_an_attribute_that_is_not_ordered_by_is_refused() -> None:
    refusal = EspoForbiddenError("refused", status=403, reason="Forbidden order")
    with pytest.raises(EspoInputError, match=r"does not order Case by number \(Forbidden order\)"):
        asked("number", refusal)


def test_other_failures_are_what_they_are() -> None:
    with pytest.raises(EspoServerError):
        asked("number", EspoServerError("broken", status=500))


@pytest.mark.parametrize(
    ("by", "field", "says"),
    [
        ("modifiedAt", None, "no modifiedAt"),
        ("number", None, "no number"),
        ("number", "varchar", "a number that is no autoincrement"),
        ("createdAt", "date", "a createdAt that is no datetime"),
    ],
)
def test_attributes_of_another_kind_are_refused(by: str, field: str | None, says: str) -> None:
    fields = {by: {"type": field}} if field else {}
    with pytest.raises(EspoInputError, match=says):
        check_attribute(EntitySchema.from_entity_defs("Case", {"fields": fields}), by)


def test_attributes_of_the_right_kind_do() -> None:
    fields = {"number": {"type": "autoincrement"}, "createdAt": {"type": "datetime"}}
    schema = EntitySchema.from_entity_defs("Case", {"fields": fields})
    check_attribute(schema, "number")
    check_attribute(schema, "createdAt")
