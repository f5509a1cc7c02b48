"""What happens by itself when a record is saved: rules of single entity types, and rules that hold for several."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from typing import Any

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


def set_relatives_of_parent(change: Change, storage: Storage) -> None:
    """Activities take account and contact from their parent."""
    if "parentId" not in change.values:
        return
    parent_type, parent_id = change.get("parentType"), change.get("parentId")
    found: dict[str, Any] = {"accountId": None, "contactId": None}
    if parent_id and parent_type in storage.definitions:
        found |= relatives(storage, parent_type, parent_id)
    for name, value in found.items():
        if name in change.entity_def.attributes:
            change.values[name] = value


def relatives(storage: Storage, entity_type: str, record_id: str) -> dict[str, Any]:
    """Account and contact of a record; an account or contact is its own."""
    attributes = storage.definitions[entity_type].attributes
    names = ["id", "accountId", "contactId", "createdAccountId", "createdContactId"]
    found = storage.load(
        storage.definitions[entity_type],
        record_id,
        [attributes[n] for n in names if n in attributes and attributes[n].stored],
    )
    if found is None:
        return {}
    own = {"Account": {"accountId": record_id}, "Contact": {"contactId": record_id}}.get(entity_type, {})
    account = found.get("accountId") or found.get("createdAccountId")
    contact = found.get("contactId") or found.get("createdContactId")
    return {"accountId": account, "contactId": contact, **own}


# --- rules for one type ---


def set_probability(change: Change, storage: Storage) -> None:
    """The stage decides the probability, unless it is given; the last open stage is remembered."""
    if "stage" not in change.values or not (change.is_new or change.is_changed("stage")):
        return
    stage = change.values["stage"]
    if change.values.get("probability") is None and stage in STAGE_PROBABILITIES:
        change.values["probability"] = STAGE_PROBABILITIES[stage]
    if stage != "Closed Lost" or change.is_new:
        change.values["lastStage"] = stage


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
    """The primary contact is among the contacts."""
    contact_id = change.values.get("contactId")
    if contact_id:
        contacts = relation(storage, change.entity_def.name, "contacts", change.id)
        if not contacts.has(contact_id):
            contacts.add(contact_id)


BEFORE_SAVE: Mapping[str, tuple[Behaviour, ...]] = {
    "Opportunity": (set_probability,),
    "Task": (set_relatives_of_parent, set_date_completed),
    "Meeting": (set_relatives_of_parent, set_all_day, set_attendees),
    "Call": (set_relatives_of_parent, set_attendees),
    "Contact": (keep_account_of_contact,),
    "User": (check_user_name, keep_secrets),
}
AFTER_SAVE: Mapping[str, tuple[Behaviour, ...]] = {
    "Contact": (link_account_of_contact,),
    "Opportunity": (link_primary_contact,),
    "Case": (link_primary_contact,),
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
