"""What EspoCRM has of a file: its record and its content."""

from __future__ import annotations

from contextlib import suppress

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoError,
    EspoForbiddenError,
    EspoNotFoundError,
)
from airflow_provider_espo.client.files import Measure
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    Request,
    build_request,
    expect_object,
    record_id_segment,
    record_path,
)


def record_of(attachment_id: str) -> Operation[Record | None]:
    """Return a file's record, ``None`` if there is none that the user may see."""
    outgoing = build_request("GET", record_path("Attachment", attachment_id))
    try:
        return expect_object(outgoing, (yield outgoing))
    except (EspoNotFoundError, EspoForbiddenError):
        return None


def fetch(attachment_id: str, sink: Measure) -> Operation[Request]:
    """Have a file written to a sink; return the request that asked for it."""
    outgoing = build_request("GET", f"Attachment/file/{record_id_segment(attachment_id)}", sink=sink)
    response = yield outgoing
    if not response.in_sink:
        raise EspoBadAnswerError(
            "This is no file of EspoCRM", status=response.status, method=outgoing.method, path=outgoing.path
        )
    return outgoing


def arrived_of(attachment_id: str) -> Operation[Measure]:
    """Look how much of a file EspoCRM has."""
    measure = Measure()
    try:
        yield from fetch(attachment_id, measure)
    except EspoNotFoundError:
        # Before its first chunk there is a record and no file.
        measure.begin()
    return measure


def delete(attachment_id: str) -> Operation[None]:
    """Delete a file that is of no use, if that can be done."""
    outgoing = build_request("DELETE", record_path("Attachment", attachment_id))
    with suppress(EspoError):
        yield outgoing


def not_as_promised(outgoing: Request, wrong: str) -> EspoBadAnswerError:
    """Return the error for a file that is not the one it should be.

    :param outgoing: the request that asked for it.
    :param wrong: what is wrong with it.
    """
    return EspoBadAnswerError(
        f"The file is not what it should be: {wrong}",
        method=outgoing.method,
        path=outgoing.path,
        hint="Try again. If it stays so, look at EspoCRM's file storage and at proxies that change what passes",
    )
