"""What an extraction is made of: the question, the ranges of ids it is cut into, and the pages that come.

A page keeps each record as the bytes that came (``msgspec.Raw``), so that records which nobody has to look into are
never taken apart. Only what the walk goes by, the id and the attributes that tell of changes, is read of each.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self, TypedDict

import msgspec

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.where_check import WhereItem
from airflow_provider_espo.client.wire import Record, Request, Response, record_id_segment


class RowKeys(TypedDict, total=False):
    """What is read of every record of a page; a row has of them what was selected."""

    id: str
    createdAt: str | None
    modifiedAt: str | None
    #: A whole number where it is an autoincrement; elsewhere somebody's own field of any type.
    number: Any


class _Envelope(msgspec.Struct):
    rows: list[msgspec.Raw] = msgspec.field(name="list")
    total: int | None = None


class _KeysEnvelope(msgspec.Struct):
    rows: list[RowKeys] = msgspec.field(name="list")
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A range of ids in the server's own order, which need not be Python's: above one id, up to and with another.

    The parts of a plan follow each other without a gap, the first is open below and the last above: whatever the
    records' ids look like, every record is in exactly one part.

    :param number: place among the parts, from 0.
    :param of: how many parts there are.
    :param after: id that the range begins after; ``None`` for the beginning.
    :param up_to: last id of the range; ``None`` for the end.
    :param expected: records that were in it when it was planned; ``None`` where that is not known.
    """

    number: int = 0
    of: int = 1
    after: str | None = None
    up_to: str | None = None
    expected: int | None = None

    def where(self, after: str | None = None) -> list[WhereItem]:
        """Give the where items of the range.

        :param after: id up to which it was read already.
        """
        items: list[WhereItem] = []
        if (beginning := after if after is not None else self.after) is not None:
            items.append({"type": "greaterThan", "attribute": "id", "value": beginning})
        if self.up_to is not None:
            items.append({"type": "lessThanOrEquals", "attribute": "id", "value": self.up_to})
        return items

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, for XCom and files."""
        return {
            "number": self.number,
            "of": self.of,
            "after": self.after,
            "up_to": self.up_to,
            "expected": self.expected,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` returned.

        :raises EspoInputError: it is something else.
        """
        number, of, expected = given.get("number"), given.get("of"), given.get("expected")
        if not isinstance(number, int) or not isinstance(of, int) or not 0 <= number < of:
            raise EspoInputError(
                "This is no part of a plan: number and of do not fit", hint="Give what a plan returned"
            )
        for name in ("after", "up_to"):
            if given.get(name) is not None:
                record_id_segment(given[name])
        return cls(
            number=number,
            of=of,
            after=given.get("after"),
            up_to=given.get("up_to"),
            expected=expected if isinstance(expected, int) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is extracted, checked: the names are the server's, the projection is settled.

    :param entity_type: such as ``Lead``.
    :param search: filters and ``select``; the order is the walk's own.
    :param detailed: attributes that only the answer for a single record has, such as ``emailAddressData``: for these
        every record is read by itself.
    :param page_size: records a request.
    """

    entity_type: str
    search: Search
    detailed: tuple[str, ...] = ()
    page_size: int = 200

    @property
    def columns(self) -> tuple[str, ...]:
        """Attributes that a record is to have, in order; ``id`` first."""
        return tuple(dict.fromkeys(("id", *(self.search.select or ()), *self.detailed)))

    def narrowed(self, *items: WhereItem) -> Self:
        """Return the question about fewer records.

        :param items: where items that must hold as well.
        """
        return replace(self, search=self.search.and_where(*items))

    def with_attribute(self, name: str) -> Self:
        """Return the question with one attribute more, if it is not selected already."""
        if self.search.select is None or name in self.search.select:
            return self
        return replace(self, search=self.search.with_(select=[*self.search.select, name]))

    def fingerprint(self) -> str:
        """Return a checksum of what is asked for: what was extracted for another question is no use for this one."""
        text = json.dumps([self.entity_type, self.search.to_params(), list(self.detailed)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Page:
    """Records of one range that came together.

    :param rows: the records' JSON.
    :param keys: of each record the id and what was selected of the attributes that tell of changes.
    """

    def __init__(self, rows: Sequence[bytes | msgspec.Raw], keys: Sequence[RowKeys]) -> None:
        self.rows = rows
        self.keys = keys

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        """The records' ids."""
        return [row["id"] for row in self.keys]

    @property
    def last_id(self) -> str:
        """Id of the last record: everything up to it has come."""
        return self.keys[-1]["id"]

    @cached_property
    def records(self) -> list[Record]:
        """The records, taken apart."""
        return [msgspec.json.decode(row) for row in self.rows]

    def lines(self) -> bytes:
        """Return the records as NDJSON, a line each, as they came."""
        return b"\n".join([*self.rows, b""]) if self.rows else b""

    def where(self, wanted: Callable[[RowKeys], bool]) -> Page:
        """Return a page of those records whose keys are wanted."""
        kept = [index for index, keys in enumerate(self.keys) if wanted(keys)]
        if len(kept) == len(self.rows):
            return self
        return Page([self.rows[index] for index in kept], [self.keys[index] for index in kept])

    @classmethod
    def of_records(cls, records: Sequence[Record], keys: Sequence[RowKeys]) -> Page:
        """Return a page of records that were changed after they came."""
        return cls([msgspec.json.encode(record) for record in records], keys)


def decode_page(request: Request, response: Response) -> tuple[dict[str, Any], list[msgspec.Raw]]:
    """Return a list's answer as a pager takes it, of each record no more than its keys; and the records' JSON.

    :raises EspoBadAnswerError: it is no list of records with ids.
    """
    try:
        keys = msgspec.json.decode(response.content, type=_KeysEnvelope)
        rows = msgspec.json.decode(response.content, type=_Envelope).rows
    except msgspec.MsgspecError:
        raise EspoBadAnswerError(
            "A page has no list of records with ids", status=response.status, method="GET", path=request.path
        ) from None
    if b"\n" in response.content:
        # Written over several lines, as a debugging proxy may do: one line each is what NDJSON means.
        rows = [msgspec.Raw(msgspec.json.format(bytes(row), indent=-1)) for row in rows]
    return {"list": keys.rows, "total": keys.total}, rows


class PageSink(Protocol):
    """Takes the pages of one part, in the order of the walk. Called on the thread that drives the walk."""

    def write(self, page: Page) -> None:
        """Take a page. What it raises ends the extraction."""

    def finish(self) -> None:
        """Know that all pages have come."""


class Halt:
    """Ends all walks of an extraction when one of them fails."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def called(self) -> bool:
        """Whether a walk failed."""
        return self._event.is_set()

    def call(self) -> None:
        """End the walks before their next page."""
        self._event.set()
