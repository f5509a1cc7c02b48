"""What a request is about, by its path and body."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from airflow_provider_espo.client.errors import EspoConflictError
from airflow_provider_espo.client.touched import Touched, touched_by, watched
from airflow_provider_espo.client.wire import Emit, Request, Response, build_request

ID = "6746d1f3a0b1c2d3e"


def reads(entity_type: str, link: str | None = None) -> Touched:
    return Touched(entity_type, writes=False, link=link)


def writes(entity_type: str) -> Touched:
    return Touched(entity_type, writes=True)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "Lead", None, [reads("Lead")]),
        ("GET", f"Lead/{ID}", None, [reads("Lead")]),
        ("GET", f"Account/{ID}/contacts", None, [reads("Account", "contacts")]),
        ("GET", f"Lead/{ID}/stream", None, [reads("Note")]),
        ("GET", "GlobalStream", None, [reads("Note")]),
        ("GET", f"Attachment/file/{ID}", None, [reads("Attachment")]),
        ("GET", "CurrencyRate", None, [reads("CurrencyRate")]),
        ("POST", "Export", {"entityType": "Lead"}, [reads("Lead")]),
        ("POST", "Lead", {"lastName": "A"}, [writes("Lead")]),
        ("PUT", f"Lead/{ID}", {"status": "New"}, [writes("Lead")]),
        ("DELETE", f"Lead/{ID}", None, [writes("Lead")]),
        ("POST", f"TargetList/{ID}/leads", {"ids": [ID]}, [writes("TargetList")]),
        ("PUT", f"Lead/{ID}/subscription", None, [writes("Lead")]),
        ("POST", "MassAction", {"entityType": "Lead", "action": "delete"}, [writes("Lead")]),
        ("POST", "Import", {"entityType": "Lead"}, [writes("Lead")]),
        ("POST", "Action", {"entityType": "Account", "action": "merge"}, [writes("Account")]),
        (
            "POST",
            "Lead/action/convert",
            {"id": ID, "records": {"Account": {}, "Contact": {}}},
            [writes("Lead"), writes("Account"), writes("Contact")],
        ),
        ("POST", f"LeadCapture/{ID}", {"lastName": "A"}, [writes("Lead")]),
        # What is about no records, or only asks.
        ("POST", "Lead/action/getConvertAttributes", {"id": ID}, []),
        ("POST", f"EmailTemplate/{ID}/prepare", {}, []),
        ("GET", "App/user", None, []),
        ("GET", "Metadata", None, []),
        ("GET", f"MassAction/{ID}/status", None, []),
        ("GET", f"Import/{ID}/errors", None, []),
        ("POST", "Import/file", None, []),
        ("POST", f"Import/{ID}/revert", None, []),
        ("POST", "MassAction", None, []),
        ("POST", "MassAction", ["Lead"], []),
        ("GET", "GlobalSearch", None, []),
        ("GET", "lead", None, []),
    ],
)
def test_a_request_is_about(method: str, path: str, body: Any, expected: list[Touched]) -> None:
    request = build_request(method, path) if body is None else build_request(method, path, json=body)
    assert touched_by(request) == expected


def requests(*sent: tuple[str, str]) -> Generator[Request, Response, list[int]]:
    statuses = []
    for method, path in sent:
        response = yield build_request(method, path)
        statuses.append(response.status)
    return statuses


def run(operation: Generator[Any, Any, Any], *answers: Any) -> tuple[Any, list[Any]]:
    """Run an operation by hand; returns its result and what it emitted."""
    emitted = []
    waiting = list(answers)
    item = next(operation)
    try:
        while True:
            if isinstance(item, Emit):
                emitted.append(item.value)
                item = operation.send(None)
            elif isinstance(answer := waiting.pop(0), Exception):
                item = operation.throw(answer)
            else:
                item = operation.send(answer)
    except StopIteration as end:
        return end.value, emitted


OK = Response(200, {}, b"{}")


def test_an_operation_does_the_same_and_each_type_is_reported_once_at_its_end() -> None:
    reported: list[list[Touched]] = []
    operation = watched(
        requests(("GET", "Lead"), ("GET", "Lead"), ("GET", "Account")), lambda it: reported.append(list(it))
    )
    assert run(operation, OK, OK, OK) == ([200, 200, 200], [])
    assert reported == [[reads("Lead"), reads("Account")]]


def test_what_was_looked_at_before_it_was_written_counts_as_written_only() -> None:
    reported: list[Touched] = []
    run(watched(requests(("GET", f"Lead/{ID}"), ("GET", "User"), ("PUT", f"Lead/{ID}")), reported.extend), OK, OK, OK)
    assert reported == [reads("User"), writes("Lead")]


def test_what_was_refused_was_not_written() -> None:
    reported: list[Touched] = []
    with pytest.raises(EspoConflictError):
        run(watched(requests(("GET", "Lead"), ("POST", "Lead")), reported.extend), OK, EspoConflictError("no"))
    assert reported == [reads("Lead")]


def test_a_stream_that_is_left_early_is_reported_as_far_as_it_came() -> None:
    def stream() -> Generator[Any, Any, None]:
        yield build_request("GET", "Lead")
        yield Emit(1)
        yield build_request("GET", "Account")

    reported: list[Touched] = []
    watching = watched(stream(), reported.extend)
    next(watching)
    assert isinstance(watching.send(OK), Emit)
    watching.close()
    assert reported == [reads("Lead")]
