"""Merges records: one stays, with the links, addresses, notes and followers of the others, which are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, subscriptions
from airflow_provider_espo.sandbox.addresses import AddressBook, email_book, phone_book
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.links import Relation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.users import CurrentUser


def merge(sandbox: Sandbox, entity_def: EntityDef, record_id: str, data: Mapping[str, Any], user: CurrentUser) -> None:
    """Merge records, all or nothing.

    :param record_id: the one that stays
    :param data: ``sourceIdList``: the others; ``attributes``: what the one that stays gets
    :raises ApiError: 400 without one of these, or for invalid attributes; 403; 404
    """
    source_ids, attributes = data.get("sourceIdList"), data.get("attributes")
    if not isinstance(source_ids, list):
        raise ApiError(400, "No 'sourceIdList'.")
    if not isinstance(attributes, dict):
        raise ApiError(400, "No 'attributes'.")
    source_ids = [str(source_id) for source_id in source_ids]
    check(sandbox, entity_def, record_id, source_ids, user)
    storage = sandbox.storage
    with storage.transaction():
        addresses = {"emailAddress": email_book(storage), "phoneNumber": phone_book(storage)}
        found = {
            name: gathered(book, name, entity_def, [record_id, *source_ids])
            for name, book in addresses.items()
            if name in entity_def.fields
        }
        for source_id in source_ids:
            move_links(sandbox, entity_def, source_id, record_id)
            move_stream(sandbox, entity_def, source_id, record_id)
            sandbox.records.delete(entity_def, source_id, user)
        data_attributes = {f"{name}Data": items for name, items in found.items() if f"{name}Data" not in attributes}
        sandbox.records.update(entity_def, record_id, {**data_attributes, **attributes}, user)


def check(
    sandbox: Sandbox, entity_def: EntityDef, record_id: str, source_ids: Sequence[str], user: CurrentUser
) -> None:
    """See that all records are there and that the user may edit the one and delete the others.

    :raises ApiError: 403, 404
    """
    storage = sandbox.storage
    if not sandbox.exists(entity_def, record_id):
        raise ApiError(404, "Record not found.")
    if not acl.may_on(storage, user, entity_def, record_id, "edit"):
        raise ApiError(403, "No edit access.")
    for source_id in source_ids:
        if not sandbox.exists(entity_def, source_id):
            raise ApiError(404, "Source record not found.")
        if not all(acl.may_on(storage, user, entity_def, source_id, action) for action in ("edit", "delete")):
            raise ApiError(403, "No edit or delete access for source record.")


def gathered(book: AddressBook, name: str, entity_def: EntityDef, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Addresses of several records without repetition; the first of all is the primary one."""
    found: dict[str, dict[str, Any]] = {}
    for record_id in ids:
        for item in book.load(entity_def.name, record_id):
            found.setdefault(str(item[name]).lower(), dict(item))
    return [{**item, "primary": index == 0} for index, item in enumerate(found.values())]


def move_links(sandbox: Sandbox, entity_def: EntityDef, source_id: str, record_id: str) -> None:
    """Link what is linked with one record with another."""
    for link in entity_def.links.values():
        if not link.is_to_many:
            continue
        target = Relation(sandbox.storage, entity_def, link, record_id)
        for foreign_id in Relation(sandbox.storage, entity_def, link, source_id).ids():
            target.add(foreign_id)
        sandbox.links_changed(entity_def, link)


def move_stream(sandbox: Sandbox, entity_def: EntityDef, source_id: str, record_id: str) -> None:
    """Notes and followers go over to another record."""
    storage, name = sandbox.storage, entity_def.name
    for key, type_key in (("parentId", "parentType"), ("relatedId", "relatedType")):
        sql = f'UPDATE "Note" SET "{key}" = ? WHERE "{key}" = ? AND "{type_key}" = ?'  # noqa: S608 - fixed names
        storage.execute(sql, [record_id, source_id, name])
    for user_id in subscriptions.user_ids(storage, subscriptions.FOLLOWED, name, source_id):
        subscriptions.follow(storage, name, record_id, user_id)
