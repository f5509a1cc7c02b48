"""Send e-mails through EspoCRM, each once.

EspoCRM sends while it answers, and has no key to tell a second request from the first. So an e-mail is stored as draft
first, which may be looked up, and the draft is sent then: what became of it can be read at any time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_espo.client.errors import (
    EspoApiError,
    EspoError,
    EspoInputError,
    EspoServerError,
)
from airflow_provider_espo.client.operations.keys import Found, read_whole
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW, create_once, same_values
from airflow_provider_espo.client.operations.relations import record_ids
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_object,
    record_id_segment,
    record_path,
)

_SENDING = {"status": "Sending"}

#: Statuses of an e-mail that was to be sent; *Archived* is one that was only stored.
_OF_SENDING = frozenset({"Draft", "Sending", "Sent", "Failed"})

#: What EspoCRM gives back otherwise than it got it.
_NOT_AS_SENT = frozenset({"status", "from", "to", "cc", "bcc", "attachmentsIds"})

_BROKE_OFF = 500

#: Only so far as to tell an address from what is none: whether it exists, the mail server knows.
_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")


def send_email(
    state: ClientState,
    *,
    to: str | Sequence[str],
    subject: str,
    body: str = "",
    from_address: str | None = None,
    cc: str | Sequence[str] | None = None,
    bcc: str | Sequence[str] | None = None,
    is_html: bool = True,
    entity_type: str | None = None,
    record_id: str | None = None,
    attachment_ids: Sequence[str] | None = None,
    look_for_earlier_since: datetime | None = None,
) -> Operation[Record]:
    """Send an e-mail, once.

    It is stored as draft, and the draft is sent. A later try finds the e-mail of an earlier one (created by the
    connection's user since, with the same values): what was sent is not sent again, a draft is sent now, and one of
    which it is not known whether it was sent is an error that says so.

    :param to: recipient or recipients.
    :param subject: subject.
    :param body: text, HTML unless ``is_html`` is ``False``.
    :param from_address: sender. EspoCRM needs one, and a mail account that may send for it.
    :param cc: recipients of a copy.
    :param bcc: recipients of a blind copy.
    :param is_html: whether ``body`` is HTML.
    :param entity_type: with ``record_id``: the record it belongs to, in whose history it appears.
    :param record_id: id of that record.
    :param attachment_ids: ids of uploaded files (for field ``attachments`` of ``Email``).
    :param look_for_earlier_since: when the first try began, for a later try.
    :return: ``{"id", "action"}``, action ``sent``.
    :raises EspoInputError: no recipient or no subject.
    :raises EspoServerError: it could not be sent; it remains as a draft (or as *Sending*, without any mail account).
    """
    made = yield from draft_email(
        state,
        to=to,
        subject=subject,
        body=body,
        from_address=from_address,
        cc=cc,
        bcc=bcc,
        is_html=is_html,
        entity_type=entity_type,
        record_id=record_id,
        attachment_ids=attachment_ids,
        look_for_earlier_since=look_for_earlier_since,
    )
    return (yield from send_draft(state, made["id"], just_made=made["action"] == "created"))


def draft_email(
    state: ClientState,
    *,
    to: str | Sequence[str],
    subject: str,
    body: str = "",
    from_address: str | None = None,
    cc: str | Sequence[str] | None = None,
    bcc: str | Sequence[str] | None = None,
    is_html: bool = True,
    entity_type: str | None = None,
    record_id: str | None = None,
    attachment_ids: Sequence[str] | None = None,
    look_for_earlier_since: datetime | None = None,
) -> Operation[Record]:
    """Store an e-mail as draft. Takes the arguments of :meth:`send_email`.

    :return: ``{"id", "action"}``, action ``created``, or ``found``: of an earlier try, and maybe sent by now.
    :raises EspoInputError: no recipient or no subject.
    """
    draft = _draft(to, subject, body, from_address=from_address, cc=cc, bcc=bcc, is_html=is_html)
    if entity_type is not None or record_id is not None:
        record_path(entity_type, record_id_segment(record_id))
        draft |= {"parentType": entity_type, "parentId": record_id}
    if attachment_ids:
        draft["attachmentsIds"] = record_ids(attachment_ids)
    if look_for_earlier_since is not None:
        found = yield from _find(state, draft, look_for_earlier_since - CLOCK_SKEW)
        if found is not None:
            return {"id": found.id, "action": "found"}
    outgoing = build_request("POST", "Email", json=draft)
    record, found = yield from create_once(state, outgoing, lambda since: _find(state, draft, since))
    return {"id": str(record["id"]), "action": "created" if found is None else "found"}


def send_draft(state: ClientState, email_id: str, *, just_made: bool = False) -> Operation[Record]:
    """Send an e-mail that is stored as draft, unless it was sent already.

    :param email_id: its id.
    :param just_made: whether it is known to be a draft.
    :return: ``{"id", "action"}``, action ``sent``.
    :raises EspoServerError: it could not be sent.
    :raises EspoApiError: it is not known whether it was sent.
    """
    path = record_path("Email", record_id_segment(email_id))
    if not just_made:
        status = yield from _status(path)
        if status == "Sent":
            return {"id": email_id, "action": "sent"}
        if status != "Draft":
            raise _unknown(path, status)
    # Not to be repeated: the first request may have sent it.
    outgoing = build_request("PUT", path, json=_SENDING, repeatable=False)
    try:
        status = expect_object(outgoing, (yield outgoing)).get("status")
    except EspoError as error:
        if not outcome_is_unknown(error):
            raise
        try:
            status = yield from _status(path)
        except EspoError as second:
            raise error from second
        if status != "Sent":
            error.hint = _why(error, status)
            raise
    if status != "Sent":
        raise _unknown(path, status)
    return {"id": email_id, "action": "sent"}


def prepare_email_template(
    state: ClientState,
    template_id: str,
    *,
    entity_type: str | None = None,
    record_id: str | None = None,
    email_address: str | None = None,
) -> Operation[Record]:
    """Fill an e-mail template with the values of a record (EspoCRM 7.4 and later).

    :param template_id: id of the template.
    :param entity_type: with ``record_id``: the record whose values are put in.
    :param record_id: id of that record.
    :param email_address: address of the person whose values are put in.
    :return: ``{"subject", "body", "is_html", "attachment_ids"}``.
    """
    body: dict[str, Any] = {}
    if entity_type is not None or record_id is not None:
        record_path(entity_type, record_id_segment(record_id))
        body |= {"parentType": entity_type, "parentId": record_id}
    if email_address:
        body["emailAddress"] = email_address
    outgoing = build_request(
        "POST", f"EmailTemplate/{record_id_segment(template_id)}/prepare", json=body, repeatable=True
    )
    answer = expect_object(outgoing, (yield outgoing))
    return {
        "subject": answer.get("subject"),
        "body": answer.get("body"),
        "is_html": answer.get("isHtml"),
        "attachment_ids": answer.get("attachmentsIds") or [],
    }


def _draft(
    to: str | Sequence[str],
    subject: str,
    body: str,
    *,
    from_address: str | None,
    cc: str | Sequence[str] | None,
    bcc: str | Sequence[str] | None,
    is_html: bool,
) -> dict[str, Any]:
    recipients = _addresses("to", to)
    if not recipients:
        raise EspoInputError("The e-mail has no recipient")
    if not isinstance(subject, str) or not subject.strip() or not isinstance(body, str):
        raise EspoInputError("The e-mail has no subject, or its body is no text")
    draft: dict[str, Any] = {"status": "Draft", "to": recipients, "name": subject, "body": body, "isHtml": is_html}
    optional = {
        "from": _addresses("from_address", from_address),
        "cc": _addresses("cc", cc),
        "bcc": _addresses("bcc", bcc),
    }
    return draft | {name: value for name, value in optional.items() if value}


def _addresses(name: str, given: object) -> str:
    """Addresses as EspoCRM writes several: with a semicolon between."""
    if given is None:
        return ""
    items = given.split(";") if isinstance(given, str) else given
    if not isinstance(items, Sequence) or not all(isinstance(one, str) for one in items):
        raise EspoInputError(f"{name} is not an e-mail address or a list of them")
    addresses = [one.strip() for one in items if one.strip()]
    if any(not _ADDRESS.fullmatch(one) for one in addresses):
        raise EspoInputError(
            f"{name} holds something that is not an e-mail address",
            hint="Give addresses alone, without names; several with ; between, or as a list",
        )
    return ";".join(addresses)


def _find(state: ClientState, draft: Mapping[str, Any], since: datetime) -> Operation[Found | None]:
    """Find an e-mail of an earlier try: EspoCRM writes addresses in its own order and letter case."""
    values = {name: value for name, value in draft.items() if name not in _NOT_AS_SENT}
    seen: set[str] = set()
    find = same_values(state, build_request("POST", "Email", json=values), None, seen)
    while (found := (yield from find(since))) is not None:
        whole = yield from read_whole("Email", found.id)
        if whole is not None and whole.get("status") in _OF_SENDING and _same_people(draft, whole):
            return Found(whole, whole=True)
        seen.add(found.id)
    return None


def _same_people(draft: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return all(
        {one.lower() for one in str(draft.get(name) or "").split(";")}
        == {one.strip().lower() for one in str(whole.get(name) or "").split(";")}
        for name in ("to", "cc", "bcc", *(("from",) if "from" in draft else ()))
    )


def _status(path: str) -> Operation[Any]:
    reading = build_request("GET", path)
    record: Mapping[str, Any] = expect_object(reading, (yield reading))
    return record.get("status")


def _unknown(path: str, status: object) -> EspoApiError:
    return EspoApiError(
        f"It is not known whether the e-mail was sent: its status is {status}",
        method="PUT",
        path=path,
        hint="EspoCRM broke off while it sent it, or has no mail account that may send for this address (see Group "
        "Email Accounts). Look whether it arrived. To send it, set its status to Draft in EspoCRM: then a retry of the "
        "task sends it",
    )


def _why(error: EspoError, status: object) -> str:
    if error.reason == "sendingFail":
        return "The mail server refused it; it remains as a draft, which a retry sends"
    if status == "Draft":
        return "It remains as a draft, which a retry sends"
    if isinstance(error, EspoServerError) and error.status == _BROKE_OFF:
        return (
            "EspoCRM has no mail account that may send for this address (see Group Email Accounts), or broke off while "
            f"it sent it. Its status is {status}"
        )
    return "EspoCRM may still be sending it: a retry looks what has become of it"
