"""One upload: in one request, or in chunks that EspoCRM puts together.

A chunk has no number, so one whose answer got lost is not just sent again: how much has arrived is looked up first, by
reading the half-uploaded file back. By the same look an upload is taken up that an earlier try began.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from airflow_provider_espo.client.bodies import Work
from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoError,
    EspoInputError,
    EspoNothingDoneError,
    EspoServerError,
    EspoTimeoutError,
)
from airflow_provider_espo.client.files import Source
from airflow_provider_espo.client.operations.stored_files import arrived_of, delete, not_as_promised, record_of
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.wire import (
    FileOperation,
    build_request,
    expect_json,
    expect_object,
    record_id_segment,
    record_path,
)

#: A proxy gave up waiting: the server behind it may still be at work.
_GATEWAY_TIMEOUTS: Final = frozenset({504, 524})
_MOST_LOST_CHUNKS: Final = 3
# A multiple of 3, so that the pieces' base64 can be put one after the other.
_ENCODED_AT_ONCE: Final = 3 * 64 * 1024


class Upload:
    """One upload of a file.

    :param source: the file.
    :param size: its size in bytes.
    :param about: attributes of the attachment.
    :param chunk_size: bytes of the file in one request.
    :param on_started: called with the attachment's id as soon as there is one.
    """

    def __init__(
        self,
        source: Source,
        size: int,
        about: Mapping[str, Any],
        chunk_size: int,
        on_started: Callable[[str], object] | None,
    ) -> None:
        self._source = source
        self._size = size
        self._about = about
        self._chunk_size = chunk_size
        self._on_started = on_started
        self._prefix = f"data:{about['type']};base64,"
        self._is_proved = False

    def whole(self) -> FileOperation[str]:
        """Upload it from its beginning."""
        yield Work(self._source.open)
        if self._size <= self._chunk_size:
            data = yield from self._next(self._size)
            attachment_id = yield from self._create({"file": self._prefix + base64.b64encode(data).decode()})
        else:
            attachment_id = yield from self._create({"isBeingUploaded": True, "size": self._size})
            yield from self._chunks(attachment_id, 0)
        return attachment_id

    def go_on(self, attachment_id: str) -> FileOperation[str | None]:
        """Go on with an upload that was begun; ``None`` if it holds something else or is gone."""
        record = yield from record_of(attachment_id)
        if record is None or record.get("name") != self._about["name"] or record.get("size") != self._size:
            return None
        arrived = yield from arrived_of(attachment_id)
        if arrived.size > self._size:
            return None
        yield Work(self._source.open)
        if (yield Work(lambda: self._source.digest_of_next(arrived.size))) != arrived.sha256:
            return None
        self._is_proved = arrived.size == self._size
        if self._is_proved == bool(record.get("isBeingUploaded")):
            # All is there and EspoCRM waits for more, or the other way round.
            return None
        yield from self._chunks(attachment_id, arrived.size)
        return attachment_id

    def checked(self, attachment_id: str, verify_content: bool) -> FileOperation[str]:
        """Make sure that EspoCRM has what was sent, and return its SHA-256."""
        if (yield Work(lambda: self._source.read(1))):
            raise EspoInputError("The file grew while it was being sent")
        outgoing = build_request("GET", record_path("Attachment", attachment_id))
        record = expect_object(outgoing, (yield outgoing))
        size, wrong = record.get("size"), None
        if record.get("isBeingUploaded"):
            wrong = "EspoCRM waits for more of it"
        elif isinstance(size, int) and size != self._size:
            wrong = f"it has {size} bytes instead of {self._size}"
        elif verify_content and not self._is_proved:
            arrived = yield from arrived_of(attachment_id)
            if (arrived.size, arrived.sha256) != (self._size, self._source.sha256):
                wrong = f"its {arrived.size} bytes are not what was sent"
        if wrong is not None:
            # Useless as it is: nobody should find and use it.
            yield from delete(attachment_id)
            raise not_as_promised(outgoing, wrong)
        return self._source.sha256

    def _create(self, content: Mapping[str, Any]) -> FileOperation[str]:
        # Without a record it is no harm to have it twice: EspoCRM removes what nobody uses.
        outgoing = build_request("POST", "Attachment", json={**self._about, **content}, repeatable=True)
        try:
            attachment_id = expect_object(outgoing, (yield outgoing)).get("id")
        except EspoBadRequestError as error:
            _hint_on_size(error)
            raise
        if not isinstance(attachment_id, str) or not attachment_id:
            raise EspoBadAnswerError("The answer to an upload has no id", method=outgoing.method, path=outgoing.path)
        if (on_started := self._on_started) is not None:
            yield Work(lambda: on_started(attachment_id))
        return attachment_id

    def _chunks(self, attachment_id: str, done: int) -> FileOperation[None]:
        while done < self._size:
            data = yield from self._next(min(self._chunk_size, self._size - done))
            yield from self._chunk(attachment_id, data, done)
            done += len(data)

    def _chunk(self, attachment_id: str, data: bytes, done: int) -> FileOperation[None]:
        outgoing = build_request(
            "POST",
            f"Attachment/chunk/{record_id_segment(attachment_id)}",
            content=_Chunk(self._prefix, data),
        )
        lost = 0
        while True:
            try:
                if expect_json(outgoing, (yield outgoing)) is not True:
                    raise EspoNothingDoneError(
                        "EspoCRM did not take a part of the file", status=200, method="POST", path=outgoing.path
                    )
                return
            except EspoBadRequestError as error:
                _hint_on_size(error)
                raise
            except EspoError as error:
                if not outcome_is_unknown(error):
                    raise
                failure = error
            arrived = yield from arrived_of(attachment_id)
            if arrived.size == done + len(data):
                return
            lost += 1
            # What is still on its way would arrive twice.
            if arrived.size != done or _may_be_under_way(failure) or lost > _MOST_LOST_CHUNKS:
                raise failure

    def _next(self, size: int) -> FileOperation[bytes]:
        data: bytes = yield Work(lambda: self._source.read(size))
        if len(data) < size:
            raise EspoInputError("The file shrank while it was being sent")
        return data


class _Chunk:
    """A part of a file, as the body of a request."""

    content_type = "application/octet-stream"

    def __init__(self, prefix: str, data: bytes) -> None:
        self._prefix = prefix.encode()
        self._data = data

    @property
    def size(self) -> int:
        """Bytes that will come."""
        return len(self._prefix) + 4 * -(-len(self._data) // 3)

    def blocks(self) -> Iterator[bytes]:
        """Give it from its beginning, encoded piece by piece."""
        yield self._prefix
        for start in range(0, len(self._data), _ENCODED_AT_ONCE):
            yield base64.b64encode(self._data[start : start + _ENCODED_AT_ONCE])


def _hint_on_size(error: EspoBadRequestError) -> None:
    if error.status == 413:
        error.hint = "The web server takes no request of this size: give a smaller chunk_size"


def _may_be_under_way(error: EspoError) -> bool:
    return isinstance(error, EspoTimeoutError) or (
        isinstance(error, EspoServerError) and error.status in _GATEWAY_TIMEOUTS
    )
