"""Webhooks: EspoCRM posts changes to an address, signed with a key that it makes for each webhook."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoForbiddenError,
    EspoInputError,
    EspoValidationError,
)
from airflow_provider_espo.client.operations.keys import Found
from airflow_provider_espo.client.operations.listing import list_records
from airflow_provider_espo.client.operations.lost import create_once
from airflow_provider_espo.client.operations.records import delete_record
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, build_request

_PATH = "Webhook"
_EVENT = re.compile(r"[A-Z][A-Za-z0-9]*\.(create|update|delete|fieldUpdate\.[A-Za-z][A-Za-z0-9]*)")
_MAX_URL = 512
# Parsing an address leaves line ends out without a word.
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")

_EVENT_HINT = (
    "Give Entity.create, Entity.update, Entity.delete or Entity.fieldUpdate.field, such as Lead.create or "
    "Account.fieldUpdate.assignedUser: the field's name, not that of its attribute assignedUserId"
)
_RIGHT_HINT = (
    "Webhooks are for API users with a role that has Webhooks switched on and reads the entity type, at most 50 for "
    "each user, and for administrators"
)
_INTERNAL_HINT = (
    "EspoCRM sends webhooks to internal addresses, and to names that its server cannot look up, only if its "
    "administrator allows host:port: 'webhookAllowedAddressList' in data/config-internal.php"
)
#: How EspoCRM's reasons begin where it is the event that it refuses.
_EVENT_REASONS = ("Field ", "Not supported event", "Event ", "Entity type ")


def list_webhooks(state: ClientState, *, event: str | None = None, url: str | None = None) -> Operation[list[Record]]:
    """Return the webhooks that the connection's user registered, the oldest first.

    :param event: only those for this event, such as ``Lead.create``.
    :param url: only those that deliver to this address.
    :return: for each ``{"id", "event", "url", "is_active", "skip_own", "secret_key"}``. ``secret_key`` is a secret, and
        ``None`` where EspoCRM does not show it; ``skip_own`` is ``None`` before EspoCRM 9.2.
    :raises EspoForbiddenError: the user may not have webhooks.
    """
    where = [{"type": "equals", "attribute": "createdById", "value": (yield from my_user_id(state))}]
    for name, value in (("event", event), ("url", url)):
        if value is not None:
            where.append({"type": "equals", "attribute": name, "value": value})
    try:
        found = yield from list_records(state, _PATH, where=where, validate=False)
    except EspoForbiddenError as error:
        error.hint = _RIGHT_HINT
        raise
    # EspoCRM compares without letter case.
    same = [one for one in found if event in (None, one.get("event")) and url in (None, one.get("url"))]
    return [_shown(one) for one in same]


def create_webhook(
    state: ClientState,
    event: str,
    url: str,
    *,
    skip_own: bool = False,
    is_active: bool = True,
    known_ids: Collection[str] = (),
) -> Operation[Record]:
    """Register a webhook.

    One whose answer got lost is looked for before it is tried again: a webhook of the connection's user for the same
    event and address that is not among ``known_ids``.

    :param event: ``Lead.create``, ``Lead.update``, ``Lead.delete`` or ``Lead.fieldUpdate.status``.
    :param url: address that EspoCRM posts to.
    :param skip_own: leave out changes that the connection's user makes (EspoCRM 9.2 and later).
    :param is_active: whether it delivers already; set it later by an update of the record.
    :param known_ids: ids of webhooks for this event and address that were there before.
    :return: ``{"id", "event", "url", "is_active", "skip_own", "secret_key"}``; ``secret_key`` is a secret.
    :raises EspoInputError: that is no event or no address, or this EspoCRM has no ``skip_own``.
    :raises EspoValidationError: EspoCRM refused the address; rule ``notInternal``: its administrator does not allow it.
    :raises EspoForbiddenError: EspoCRM refused the event, or the user may not have webhooks.
    """
    check_event(event)
    check_url(url)
    values = {"event": event, "url": url, "isActive": is_active, **({"skipOwn": True} if skip_own else {})}
    outgoing = build_request("POST", _PATH, json=values)

    def find(_since: datetime) -> Operation[Found | None]:
        there = yield from list_webhooks(state, event=event, url=url)
        new = [one for one in there if one["id"] not in known_ids and one["secret_key"]]
        return Found(_stored(new[-1])) if new else None

    try:
        record, _ = yield from create_once(state, outgoing, find)
    except EspoValidationError as error:
        if error.rule == "notInternal":
            error.hint = _INTERNAL_HINT
        raise
    except EspoForbiddenError as error:
        error.hint = _EVENT_HINT if (error.reason or "").startswith(_EVENT_REASONS) else _RIGHT_HINT
        raise
    webhook = _shown(record)
    if not webhook["secret_key"]:
        yield from delete_record(state, _PATH, webhook["id"])
        raise EspoBadAnswerError("EspoCRM gave no secret key for the webhook", method="POST", path=_PATH)
    if skip_own and not webhook["skip_own"]:
        yield from delete_record(state, _PATH, webhook["id"])
        raise EspoInputError("This EspoCRM has no skip_own for webhooks", hint="It came with EspoCRM 9.2")
    return webhook


def check_event(event: object) -> None:
    """Refuse what is no event of a webhook.

    :raises EspoInputError: it is none.
    """
    if not isinstance(event, str) or not _EVENT.fullmatch(event):
        raise EspoInputError("That is not an event of a webhook", hint=_EVENT_HINT)


def check_url(url: object) -> None:
    """Refuse what is no address that EspoCRM can post to. The address itself is not repeated: it may hold a token.

    :raises EspoInputError: it is none.
    """
    good = isinstance(url, str) and len(url) <= _MAX_URL and not _BLANK.search(url) and _is_http(url)
    if not good:
        raise EspoInputError(
            "The url of a webhook is not an http or https address", hint=f"Give one of at most {_MAX_URL} characters"
        )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _shown(record: Record) -> dict[str, Any]:
    return {
        "id": str(record.get("id")),
        "event": record.get("event"),
        "url": record.get("url"),
        "is_active": bool(record.get("isActive")),
        "skip_own": record.get("skipOwn"),
        "secret_key": record.get("secretKey") or None,
    }


def _stored(webhook: Record) -> Record:
    """The record again, as EspoCRM has it."""
    names = {"is_active": "isActive", "skip_own": "skipOwn", "secret_key": "secretKey"}
    return {names.get(name, name): value for name, value in webhook.items()}
