"""Fields that are added while the sandbox runs, as an administrator does it. They are kept in the database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.definition_files import with_attributes
from airflow_provider_espo.sandbox.definition_lines import DefinitionError, parse_field, parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.definitions import FieldDef
    from airflow_provider_espo.sandbox.storage import Storage

#: Properties of the administrator's form and the words of a field line.
FLAG_WORDS = {"required": "required", "audited": "audited", "readOnly": "readonly", "noBadCharacters": "clean"}
#: Types that would need more than a field (a link, a middle table).
TYPES_WITH_LINK = frozenset(
    {"link", "linkOne", "linkParent", "linkMultiple", "attachmentMultiple", "file", "image", "foreign"}
)


class CustomFields:
    """Adds fields to entity types and takes them away."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        rows = storage.rows('SELECT "entityType", name, spec FROM "CustomField" ORDER BY rowid')
        for row in rows:
            if row["entityType"] in storage.definitions:
                self._put(row["entityType"], parse_spec(row["name"], json.loads(row["spec"])))

    def add(self, entity_type: str, name: str, spec: str | Mapping[str, Any]) -> FieldDef:
        """Add a field.

        :param spec: a field line as in the data files (``"varchar 100 required"``), or what the
            administrator's form sends (``{"type": "varchar", "maxLength": 100, "required": true}``)
        :raises DefinitionError: if type, field or definition make no sense
        """
        entity_def = self._storage.definitions.get(entity_type)
        if entity_def is None:
            raise DefinitionError(f"no entity type {entity_type!r}")
        if name in entity_def.fields or name in entity_def.attributes:
            raise DefinitionError(f"{entity_type} already has a field {name!r}")
        form = {"spec": spec} if isinstance(spec, str) else dict(spec)
        field_def = parse_spec(name, form)
        with self._storage.transaction():
            self._storage.insert("CustomField", {"entityType": entity_type, "name": name, "spec": json.dumps(form)})
            self._put(entity_type, field_def)
        return field_def

    def remove(self, entity_type: str, name: str) -> None:
        """Take a field away; stored values stay in their column."""
        entity_def = self._storage.definitions[entity_type]
        gone = {name, *(part.name for part in parts_of(entity_def.fields[name]))}
        fields = {n: f for n, f in entity_def.fields.items() if n not in gone}
        self._storage.execute('DELETE FROM "CustomField" WHERE "entityType" = ? AND name = ?', [entity_type, name])
        changed = with_attributes(replace(entity_def, fields=fields), self._storage.definitions)
        self._storage.change_definition(changed)

    def _put(self, entity_type: str, field_def: FieldDef) -> None:
        entity_def = self._storage.definitions[entity_type]
        fields = {**entity_def.fields, field_def.name: field_def}
        for part in parts_of(field_def):
            fields.setdefault(part.name, replace(part, custom=True))
        changed = with_attributes(replace(entity_def, fields=fields), self._storage.definitions)
        self._storage.change_definition(changed)


def parse_spec(name: str, form: Mapping[str, Any]) -> FieldDef:
    """A field from a field line or from the form of an administrator."""
    if isinstance(form.get("spec"), str):
        field_def = parse_field(name, form["spec"])
    else:
        field_def = parse_field(name, field_line(form))
        if isinstance(form.get("options"), list):
            field_def = replace(field_def, options=tuple(form["options"]))
        if form.get("default") is not None:
            field_def = replace(field_def, default=form["default"], has_default=True)
    if field_def.type in TYPES_WITH_LINK:
        raise DefinitionError(f"{name}: a field of type {field_def.type} cannot be added")
    return replace(field_def, custom=True)


def field_line(form: Mapping[str, Any]) -> str:
    """The administrator's form as a field line."""
    words = [str(form.get("type") or "")]
    if form.get("maxLength"):
        words.append(str(int(form["maxLength"])))
    words += [word for key, word in FLAG_WORDS.items() if form.get(key)]
    words += [f"{key}={form[key]}" for key in ("min", "max") if form.get(key) is not None]
    return " ".join(words)
