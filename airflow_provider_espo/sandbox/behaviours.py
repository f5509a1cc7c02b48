"""What happens by itself when a record is saved: rules of single entity types, and rules that hold for several."""

from __future__ import annotations

import datetime as dt
import html
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_espo.sandbox import attachments, emails, posts, webhook_rules
from airflow_provider_espo.sandbox.change import Change
from airflow_provider_espo.sandbox.links import relation
from airflow_provider_espo.sandbox.storage import Storage
from airflow_provider_espo.sandbox.user_rules import check_user_name, keep_secrets

Behaviour = Callable[[Change, Storage], None]

#: Chance of success, in per cent, that follows from the stage of a sale.
STAGE_PROBABILITIES = {
    "Prospecting": 10,
    "Qualification": 20,
    "Proposal": 50,
    "Negotiation": 80,
    "Closed Won": 100,
    "Closed Lost": 0,
}
#: Articles are shown by their order, the lowest first.
FIRST_ARTICLE_ORDER = 9999


def before_check(change: Change, storage: Storage) -> None:
    """Put input in order before it is held against the rules of its fields."""
    if change.entity_def.name == "Email":
        emails.share_subject(change, storage)
    elif change.entity_def.name == webhook_rules.ENTITY_TYPE:
        webhook_rules.keep_event(change)


def before_save(change: Change, storage: Storage) -> None:
    """Set what follows from what is set."""
    set_person_name(change)
    set_all_day_times(change, storage)
    set_primary_links(change, storage)
    for behaviour in BEFORE_SAVE.get(change.entity_def.name, ()):
        behaviour(change, storage)
    if "collaborators" in change.entity_def.links:
        add_assigned_user(change, storage, "collaborators")
    set_next_numbers(change, storage)


def after_save(change: Change, storage: Storage) -> None:
    """Change other records that depend on this one."""
    for behaviour in AFTER_SAVE.get(change.entity_def.name, ()):
        behaviour(change, storage)
    follow_by_assigned_user(change, storage)
    add_to_target_list(change, storage)
    attachments.keep_file_links(storage, change.entity_def, change.id, change.values)


# --- rules for several types ---


def set_person_name(change: Change) -> None:
    """The full name, as soon as both of its parts are known."""
    if not change.entity_def.is_person or not change.values.keys() & {"firstName", "lastName"}:
        return
    if change.is_new and not {"firstName", "lastName"} <= change.values.keys():
        return
    parts = [str(change.get(name) or "").strip() for name in ("firstName", "lastName")]
    change.values["name"] = " ".join(part for part in parts if part) or None


def set_all_day_times(change: Change, storage: Storage) -> None:
    """A day without a time stands for its midnight; for an end, that of the next day."""
    for field_def in change.entity_def.fields.values():
        if field_def.type != "datetimeOptional" or field_def.not_storable:
            continue
        name, day_name = field_def.name, f"{field_def.name}Date"
        day = change.values.get(day_name)
        if day:
            after = dt.timedelta(days=1 if "End" in name else 0)
            change.values[name] = f"{dt.date.fromisoformat(day) + after:%Y-%m-%d} 00:00:00"
        elif change.values.get(name) and change.get(day_name):
            change.values[day_name] = None


def set_primary_links(change: Change, storage: Storage) -> None:
    """The primary of a link-multiple field is one of its records; the first becomes it if there is none."""
    for field_def in change.entity_def.fields.values():
        primary = field_def.primary_link
        if primary is None:
            continue
        key, ids_name = f"{primary}Id", f"{field_def.name}Ids"
        given = change.values.get(ids_name)
        chosen = change.values.get(key)
        if given and key not in change.values and change.get(key) not in given:
            change.values[key] = given[0]
        elif given is not None and chosen and chosen not in given:
            change.values[ids_name] = [*given, chosen]


def set_next_numbers(change: Change, storage: Storage) -> None:
    """Autoincrement fields of a new record."""
    if not change.is_new:
        return
    for field_def in change.entity_def.fields.values():
        if field_def.type == "autoincrement":
            change.values[field_def.name] = storage.next_number(f"{change.entity_def.name}.{field_def.name}")


def add_assigned_user(change: Change, storage: Storage, field_name: str) -> None:
    """Whom a record is assigned to takes part in it."""
    user_id = change.values.get("assignedUserId")
    ids_name = f"{field_name}Ids"
    if not user_id:
        return
    if ids_name in change.values:
        present = change.values[ids_name]
    elif change.is_new:
        present = []
    else:
        present = relation(storage, change.entity_def.name, field_name, change.id).ids()
    if user_id not in present:
        change.values[ids_name] = [*present, user_id]


