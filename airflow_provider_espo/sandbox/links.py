"""Links between records: reads them, makes them, ends them, whatever their kind."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.attributes import name_sql
from airflow_provider_espo.sandbox.definitions import EntityDef, LinkDef, quoted
from airflow_provider_espo.sandbox.storage import ROOT, Condition, Storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Relation:
    """One link of one record.

    :param entity_def: type of the record
    :param link: link of that type
    """

    storage: Storage
    entity_def: EntityDef
    link: LinkDef
    record_id: str

    def condition(self) -> Condition:
        """SQL that holds for the rows of the other type (alias ``t``) on the other side."""
        link = self.link
        match link.kind:
            case "manyMany":
                where, params = self._middle_where("m.")
                ids = f"SELECT m.{quoted(link.distant_key)} FROM {quoted(link.middle)} m"
                return f"{ROOT}.id IN ({ids} WHERE {where} AND m.deleted = 0)", params
            case "hasMany" | "hasOne":
                return f"{ROOT}.{quoted(link.foreign_key)} = ?", (self.record_id,)
            case "hasChildren":
                key, type_key = quoted(link.foreign_key), quoted(link.foreign_type_key)
                where = f"({ROOT}.{key} = ? AND {ROOT}.{type_key} = ?)"
                return where, (self.record_id, self.entity_def.name)
            case _:
                table, key = quoted(self.entity_def.name), quoted(link.key)
                return f"{ROOT}.id = (SELECT {key} FROM {table} WHERE id = ?)", (self.record_id,)

    def items(self, *, by_name: bool = False) -> list[dict[str, Any]]:
        """Records on the other side, not deleted.

        :param by_name: whether to order them by name; else by age
        :return: for each ``id``, ``name`` and, under ``columns``, the middle table's columns
        """
        link, definitions = self.link, self.storage.definitions
        if link.entity_type not in definitions:
            return []
        where, params = self.condition()
        name = (name_sql(link.entity_type, definitions) or "NULL").replace("{t}", ROOT)
        rows = self.storage.rows(
            f"SELECT {ROOT}.id, {name} AS name FROM {quoted(link.entity_type)} {ROOT}"
            f" WHERE {ROOT}.deleted = 0 AND {where} ORDER BY {'name, id' if by_name else 'id'}",
            params,
        )
        columns = self.columns() if link.columns else {}
        return [{**row, "columns": columns.get(row["id"], {})} for row in rows]

    def ids(self) -> list[str]:
        """Ids of the records on the other side, not deleted."""
        return [item["id"] for item in self.items()]

    def columns(self) -> dict[str, dict[str, Any]]:
        """Role columns of a many-to-many link by the id of the other record."""
        link = self.link
        where, params = self._middle_where("m.")
        selected = ", ".join(f"m.{quoted(name)}" for name in link.columns)
        rows = self.storage.rows(
            f"SELECT m.{quoted(link.distant_key)} AS _id, {selected} FROM {quoted(link.middle)} m"
            f" WHERE {where} AND m.deleted = 0",
            params,
        )
        kinds = link.columns.items()
        return {r["_id"]: {n: bool(r[n]) if kind == "bool" else r[n] for n, kind in kinds} for r in rows}

    def has(self, foreign_id: str) -> bool:
        """Whether another record is linked."""
        where, params = self.condition()
        sql = f"SELECT 1 FROM {quoted(self.link.entity_type)} {ROOT} WHERE {ROOT}.id = ? AND {where}"
        return self.storage.value(sql, [foreign_id, *params]) is not None

    def add(self, foreign_id: str, columns: Mapping[str, Any] | None = None) -> None:
        """Link another record. Linking anew changes nothing but the columns that are given."""
        link = self.link
        match link.kind:
            case "manyMany":
                self._add_middle_row(foreign_id, columns or {})
            case "hasMany" | "hasOne":
                self.storage.update(link.entity_type, foreign_id, {link.foreign_key: self.record_id})
            case "hasChildren":
                keys = {link.foreign_key: self.record_id, link.foreign_type_key: self.entity_def.name}
                self.storage.update(link.entity_type, foreign_id, keys)
            case _:
                raise ValueError(f"{self.entity_def.name}.{link.name} is not a link to many")

    def remove(self, foreign_id: str) -> None:
        """End the link with another record, if there is one."""
        link = self.link
        if link.kind == "manyMany":
            where, params = self._middle_where()
            sql = f"UPDATE {quoted(link.middle)} SET deleted = 1 WHERE {where} AND {quoted(link.distant_key)} = ?"
            self.storage.execute(sql, [*params, foreign_id])
        elif self.has(foreign_id):
            keys = [link.foreign_key, *([link.foreign_type_key] if link.foreign_type_key else [])]
            self.storage.update(link.entity_type, foreign_id, dict.fromkeys(keys))

    def replace(
        self, foreign_ids: Sequence[str], columns: Mapping[str, Any] | None = None
    ) -> tuple[list[str], list[str]]:
        """Link exactly these records.

        :param columns: role columns by the id of the other record
        :return: ids that were unlinked, and ids that were linked
        """
        present = self.ids()
        ended = [foreign_id for foreign_id in present if foreign_id not in foreign_ids]
        for foreign_id in ended:
            self.remove(foreign_id)
        for foreign_id in dict.fromkeys(foreign_ids):
            given = (columns or {}).get(foreign_id)
            if foreign_id not in present or given:
                self.add(foreign_id, given if isinstance(given, dict) else None)
        return ended, [foreign_id for foreign_id in dict.fromkeys(foreign_ids) if foreign_id not in present]

    def _middle_where(self, alias: str = "") -> Condition:
        parts, params = [f"{alias}{quoted(self.link.near_key)} = ?"], [self.record_id]
        if self.link.near_type is not None:
            parts.append(f'{alias}"entityType" = ?')
            params.append(self.entity_def.name)
        for column, value in self.link.conditions.items():
            parts.append(f"{alias}{quoted(column)} = ?")
            params.append(value)
        return " AND ".join(parts), params

    def _add_middle_row(self, foreign_id: str, columns: Mapping[str, Any]) -> None:
        link = self.link
        given = {
            name: int(bool(columns[name])) if kind == "bool" else columns[name]
            for name, kind in link.columns.items()
            if name in columns
        }
        where, params = self._middle_where()
        distant = quoted(link.distant_key)
        with self.storage.transaction():
            sql = f"SELECT 1 FROM {quoted(link.middle)} WHERE {where} AND {distant} = ?"
            if self.storage.value(sql, [*params, foreign_id]) is None:
                keys = {link.near_key: self.record_id, link.distant_key: foreign_id, **link.conditions}
                typed = {"entityType": self.entity_def.name} if link.near_type is not None else {}
                row = {**keys, **typed, **link.column_defaults, **given, "deleted": 0}
                self.storage.insert(link.middle, row)
                return
            assignments = "".join(f", {quoted(name)} = ?" for name in given)
            sql = f"UPDATE {quoted(link.middle)} SET deleted = 0{assignments} WHERE {where} AND {distant} = ?"
            self.storage.execute(sql, [*given.values(), *params, foreign_id])


def relation(storage: Storage, entity_type: str, link_name: str, record_id: str) -> Relation:
    """The link of a record by names."""
    entity_def = storage.definitions[entity_type]
    return Relation(storage, entity_def, entity_def.links[link_name], record_id)
