"""Link and unlink records (EspoCRM's relationships)."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_espo.client.errors import EspoInputError, EspoNothingDoneError
from airflow_provider_espo.client.operations.schema import linkable
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    Request,
    build_request,
    expect_json,
    name_segment,
    record_id_segment,
    record_path,
)
from airflow_provider_espo.client.wording import a_kind

#: Ids in one request. EspoCRM links them one by one, so a long list takes long.
_IDS_AT_ONCE = 100


def link(
    state: ClientState,
    entity_type: str,
    record_id: str,
    link: str,
    related_ids: str | Sequence[str],
    *,
    validate: bool = True,
) -> Operation[Record]:
    """Link records to a record. Those already linked stay linked, so it may be tried again.

    EspoCRM links one id after the other: an error at one leaves those before it linked.

    :param entity_type: entity type of the record, such as ``TargetList``.
    :param record_id: its id.
    :param link: name of the link, such as ``leads``; many-to-many or one-to-many.
    :param related_ids: ids of the records to link; an empty list sends nothing.
    :param validate: refuse a link that the server does not have, or that is set by an attribute (``accountId``).
    :return: ``{"linked": n}``.
    :raises EspoNotFoundError: the record or one of the related does not exist.
    :raises EspoNothingDoneError: EspoCRM answered that it did nothing.
    """
    count = yield from _send(state, "POST", entity_type, record_id, link, related_ids=related_ids, validate=validate)
    return {"linked": count}


def unlink(
    state: ClientState,
    entity_type: str,
    record_id: str,
    link: str,
    related_ids: str | Sequence[str],
    *,
    validate: bool = True,
) -> Operation[Record]:
    """Unlink records from a record. Those not linked are no error, so it may be tried again.

    Takes the arguments of :meth:`link`.

    :return: ``{"unlinked": n}``, the number of ids given.
    """
    count = yield from _send(state, "DELETE", entity_type, record_id, link, related_ids=related_ids, validate=validate)
    return {"unlinked": count}


def _send(
    state: ClientState,
    method: str,
    entity_type: str,
    record_id: str,
    link: str,
    *,
    related_ids: str | Sequence[str],
    validate: bool,
) -> Operation[int]:
    # Without a link the path would be that of the record.
    path = record_path(entity_type, record_id, name_segment(link, "link"))
    ids = record_ids(related_ids)
    if not ids:
        return 0
    yield from linkable(state, entity_type, link, validate=validate, for_write=True)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        # Linking twice is linking once, so this POST may be repeated.
        outgoing = build_request(method, path, json={"ids": ids[start : start + _IDS_AT_ONCE]}, repeatable=True)
        yield from send_and_expect_true(outgoing, hint="Check the link's name and that the user may edit both sides")
    return len(ids)


def send_and_expect_true(outgoing: Request, *, hint: str | None = None) -> Operation[None]:
    """Send a request that EspoCRM answers by ``true`` when it has done what was asked.

    :param hint: what may be the reason where it has not.
    :raises EspoNothingDoneError: the answer is something else, such as ``false``.
    """
    if expect_json(outgoing, (yield outgoing)) is not True:
        raise EspoNothingDoneError(
            "EspoCRM answered that nothing was done",
            status=200,
            method=outgoing.method,
            path=outgoing.path,
            hint=hint,
        )


def record_ids(related_ids: str | Sequence[str]) -> list[str]:
    """Return ids fit to be sent, each once, of one id or a list."""
    if isinstance(related_ids, str):
        related_ids = [related_ids]
    if not isinstance(related_ids, Sequence):
        raise EspoInputError(f"related_ids is {a_kind(related_ids)} and not a list of ids")
    return list(dict.fromkeys(record_id_segment(one) for one in related_ids))