def follow_by_assigned_user(change: Change, storage: Storage) -> None:
    """Whom a record is assigned to follows it."""
    user_id = change.values.get("assignedUserId")
    if not change.entity_def.stream or not user_id or not change.is_changed("assignedUserId"):
        return
    if storage.value('SELECT type FROM "User" WHERE id = ?', [user_id]) != "api":
        sql = 'INSERT OR IGNORE INTO "Subscription" ("entityId", "entityType", "userId") VALUES (?, ?, ?)'
        storage.execute(sql, [change.id, change.entity_def.name, user_id])


def add_to_target_list(change: Change, storage: Storage) -> None:
    """A new record may name a target list that it belongs to."""
    list_id = change.values.get("targetListId")
    if change.is_new and list_id and "targetLists" in change.entity_def.links:
        relation(storage, change.entity_def.name, "targetLists", change.id).add(list_id)


def set_account_of_parent(change: Change, storage: Storage) -> None:
    """Meetings and calls take the account from their parent. Another parent without one leaves none."""
    if not is_parent_changed(change):
        return
    account_id = relatives(storage, change.get("parentType"), change.get("parentId"))["accountId"]
    if account_id or (change.is_changed("parentId") and not change.is_new):
        change.values["accountId"] = account_id


def set_relatives_of_parent(change: Change, storage: Storage) -> None:
    """Tasks take account and contact from their parent."""
    if is_parent_changed(change):
        change.values |= relatives(storage, change.get("parentType"), change.get("parentId"))


def is_parent_changed(change: Change) -> bool:
    """Whether a record gets another parent."""
    names = [name for name in ("parentId", "parentType") if name in change.values]
    return any(change.is_new or change.is_changed(name) for name in names)


def relatives(storage: Storage, entity_type: str | None, record_id: str | None) -> dict[str, Any]:
    """Account and contact of a parent: an account or contact is its own, a lead has those that it became."""
    found: dict[str, Any] = {"accountId": None, "contactId": None}
    if not record_id or entity_type is None or entity_type not in storage.definitions:
        return found
    attributes = storage.definitions[entity_type].attributes
    names = ["id", "deleted", "status", "accountId", "contactId", "createdAccountId", "createdContactId"]
    chosen = [attributes[name] for name in names if name in attributes]
    parent = storage.load(storage.definitions[entity_type], record_id, chosen)
    if parent is None or parent["deleted"]:
        return found
    if entity_type == "Lead" and parent["status"] == "Converted":
        found = {"accountId": parent["createdAccountId"], "contactId": parent["createdContactId"]}
    elif entity_type in ("Account", "Contact"):
        found[f"{entity_type.lower()}Id"] = record_id
    return {name: value or parent.get(name) for name, value in found.items()}


# --- rules for one type ---


def set_probability(change: Change, storage: Storage) -> None:
    """The stage decides the probability unless one is sent along: each update that sends none sets it anew."""
    if change.values.get("probability") is not None:
        return
    stage = change.get("stage")
    probability = STAGE_PROBABILITIES.get(str(stage), 0 if change.is_new and stage else None)
    if probability is not None:
        change.values["probability"] = probability


def set_last_stage(change: Change, storage: Storage) -> None:
    """The last stage in which a sale was not lost; for one that was won, or never open, the nearest open one."""
    if not change.is_changed("stage") or ("lastStage" in change.given and change.is_changed("lastStage")):
        return
    stage = change.values["stage"]
    if STAGE_PROBABILITIES.get(stage) != 0:
        change.values["lastStage"] = stage
        return
    open_stages = sorted((p, name) for name, p in STAGE_PROBABILITIES.items() if 0 < p < 100)
    if change.is_new:
        change.values["lastStage"] = open_stages[0][1]
    elif STAGE_PROBABILITIES.get(str(change.get("lastStage"))) == 100:
        change.values["lastStage"] = open_stages[-1][1]


def set_date_completed(change: Change, storage: Storage) -> None:
    """When a task was completed."""
    if change.is_new or change.is_changed("status"):
        completed = change.get("status") == "Completed"
        change.values["dateCompleted"] = (change.get("dateCompleted") or storage.now()) if completed else None


def set_attendees(change: Change, storage: Storage) -> None:
    """Whom a meeting or call is assigned to attends it."""
    add_assigned_user(change, storage, "users")
    if change.is_new:
        change.values["uid"] = secrets.token_hex(16)


def set_all_day(change: Change, storage: Storage) -> None:
    """Whether a meeting takes whole days."""
    if change.is_new:
        change.values.setdefault("dateStartDate", None)
        change.values.setdefault("dateEndDate", None)
    if "dateStartDate" in change.values:
        change.values["isAllDay"] = change.values["dateStartDate"] is not None


