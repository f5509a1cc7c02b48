"""E-mails: stored, drafted, sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import emails
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.links import relation
from airflow_provider_espo.sandbox.routes.common import need_admin
from airflow_provider_espo.sandbox.routes.record_routes import create_record, read_record, update_record

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Router

#: Attributes that a list of e-mails shows, and a new or a single one does not.
UNSHOWN = ("isImportant", "inTrash", "inArchive", "personStringData")
#: The same for a single one only.
UNREAD = (*UNSHOWN, "isNotRead", "isNotReplied", "isUsersSent", "isJustSent", "isBeingImported", "emailAddress")


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/Email", create, action="create")
    router.add("GET", "/Email/{id}", read, action="read")
    router.add("PUT", "/Email/{id}", update, action="update")
    router.add("PATCH", "/Email/{id}", update, action="update")
    router.add("POST", "/Email/sendTest", send_test)


def email_def_of(context: Context) -> EntityDef:
    """The entity type."""
    return context.sandbox.storage.definitions["Email"]


def as_email(context: Context) -> Context:
    """The request with the entity type among the variable parts of its path, where the record routes look for it."""
    context.params = {**context.params, "controller": "Email"}
    return context


def create(context: Context) -> dict[str, Any]:
    """Store an e-mail; with status *Sending* send it."""
    record = create_record(as_email(context))
    storage = context.sandbox.storage
    record |= emails.people(storage, [a for n in ("from", *emails.LISTS) for a in emails.split(record.get(n))])
    record |= send(context, record)
    users = relation(storage, "Email", "users", record["id"]).items()
    record |= {
        "folderId": None,
        "usersIds": [u["id"] for u in users],
        "usersNames": {u["id"]: u["name"] for u in users},
    }
    return {name: value for name, value in record.items() if name not in UNSHOWN}


def shown(context: Context, record: dict[str, Any]) -> dict[str, Any]:
    """A single e-mail."""
    found = {name: value for name, value in record.items() if name not in UNREAD}
    return found | emails.extras(context.sandbox.storage, record["id"]) | {"subject": record.get("name")}


def read(context: Context) -> dict[str, Any]:
    """One e-mail."""
    return shown(context, read_record(as_email(context)))


def update(context: Context) -> dict[str, Any]:
    """Change an e-mail; one with status *Sending* is sent, once more if it was tried before."""
    record = update_record(as_email(context))
    record |= send(context, record)
    return shown(context, record)


def send(context: Context, record: dict[str, Any]) -> dict[str, Any]:
    """Send an e-mail whose status is *Sending*.

    :return: attributes that have changed by it
    :raises ApiError: 500 if there is no mail server, or if it refuses
    """
    if record.get("status") != emails.SENDING:
        return {}
    sandbox = context.sandbox
    mail = sandbox.storage.settings.mail
    if mail == "refuse":
        sandbox.storage.update("Email", record["id"], {"status": emails.DRAFT})
        raise ApiError(500, "sendingFail", {"id": record["id"], "message": "The mail server refused the message."})
    if mail != "accept":
        raise ApiError(500)
    emails.mark_sent(sandbox, email_def_of(context), record["id"], context.user)
    names = ("status", "dateSent", "messageId")
    row = sandbox.storage.row('SELECT * FROM "Email" WHERE id = ?', [record["id"]]) or {}
    sent_by = {"sentById": context.user.id, "sentByName": context.user.name}
    return {**{name: row[name] for name in names}, **sent_by, "isJustSent": True}


def send_test(context: Context) -> bool:
    """Try a mail server out; there is none that could be named.

    :raises ApiError: 400 without one, 500
    """
    if not context.body.get("server"):
        raise ApiError(400, "No `server`")
    need_admin(context)
    raise ApiError(500)
