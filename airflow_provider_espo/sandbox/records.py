"""Creates, reads, updates and deletes records, with all checks in the order of a real server."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, behaviours, conflicts, locks, notes, record_input
from airflow_provider_espo.sandbox.addresses import email_book, phone_book
from airflow_provider_espo.sandbox.answers import created_record, updated_record
from airflow_provider_espo.sandbox.change import Change
from airflow_provider_espo.sandbox.duplicates import find_duplicates
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.links import Relation
from airflow_provider_espo.sandbox.storage import Storage, to_database

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef, LinkDef
    from airflow_provider_espo.sandbox.serialize import Serializer
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Told of every record that was saved or deleted: what happened (``create``, ``update``, ``delete``) and the change.
Listener = Callable[[str, Change], None]


class Records:
    """The record service, for all entity types."""

    def __init__(self, storage: Storage, serializer: Serializer) -> None:
        self._storage = storage
        self._serializer = serializer
        self._emails = email_book(storage)
        self._phones = phone_book(storage)
        self.listeners: list[Listener] = []
        #: The same within the transaction, so that what an observer writes is there if the change is.
        self.observers: list[Listener] = []

    def read(self, entity_def: EntityDef, record_id: str, user: CurrentUser) -> dict[str, Any]:
        """One record in full. An administrator also sees deleted records.

        :raises ApiError: 403, 404
        """
        if not acl.may(user, entity_def.name, "read"):
            raise ApiError(403, "No read access.")
        record = self._serializer.record(entity_def, record_id, user)
        if record is None or (record["deleted"] and not user.is_admin):
            raise ApiError(404, f"Record {record_id} does not exist.")
        if not acl.may_on(self._storage, user, entity_def, record_id, "read"):
            raise ApiError(403, "No 'read' access.")
        return record

    def create(
        self,
        entity_def: EntityDef,
        body: Mapping[str, Any],
        user: CurrentUser,
        *,
        skip_duplicate_check: bool = False,
        authorized: bool = False,
    ) -> dict[str, Any]:
        """Create a record.

        :param authorized: whether the caller has checked that the user may
        :return: what was set, not what a read would give
        :raises ApiError: 400 for invalid values, 403, 409 with the duplicates
        """
        if not authorized and not acl.may(user, entity_def.name, "create"):
            raise ApiError(403, "No create access.")
        settings = self._storage.settings
        with self._storage.transaction():
            change = Change(entity_def, self._storage.new_id(), user, is_new=True)
            change.values = record_input.accepted_values(entity_def, body, user, is_new=True)
            change.given = frozenset(change.values)
            behaviours.before_check(change, self._storage)
            change.values |= record_input.defaults(entity_def, settings, change.values)
            record_input.fill_in_currencies(change, settings)
            record_input.check(change, settings, self._storage.definitions)
            self._check_assignment(change)
            self._check_links(change)
            if not skip_duplicate_check and not body.get("_skipDuplicateCheck"):
                self._check_duplicates(change)
            self._save(change)
        self._tell("create", change)
        return created_record(self._storage, self._serializer, change)

    def update(
        self,
        entity_def: EntityDef,
        record_id: str,
        body: Mapping[str, Any],
        user: CurrentUser,
        *,
        version: str | None = None,
        authorized: bool = False,
    ) -> dict[str, Any]:
        """Update a record. Every update moves ``modifiedAt``, also one that changes nothing.

        :param version: version number that the client saw; None to overwrite whatever is there
        :param authorized: whether the caller has checked that the user may
        :raises ApiError: 400 for invalid values, 403, 404, 409 if somebody else changed the record
        """
        if not authorized and not acl.may(user, entity_def.name, "edit"):
            raise ApiError(403, "No edit access.")
        settings = self._storage.settings
        with self._storage.transaction():
            old = self._serializer.record(entity_def, record_id, user)
            if old is None or old["deleted"]:
                raise ApiError(404, f"Record {record_id} not found.")
            if not authorized and not acl.may_on(self._storage, user, entity_def, record_id, "edit"):
                raise ApiError(403, "No edit access.")
            change = Change(entity_def, record_id, user, is_new=False, old=old)
            change.values = record_input.accepted_values(entity_def, body, user, is_new=False)
            change.given = frozenset(change.values)
            behaviours.before_check(change, self._storage)
            record_input.fill_in_currencies(change, settings)
            record_input.check(change, settings, self._storage.definitions)
            conflicts.check(change, version)
            locks.check_change(change)
            self._check_assignment(change)
            self._check_links(change)
            self._save(change)
        self._tell("update", change)
        return updated_record(self._storage, self._serializer, change)

    def delete(self, entity_def: EntityDef, record_id: str, user: CurrentUser, *, authorized: bool = False) -> None:
        """Mark a record as deleted.

        :param authorized: whether the caller has checked that the user may
        :raises ApiError: 403, 404 (also if it is deleted already)
        """
        if not authorized and not acl.may(user, entity_def.name, "delete"):
            raise ApiError(403, "No delete access.")
        with self._storage.transaction():
            found = self._storage.value(
                f'SELECT 1 FROM "{entity_def.name}" WHERE id = ? AND deleted = 0',
                [record_id],
            )
            if found is None:
                raise ApiError(404, f"Record {record_id} not found.")
            if not authorized and not acl.may_on(self._storage, user, entity_def, record_id, "delete"):
                raise ApiError(403, "No delete access.")
            locks.check_removal(self._storage, entity_def, record_id)
            change = Change(entity_def, record_id, user, is_new=False, old={"id": record_id})
            change.values = {"deleted": True, **self._stamps(change)}
            self._store(change)
            notes.forget(self._storage, entity_def.name, [record_id])
            self._show("delete", change)
        self._tell("delete", change)

    def stored(self, entity_def: EntityDef, record_id: str, user: CurrentUser) -> dict[str, Any]:
        """A record that is not deleted, in full, whether or not the user may read it.

        :raises ApiError: 404
        """
        found = self._serializer.record(entity_def, record_id, user)
        if found is None or found["deleted"]:
            raise ApiError(404, "")
        return found

    def set_values(
        self, entity_def: EntityDef, record_id: str, values: Mapping[str, Any], user: CurrentUser
    ) -> dict[str, Any]:
        """Change attributes of a record past all checks of input: what the server does of itself, in the user's name.

        :raises ApiError: 404
        """
        with self._storage.transaction():
            change = Change(entity_def, record_id, user, is_new=False, old=self.stored(entity_def, record_id, user))
            change.values, change.given = dict(values), frozenset(values)
            self._save(change)
        self._tell("update", change)
        return updated_record(self._storage, self._serializer, change)

    def save_imported(self, change: Change) -> None:
        """Save a row of an import, which may state who made a record, and when. The caller has checked it."""
        stated = {name: change.values[name] for name in ("createdAt", "createdById") if change.values.get(name)}
        with self._storage.transaction():
            self._save(change)
            self._storage.update(change.entity_def.name, change.id, stated if change.is_new else {})
        self._tell("create" if change.is_new else "update", change)

    # --- steps ---

    def _tell(self, what: str, change: Change) -> None:
        for listener in self.listeners:
            listener(what, change)

    def _show(self, what: str, change: Change) -> None:
        for observer in self.observers:
            observer(what, change)

    def _check_assignment(self, change: Change) -> None:
        """Who may be given the record: with a permission below ``all`` only oneself, or members of one's teams."""
        user_id = change.values.get("assignedUserId")
        permission = acl.permission(change.user, "assignment")
        if not user_id or permission == "all" or user_id == change.user.id or not change.is_changed("assignedUserId"):
            return
        marks = ", ".join("?" * len(change.user.team_ids))
        in_team = permission == "team" and self._storage.value(
            f'SELECT 1 FROM "TeamUser" WHERE "userId" = ? AND "teamId" IN ({marks}) AND deleted = 0',
            [user_id, *change.user.team_ids],
        )
        if not in_team:
            raise ApiError(403, "Assignment failure: assigned user or team not allowed.")

    def _check_links(self, change: Change) -> None:
        """Records that the change points to have to exist."""
        for field_def in change.entity_def.fields.values():
            name = field_def.name
            link = change.entity_def.links.get(name)
            match field_def.type:
                case "link" | "file" | "image" if link is not None:
                    if change.is_changed(f"{name}Id"):
                        self._check_exists(change, name, link.entity_type, [change.values[f"{name}Id"]])
                case "linkParent":
                    parent_type = change.get(f"{name}Type")
                    if parent_type is not None and change.is_changed(f"{name}Id"):
                        self._check_exists(change, name, parent_type, [change.values[f"{name}Id"]])
                case "linkMultiple" | "attachmentMultiple" if link is not None:
                    ids = change.values.get(f"{name}Ids")
                    if ids:
                        present = set(change.old.get(f"{name}Ids") or ())
                        self._check_exists(change, name, link.entity_type, [i for i in ids if i not in present])

    def _check_exists(self, change: Change, link_name: str, entity_type: str | None, ids: Iterable[Any]) -> None:
        for record_id in ids:
            if record_id is None:
                continue
            known = entity_type in self._storage.definitions and self._storage.value(
                f'SELECT 1 FROM "{entity_type}" WHERE id = ? AND deleted = 0',
                [str(record_id)],
            )
            if not known:
                raise ApiError(
                    403,
                    f"Can't relate with non-existing record. entity type: {change.entity_def.name}, link: {link_name}.",
                    record_input.translated("cannotRelateNonExisting", {"foreignEntityType": entity_type}),
                )

    def _check_duplicates(self, change: Change) -> None:
        ids = find_duplicates(self._storage, change)
        if not ids:
            return
        found = [self._serializer.attributes(change.entity_def, record_id, change.user) for record_id in ids]
        raise ApiError(409, "duplicate", [record for record in found if record is not None])

    # --- saving ---

    def _save(self, change: Change) -> None:
        behaviours.before_save(change, self._storage)
        change.values |= self._stamps(change)
        self._store(change)
        self._save_addresses(change)
        self._save_links(change)
        behaviours.after_save(change, self._storage)
        notes.note_save(change, self._storage)
        self._show("create" if change.is_new else "update", change)

    def _stamps(self, change: Change) -> dict[str, Any]:
        """Who and when; the version number; when the stream moved."""
        now, attributes = self._storage.now(), change.entity_def.attributes
        stamps: dict[str, Any] = {"modifiedAt": now}
        if change.is_new:
            stamps |= {"createdAt": now, "createdById": change.user.id, "streamUpdatedAt": now, "versionNumber": 1}
        else:
            stamps["modifiedById"] = change.user.id
            if change.entity_def.optimistic_concurrency:
                stamps["versionNumber"] = (change.old.get("versionNumber") or 0) + 1
            if self._is_audited(change):
                stamps["streamUpdatedAt"] = now
        return {name: value for name, value in stamps.items() if name in attributes}

    def _is_audited(self, change: Change) -> bool:
        """Whether a field has changed of which the stream takes note."""
        for name in change.values:
            attribute = change.entity_def.attributes.get(name)
            field_def = change.entity_def.fields.get(attribute.field) if attribute else None
            if field_def is None or not change.is_changed(name):
                continue
            if "audited" in field_def.flags or field_def.name in (change.entity_def.status_field, "assignedUser"):
                return True
        return False

    def _store(self, change: Change) -> None:
        row = {
            name: to_database(attribute, change.values[name])
            for name, attribute in change.entity_def.attributes.items()
            if name in change.values and attribute.stored and name != "id"
        }
        for name, value in row.items():
            if change.entity_def.attributes[name].kind == "datetime" and value and len(value) == 16:
                row[name] = f"{value}:00"
        if change.is_new:
            self._storage.insert(change.entity_def.name, {"id": change.id, "deleted": 0, **row})
        else:
            self._storage.update(change.entity_def.name, change.id, row)

    def _save_addresses(self, change: Change) -> None:
        for field_def in change.entity_def.fields.values():
            if field_def.type not in ("email", "phone") or field_def.not_storable:
                continue
            book = self._emails if field_def.type == "email" else self._phones
            name, data_name = field_def.name, f"{field_def.name}Data"
            default_type = field_def.phone_types[0] if field_def.phone_types else ""
            if data_name in change.given:
                book.replace(change.entity_def.name, change.id, change.values[data_name] or [], default_type)
                kept = book.load(change.entity_def.name, change.id)
                if kept and name not in change.given:
                    change.values[name] = kept[0]["lower" if field_def.type == "email" else "phoneNumber"]
            elif name in change.given:
                book.set_primary(change.entity_def.name, change.id, change.values[name], default_type)
            flags = {"optOut": f"{name}IsOptedOut", "invalid": f"{name}IsInvalid"}
            given = {flag: change.values[a] for flag, a in flags.items() if a in change.given}
            book.set_flags(change.entity_def.name, change.id, given)

    def _save_links(self, change: Change) -> None:
        for field_def in change.entity_def.fields.values():
            name = field_def.name
            if field_def.type not in ("linkMultiple", "attachmentMultiple") or name not in change.entity_def.links:
                continue
            columns = change.values.get(f"{name}Columns")
            ids = change.values.get(f"{name}Ids")
            if ids is None and columns:
                ids = change.old.get(f"{name}Ids")
            if ids is None:
                continue
            link = change.entity_def.links[name]
            columns = columns if isinstance(columns, dict) else None
            relation = Relation(self._storage, change.entity_def, link, change.id)
            ended, added = relation.replace([str(i) for i in ids], columns)
            if not change.is_new and not change.silent:
                self._note_links(change, link, ended, added)

    def _note_links(self, change: Change, link: LinkDef, ended: Iterable[str], added: Iterable[str]) -> None:
        near = (change.entity_def, change.id)
        for ids, is_end in ((ended, True), (added, False)):
            for foreign_id in ids:
                notes.note_link(self._storage, change.user, near, link, foreign_id, ended=is_end)