def keep_account_of_contact(change: Change, storage: Storage) -> None:
    """A contact's account is one of its accounts: it cannot be cleared while it is among them."""
    ids = change.values.get("accountsIds")
    if change.is_new:
        if ids and not change.values.get("accountId"):
            change.values["accountId"] = ids[0]
    elif "accountId" in change.values and change.values["accountId"] is None and ids is None:
        change.values["accountId"] = change.old.get("accountId")


def link_account_of_contact(change: Change, storage: Storage) -> None:
    """The contact's title is its role in the link with its account."""
    account_id = change.get("accountId")
    if not account_id or not change.values.keys() & {"accountId", "title"}:
        return
    accounts = relation(storage, "Contact", "accounts", change.id)
    if "accountsIds" in change.values and not change.is_new and "accountId" not in change.given:
        return
    columns = {"role": change.values["title"]} if "title" in change.values else {}
    if columns or not accounts.has(account_id):
        accounts.add(account_id, columns)


def link_primary_contact(change: Change, storage: Storage) -> None:
    """The primary contact is among the contacts; one that is cleared is among them no more."""
    if not change.is_changed("contactId"):
        return
    contacts = relation(storage, change.entity_def.name, "contacts", change.id)
    contact_id, former_id = change.values["contactId"], change.old.get("contactId")
    if contact_id:
        if not contacts.has(contact_id):
            contacts.add(contact_id)
    elif former_id:
        contacts.remove(former_id)


def set_converted_at(change: Change, storage: Storage) -> None:
    """When a lead was converted."""
    if change.is_changed("status") and change.get("status") == "Converted" and not change.get("convertedAt"):
        change.values["convertedAt"] = storage.now()


def set_article_order(change: Change, storage: Storage) -> None:
    """A new article comes before all others."""
    if change.get("order") is None:
        lowest = storage.value('SELECT MIN("order") FROM "KnowledgeBaseArticle" WHERE deleted = 0')
        change.values["order"] = (lowest or FIRST_ARTICLE_ORDER) - 1


def set_plain_body(change: Change, storage: Storage) -> None:
    """The text of an article without its markup."""
    if "body" in change.values and change.is_changed("body"):
        change.values["bodyPlain"] = plain_text(change.values["body"])


def plain_text(markup: str | None) -> str | None:
    """Text of an HTML fragment: paragraphs and line breaks become line breaks, all other tags go."""
    if not markup:
        return markup
    text = re.sub(r"(?i)<br\s*/?>|</(p|div|li|tr|h[1-6])>", "\n", markup)
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()


BEFORE_SAVE: Mapping[str, tuple[Behaviour, ...]] = {
    "Opportunity": (set_probability, set_last_stage),
    "Task": (set_relatives_of_parent, set_date_completed),
    "Meeting": (set_account_of_parent, set_all_day, set_attendees),
    "Call": (set_account_of_parent, set_attendees),
    "Contact": (keep_account_of_contact,),
    "Lead": (set_converted_at,),
    "KnowledgeBaseArticle": (set_article_order, set_plain_body),
    "User": (check_user_name, keep_secrets),
    "Note": (posts.prepare,),
    "Email": (set_relatives_of_parent, emails.prepare),
    webhook_rules.ENTITY_TYPE: (webhook_rules.prepare,),
}
AFTER_SAVE: Mapping[str, tuple[Behaviour, ...]] = {
    "Contact": (link_account_of_contact,),
    "Opportunity": (link_primary_contact,),
    "Case": (link_primary_contact,),
    "Note": (posts.finish,),
    "Email": (emails.finish,),
}


# --- links that are made or ended by themselves ---


def after_link(storage: Storage, entity_type: str, link_name: str, record_id: str, foreign_id: str) -> None:
    """A contact without an account takes the first that it is linked with."""
    pair = contact_and_account(entity_type, link_name, record_id, foreign_id)
    if pair is not None:
        sql = 'UPDATE "Contact" SET "accountId" = ? WHERE id = ? AND "accountId" IS NULL'
        storage.execute(sql, [pair[1], pair[0]])


def after_unlink(storage: Storage, entity_type: str, link_name: str, record_id: str, foreign_id: str) -> None:
    """A contact that is unlinked from its account has none."""
    pair = contact_and_account(entity_type, link_name, record_id, foreign_id)
    if pair is not None:
        sql = 'UPDATE "Contact" SET "accountId" = NULL WHERE id = ? AND "accountId" = ?'
        storage.execute(sql, pair)


def contact_and_account(entity_type: str, link_name: str, record_id: str, foreign_id: str) -> tuple[str, str] | None:
    """Ids of contact and account, if this is their link."""
    if (entity_type, link_name) == ("Account", "contacts"):
        return foreign_id, record_id
    if (entity_type, link_name) == ("Contact", "accounts"):
        return record_id, foreign_id
    return None
