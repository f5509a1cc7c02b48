"""Turns rows into records as the API shows them: one in full, or a list of what was selected."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.addresses import email_book, phone_book
from airflow_provider_espo.sandbox.attributes import PERSON_NAME_SQL
from airflow_provider_espo.sandbox.links import Relation
from airflow_provider_espo.sandbox.storage import ROOT, Storage, from_database

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_espo.sandbox.definitions import AttributeDef, EntityDef, FieldDef, LinkDef
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Attributes that come whatever is selected, as far as a type has them: rights depend on them.
RIGHTS_ATTRIBUTES = ("createdById", "assignedUserId")
PERSON_PARTS = ("salutationName", "firstName", "lastName", "middleName")
#: Attributes without a table behind them in the sandbox, as they are on a record of which nobody set them.
EMPTY_EXTRAS: Mapping[str, Any] = {"reminders": [], "phoneNumbersMap": {}}
FOLLOWER_TYPES = ("regular", "admin", "super-admin", "portal")


class Serializer:
    """Builds records for the API."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._emails = email_book(storage)
        self._phones = phone_book(storage)

    # --- one record ---

    def attributes(self, entity_def: EntityDef, record_id: str, user: CurrentUser) -> dict[str, Any] | None:
        """Attributes that SQL gives, of a record that may be deleted; None if there is none."""
        hidden = acl.forbidden_fields(user, entity_def, "read")
        chosen = [
            a for a in entity_def.attributes.values() if (a.in_list or a.source == "foreign") and a.field not in hidden
        ]
        record = self._storage.load(entity_def, record_id, chosen)
        if record is not None:
            fill_in_name(entity_def, record)
        return record

    def record(self, entity_def: EntityDef, record_id: str, user: CurrentUser) -> dict[str, Any] | None:
        """A record in full, deleted or not; None if there is none."""
        record = self.attributes(entity_def, record_id, user)
        if record is not None:
            record |= self.belongings(entity_def, record_id, user)
        return record

    def belongings(self, entity_def: EntityDef, record_id: str, user: CurrentUser) -> dict[str, Any]:
        """What a single record brings along: addresses, link-multiple attributes, followers, star."""
        hidden = acl.forbidden_fields(user, entity_def, "read")
        found: dict[str, Any] = {}
        for field_def in entity_def.fields.values():
            if field_def.name not in hidden:
                found |= self._belongings_of(field_def, entity_def, record_id)
        if entity_def.stream:
            found |= self._followers(entity_def, record_id, user)
        if "stars" in entity_def.traits:
            found["isStarred"] = bool(self._starred(entity_def, [record_id], user))
        return found

    def _belongings_of(self, field_def: FieldDef, entity_def: EntityDef, record_id: str) -> dict[str, Any]:
        name = field_def.name
        match field_def.type:
            case "email" if not field_def.not_storable:
                return {f"{name}Data": self._emails.load(entity_def.name, record_id)}
            case "phone" if not field_def.not_storable:
                return {f"{name}Data": self._phones.load(entity_def.name, record_id)}
            case "linkMultiple" | "attachmentMultiple" if "noLoad" not in field_def.flags:
                return self.link_multiple(entity_def, field_def, record_id)
        return {name: EMPTY_EXTRAS[name]} if name in EMPTY_EXTRAS else {}

    def link_multiple(self, entity_def: EntityDef, field_def: FieldDef, record_id: str) -> dict[str, Any]:
        """``...Ids``, ``...Names`` and, if the field has them, ``...Columns`` and ``...Types``."""
        name = field_def.name
        link = entity_def.links[name]
        by_name = field_def.extra.get("orderBy") == "name"
        items = Relation(self._storage, entity_def, link, record_id).items(by_name=by_name)
        found: dict[str, Any] = {
            f"{name}Ids": [item["id"] for item in items],
            f"{name}Names": {item["id"]: item["name"] for item in items},
        }
        if field_def.columns:
            found[f"{name}Columns"] = {
                item["id"]: {column: item["columns"].get(column) for column in field_def.columns} for item in items
            }
        if field_def.type == "attachmentMultiple":
            found[f"{name}Types"] = self._attachment_types(found[f"{name}Ids"])
        return found

    def _attachment_types(self, ids: Sequence[str]) -> dict[str, Any]:
        if not ids:
            return {}
        sql = f'SELECT id, type FROM "Attachment" WHERE id IN ({", ".join("?" * len(ids))})'
        return {row["id"]: row["type"] for row in self._storage.rows(sql, ids)}

    def _followers(self, entity_def: EntityDef, record_id: str, user: CurrentUser) -> dict[str, Any]:
        rows = self._storage.rows(
            f'SELECT s."userId" AS id, u.type, {PERSON_NAME_SQL.replace("{t}", "u")} AS name FROM "Subscription" s'
            ' JOIN "User" u ON u.id = s."userId" AND u.deleted = 0'
            ' WHERE s."entityId" = ? AND s."entityType" = ? ORDER BY s."userId"',
            [record_id, entity_def.name],
        )
        found: dict[str, Any] = {"isFollowed": any(row["id"] == user.id for row in rows)}
        if acl.may(user, entity_def.name, "stream"):
            people = [row for row in rows if row["type"] in FOLLOWER_TYPES]
            found["followersIds"] = [row["id"] for row in people]
            found["followersNames"] = {row["id"]: row["name"] for row in people}
        return found

    def _starred(self, entity_def: EntityDef, ids: Sequence[str], user: CurrentUser) -> set[str]:
        if not ids:
            return set()
        marks = ", ".join("?" * len(ids))
        sql = (
            'SELECT "entityId" FROM "StarSubscription"'
            f' WHERE "entityType" = ? AND "userId" = ? AND "entityId" IN ({marks})'
        )
        return set(self._storage.column(sql, [entity_def.name, user.id, *ids]))

    # --- lists ---

    def selection(
        self,
        entity_def: EntityDef,
        select: Iterable[str] | None,
        order_by: str | None,
        user: CurrentUser,
        link: LinkDef | None = None,
    ) -> list[AttributeDef]:
        """Attributes of a list: those selected that exist, those that always come; all if nothing is selected.

        :param link: link of the other type, if this is a list of related records
        """
        attributes = entity_def.attributes
        hidden = acl.forbidden_fields(user, entity_def, "read")
        if select is None:
            names = [a.name for a in attributes.values() if a.in_list]
            if link is not None and link.foreign:
                names += [a.name for a in attributes.values() if a.source == "middle" and a.link == link.foreign]
        else:
            names = ["id", *select]
            names += self._companions(entity_def, names, order_by or entity_def.order_by, link)
            names += [other for name in names for other in entity_def.selects.get(name, ())]
        chosen = (attributes.get(name) for name in dict.fromkeys(names))
        kinds = {"none", "emailData", "phoneData"}
        return [
            a
            for a in chosen
            if a is not None
            and a.source not in kinds
            and a.field not in hidden
            and not (a.field in entity_def.fields and "internal" in entity_def.fields[a.field].flags)
        ]

    def _companions(self, entity_def: EntityDef, names: list[str], order_by: str, link: LinkDef | None) -> list[str]:
        found = [order_by]
        if entity_def.is_person:
            if order_by == "name":
                found += PERSON_PARTS
            if "name" in names or order_by == "name":
                found += entity_def.fields["name"].any_of
        found += [*entity_def.list_attributes, *RIGHTS_ATTRIBUTES]
        if link is not None:
            found += link.mandatory_attributes
        return found

    def page(
        self,
        entity_def: EntityDef,
        rows: Sequence[Mapping[str, Any]],
        chosen: Sequence[AttributeDef],
        user: CurrentUser,
        *,
        max_text: int | None = None,
        link: LinkDef | None = None,
        near: tuple[EntityDef, str] | None = None,
        stars: bool = True,
    ) -> list[dict[str, Any]]:
        """Records of a list.

        :param max_text: texts are cut to this length; None for the settings' bound
        :param link: link of the type in ``near``, if this is a list of related records
        :param near: type and id of the record whose related records these are
        """
        limit = max_text or self._storage.settings.list_text_length
        plain = [a for a in chosen if a.expression is not None and a.source != "middle"]
        texts = [a.name for a in plain if a.kind == "text"]
        records = [{a.name: from_database(a, row[a.name]) for a in plain} for row in rows]
        parent_fields = [a for a in plain if a.source == "parentName"]
        for record in records:
            for name in texts:
                if record[name] is not None and len(record[name]) > limit:
                    record[name] = record[name][:limit]
            for attribute in parent_fields:
                if f"{attribute.field}Id" not in record:
                    record[attribute.name] = None
            fill_in_name(entity_def, record)
        self._add_link_multiple(entity_def, records, chosen)
        self._add_middle_columns(records, chosen, link, near)
        if stars and "stars" in entity_def.traits:
            starred = self._starred(entity_def, [record["id"] for record in records], user)
            for record in records:
                record["isStarred"] = record["id"] in starred
        return records

    def _add_link_multiple(
        self, entity_def: EntityDef, records: list[dict[str, Any]], chosen: Sequence[AttributeDef]
    ) -> None:
        wanted = [a for a in chosen if a.source in ("linkIds", "linkNames", "linkColumns", "linkTypes")]
        for field_name in dict.fromkeys(a.field for a in wanted):
            names = [a.name for a in wanted if a.field == field_name]
            for record in records:
                loaded = self.link_multiple(entity_def, entity_def.fields[field_name], record["id"])
                record |= {name: loaded[name] for name in names}

    def _add_middle_columns(
        self,
        records: list[dict[str, Any]],
        chosen: Sequence[AttributeDef],
        link: LinkDef | None,
        near: tuple[EntityDef, str] | None,
    ) -> None:
        if link is None or near is None or not link.columns:
            return
        other = self._storage.definitions[link.entity_type]
        shown = other.links[link.foreign].column_attributes if link.foreign else {}
        names = {a.name for a in chosen}
        columns = Relation(self._storage, near[0], link, near[1]).columns()
        for column, name in shown.items():
            if name in names:
                for record in records:
                    value = columns.get(record["id"], {}).get(column)
                    record[name] = bool(value) if link.columns.get(column) == "bool" else value


def fill_in_name(entity_def: EntityDef, record: dict[str, Any]) -> None:
    """A person without a name is called by what stands for it (company, e-mail address, phone number)."""
    name_field = entity_def.fields.get("name")
    if name_field is None or not name_field.any_of or record.get("name"):
        return
    for stand_in in name_field.any_of:
        if record.get(stand_in):
            record["name"] = record[stand_in]
            return


def existing(storage: Storage, entity_def: EntityDef, record_id: str) -> bool:
    """Whether there is a record that is not deleted."""
    sql = f'SELECT 1 FROM "{entity_def.name}" {ROOT} WHERE {ROOT}.id = ? AND {ROOT}.deleted = 0'
    return storage.value(sql, [record_id]) is not None
