"""Which entity types a request reads or writes, by its path and body. For lineage of hooks that are called directly."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_espo.client.wire import Request, Response, relay

T = TypeVar("T")

_ENTITY_TYPE = re.compile(r"[A-Z][A-Za-z0-9]{0,99}")

#: Parts of the API that are about no records, or say in their body about which.
_NO_RECORDS = frozenset(
    {
        "Action",
        "Activities",
        "App",
        "Export",
        "Formula",
        "GlobalSearch",
        "I18n",
        "Import",
        "MassAction",
        "Metadata",
        "Pdf",
        "Preferences",
        "Settings",
        "Webhook",
    }
)
_STREAMS = frozenset({"GlobalStream", "Stream"})
_STREAMS_OF_RECORDS = frozenset({"stream", "posts", "updateStream"})
#: What a ``POST`` to a record can be that changes nothing.
_ONLY_ASKED = frozenset({"prepare", "pdf"})
#: By path of a ``POST`` whose body names the entity type: whether that writes.
_NAMED_IN_BODY: Mapping[str, bool] = {"Action": True, "MassAction": True, "Import": True, "Export": False}


@dataclass(frozen=True, slots=True)
class Touched:
    """Records that a request reads or writes.

    :param entity_type: their type; with a ``link`` that of the record it belongs to.
    :param writes: whether they are written.
    :param link: the records read are at the other end of this link.
    """

    entity_type: str
    writes: bool
    link: str | None = None


def touched_by(request: Request) -> list[Touched]:
    """Return what a request reads or writes, nothing where it is about no records.

    :param request: any request to EspoCRM's API.
    """
    head, *rest = request.path.split("/")
    writes = request.method != "GET"
    if head in _STREAMS:
        return [Touched("Note", writes=False)]
    if head in _NO_RECORDS:
        return _in_body(request, head) if request.method == "POST" and not rest else []
    if not _ENTITY_TYPE.fullmatch(head):
        return []
    if rest[:1] == ["action"]:
        return _by_action(request, head, rest[1:]) if writes else []
    if request.method == "POST" and rest and rest[-1] in _ONLY_ASKED:
        return []
    if head == "LeadCapture" and request.method == "POST" and rest:
        return [Touched("Lead", writes=True)]
    if len(rest) > 1 and not writes and head != "Attachment":
        return [Touched("Note", writes=False) if rest[1] in _STREAMS_OF_RECORDS else Touched(head, False, rest[1])]
    return [Touched(head, writes)]


def watched(operation: Generator[Any, Any, T], report: Callable[[Iterable[Touched]], object]) -> Generator[Any, Any, T]:
    """Run an operation or a stream as it is, and report at its end what its requests were about.

    What it read before it wrote the same is left out: it only looked what there is to be done.

    :param operation: the operation.
    :param report: gets what was read and written, each once.
    """
    seen: dict[Touched, None] = {}

    def noting(request: Request) -> Generator[Request, Response, Response]:
        response = yield request
        seen.update(dict.fromkeys(touched_by(request)))
        return response

    try:
        return (yield from relay(operation, noting))
    finally:
        written = {one.entity_type for one in seen if one.writes}
        report([one for one in seen if one.writes or one.link or one.entity_type not in written])


def _in_body(request: Request, path: str) -> list[Touched]:
    body = request.json
    named = body.get("entityType") if isinstance(body, Mapping) else None
    if path not in _NAMED_IN_BODY or not isinstance(named, str):
        return []
    return [Touched(named, _NAMED_IN_BODY[path])]


def _by_action(request: Request, entity_type: str, action: list[str]) -> list[Touched]:
    if not action or action[0].startswith("get"):
        return []
    touched = [Touched(entity_type, writes=True)]
    records = request.json.get("records") if isinstance(request.json, Mapping) else None
    if isinstance(records, Mapping):
        touched += [Touched(one, writes=True) for one in records]
    return touched
