"""E-mails: addresses, subject and plain text; whom the sandbox lets send."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import notes
from airflow_provider_espo.sandbox.addresses import email_book
from airflow_provider_espo.sandbox.links import relation
from airflow_provider_espo.sandbox.record_input import validation_failure
from airflow_provider_espo.sandbox.values import is_email

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.users import CurrentUser

DRAFT, SENDING, SENT, ARCHIVED = "Draft", "Sending", "Sent", "Archived"
#: Attributes with several addresses, and the links that hold them.
LISTS: Mapping[str, str] = {
    "to": "toEmailAddresses",
    "cc": "ccEmailAddresses",
    "bcc": "bccEmailAddresses",
    "replyTo": "replyToEmailAddresses",
}
#: What may still be set of an e-mail that is out.
SETTABLE_WHEN_SENT = frozenset({"parentType", "parentId", "teamsIds", "assignedUserId"})
#: Types of the people who have addresses, in the order in which they are looked at.
PEOPLE = ("User", "Contact", "Lead", "Account")
LINE_ENDS = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|h\d)>", re.IGNORECASE)
UNSEEN = re.compile(r"<(style|script|head)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
#: Attributes that a single e-mail has and that are worked out.
NOBODYS: Mapping[str, Any] = dict.fromkeys(("fromName", "fromAddress", "replyToName", "replyToAddress"))


def split(text: str | None) -> list[str]:
    """Addresses that are parted by semicolons."""
    return [part.strip() for part in (text or "").split(";") if part.strip()]


def plain_text(body: str) -> str:
    """The text of an HTML body."""
    return html.unescape(UNSEEN.sub("", LINE_ENDS.sub("\n", body))).strip()


def share_subject(change: Change, storage: Storage) -> None:
    """Subject and name are the same: whichever is given. Of what is out hardly anything can be changed."""
    values = change.values
    if not change.is_new and change.old.get("status") == SENT:
        change.values = values = {n: v for n, v in values.items() if n in SETTABLE_WHEN_SENT}
        change.given = frozenset(values)
    if "name" in values:
        values["subject"] = values["name"]
    elif "subject" in values:
        values["name"] = values["subject"]
    elif not change.is_new:
        return
    change.given |= frozenset({"name", "subject"} & values.keys())


def prepare(change: Change, storage: Storage) -> None:
    """Check addresses; fill in what follows from the body and the files.

    :raises ApiError: 400 for an address that cannot be, or none where one is needed
    """
    values = change.values
    current = address_texts(storage, change.id) if not change.is_new else {}
    needed = change.get("status") != DRAFT
    for name in ("from", *LISTS):
        text = values[name] if name in values else current.get(name)
        if needed and name in ("from", "to") and not text and (change.is_new or name in values or "status" in values):
            raise validation_failure(change.entity_def, name, "required")
        if name in values and not all(is_email(address) for address in split(values[name])):
            raise validation_failure(change.entity_def, name, "emailAddress")
    if change.is_new:
        for name in LISTS:
            values[name] = values.get(name) or ""
        values["messageId"] = f"dummy:{storage.new_id()}"
    if "body" in values:
        body = values["body"] or ""
        values["bodyPlain"] = plain_text(body) if change.get("isHtml") else body
    if "attachmentsIds" in values:
        values["hasAttachment"] = bool(values["attachmentsIds"])
    if values.get("from"):
        values["fromEmailAddressId"] = email_book(storage).id_of(values["from"])


def finish(change: Change, storage: Storage) -> None:
    """Link the addresses, and the users who have one of them."""
    book, found = email_book(storage), []
    for name, link_name in LISTS.items():
        if name in change.values:
            addresses = split(change.values[name])
            relation(storage, "Email", link_name, change.id).replace([book.id_of(address) for address in addresses])
            found += addresses
    found += split(change.values.get("from"))
    users = relation(storage, "Email", "users", change.id)
    for user_id in book.owners("User", found) if found else ():
        users.add(user_id)


def address_texts(storage: Storage, email_id: str) -> dict[str, str | None]:
    """The addresses of an e-mail as texts."""
    sql = 'SELECT a.name FROM "Email" e JOIN "EmailAddress" a ON a.id = e."fromEmailAddressId" WHERE e.id = ?'
    found: dict[str, str | None] = {"from": storage.value(sql, [email_id])}
    for name, link_name in LISTS.items():
        items = relation(storage, "Email", link_name, email_id).items()
        found[name] = ";".join(item["name"] for item in items)
    return found


def extras(storage: Storage, email_id: str) -> dict[str, Any]:
    """What a single e-mail shows beside its attributes: addresses, and the people who have them."""
    texts = address_texts(storage, email_id)
    addresses = [address for text in texts.values() for address in split(text)]
    return {**NOBODYS, **texts, "isRead": True, "folderId": None, "isUsers": False, **people(storage, addresses)}


def people(storage: Storage, addresses: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Names, types and ids of the people who have one of some addresses, by address."""
    found: dict[str, dict[str, Any]] = {"nameHash": {}, "typeHash": {}, "idHash": {}}
    for address in dict.fromkeys(addresses):
        for entity_type in PEOPLE:
            ids = email_book(storage).owners(entity_type, [address])
            if ids:
                found["nameHash"][address] = notes.record_name(storage, entity_type, ids[0])
                found["typeHash"][address] = entity_type
                found["idHash"][address] = ids[0]
                break
    return found


def mark_sent(sandbox: Sandbox, entity_def: EntityDef, email_id: str, user: CurrentUser) -> None:
    """An e-mail is out: it says so, and so does the stream of the record that it belongs to."""
    storage = sandbox.storage
    with storage.transaction():
        values = {"status": SENT, "dateSent": storage.now(), "sentById": user.id}
        values["messageId"] = f"<{storage.new_id()}@sandbox.example>"
        storage.update(entity_def.name, email_id, values)
        email = storage.row('SELECT * FROM "Email" WHERE id = ?', [email_id]) or {}
        parent_def = storage.definitions.get(email["parentType"] or "")
        if parent_def is not None and parent_def.stream and email["parentId"]:
            data = {
                "emailId": email_id,
                "emailName": email["name"],
                "hasAttachment": bool(email["hasAttachment"]),
                "personEntityType": "User",
                "personEntityName": user.name,
                "personEntityId": user.id,
            }
            parent = (parent_def.name, email["parentId"])
            notes.write(
                storage,
                user,
                "EmailSent",
                parent,
                data=data,
                related=(entity_def.name, email_id),
                account_id=email["accountId"] if parent_def.name != "Account" else None,
            )
            notes.touch(storage, *parent)
