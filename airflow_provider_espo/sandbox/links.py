"""Links between records: reads them, makes them, ends them, whatever their kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_espo.sandbox.attributes import name_sql
from airflow_provider_espo.sandbox.definitions import EntityDef, LinkDef, quoted
from airflow_provider_espo.sandbox.storage import ROOT, Condition, Storage


def condition(entity_def: EntityDef, link: LinkDef, record_id: str) -> Condition:
    """SQL that holds for the rows of the other type (alias ``t``) that a record is linked with."""
    match link.kind:
        case "manyMany":
            where, params = _middle_where(entity_def, link, record_id)
            middle = quoted(link.middle)
            sql = f"{ROOT}.id IN (SELECT m.{quoted(link.distant_key)} FROM {middle} m WHERE {where} AND m.deleted = 0)"  # noqa: S608
            return sql, params
        case "hasMany" | "hasOne":
            return f"{ROOT}.{quoted(link.foreign_key)} = ?", (record_id,)
        case "hasChildren":
            key, type_key = quoted(link.foreign_key), quoted(link.foreign_type_key)
            return f"({ROOT}.{key} = ? AND {ROOT}.{type_key} = ?)", (record_id, entity_def.name)
        case _:
            table, key = quoted(entity_def.name), quoted(link.key)
            return f"{ROOT}.id = (SELECT {key} FROM {table} WHERE id = ?)", (record_id,)  # noqa: S608


def linked(storage: Storage, entity_def: EntityDef, link: LinkDef, record_id: str, *, by_name: bool = False) -> list[dict[str, Any]]:
    """Records on the other side, not deleted: ``id``, ``name`` and, under ``columns``, the middle table's columns."""
    if link.entity_type not in storage.definitions:
        return []
    where, params = condition(entity_def, link, record_id)
    name = (name_sql(link.entity_type, storage.definitions) or "NULL").replace("{t}", ROOT)
    order = "name, id" if by_name else "id"
    rows = storage.rows(
        f"SELECT {ROOT}.id, {name} AS name FROM {quoted(link.entity_type)} {ROOT}"  # noqa: S608
        f" WHERE {ROOT}.deleted = 0 AND {where} ORDER BY {order}",
        params,
    )
    columns = middle_columns(storage, entity_def, link, record_id) if link.columns else {}
    return [{"id": row["id"], "name": row["name"], "columns": columns.get(row["id"], {})} for row in rows]


def middle_columns(storage: Storage, entity_def: EntityDef, link: LinkDef, record_id: str) -> dict[str, dict[str, Any]]:
    """Role columns of a many-to-many link by the id of the other record."""
    where, params = _middle_where(entity_def, link, record_id)
    selected = ", ".join(f"m.{quoted(name)}" for name in link.columns)
    rows = storage.rows(
        f"SELECT m.{quoted(link.distant_key)} AS _id, {selected} FROM {quoted(link.middle)} m"  # noqa: S608
        f" WHERE {where} AND m.deleted = 0",
        params,
    )
    return {
        row["_id"]: {name: bool(row[name]) if kind == "bool" else row[name] for name, kind in link.columns.items()}
        for row in rows
    }


def is_linked(storage: Storage, entity_def: EntityDef, link: LinkDef, record_id: str, foreign_id: str) -> bool:
    """Whether two records are linked."""
    where, params = condition(entity_def, link, record_id)
    sql = f"SELECT 1 FROM {quoted(link.entity_type)} {ROOT} WHERE {ROOT}.id = ? AND {where}"  # noqa: S608
    return storage.value(sql, [foreign_id, *params]) is not None


def link_records(
    storage: Storage,
    entity_def: EntityDef,
    link: LinkDef,
    record_id: str,
    foreign_id: str,
    columns: Mapping[str, Any] | None = None,
) -> None:
    """Link two records. Linking anew changes nothing but the columns that are given."""
    match link.kind:
        case "manyMany":
            _link_by_middle(storage, entity_def, link, record_id, foreign_id, columns or {})
        case "hasMany" | "hasOne":
            storage.update(link.entity_type, foreign_id, {link.foreign_key: record_id})
        case "hasChildren":
            keys = {link.foreign_key: record_id, link.foreign_type_key: entity_def.name}
            storage.update(link.entity_type, foreign_id, keys)
        case _:
            raise ValueError(f"{entity_def.name}.{link.name} is not a link to many")


def unlink_records(storage: Storage, entity_def: EntityDef, link: LinkDef, record_id: str, foreign_id: str) -> None:
    """End the link of two records, if there is one."""
    if link.kind == "manyMany":
        where, params = _middle_where(entity_def, link, record_id, alias="")
        storage.execute(
            f"UPDATE {quoted(link.middle)} SET deleted = 1 WHERE {where} AND {quoted(link.distant_key)} = ?",  # noqa: S608
            [*params, foreign_id],
        )
    elif is_linked(storage, entity_def, link, record_id, foreign_id):
        keys = dict.fromkeys([link.foreign_key, *([link.foreign_type_key] if link.foreign_type_key else [])])
        storage.update(link.entity_type, foreign_id, keys)


def replace_links(
    storage: Storage,
    entity_def: EntityDef,
    link: LinkDef,
    record_id: str,
    foreign_ids: list[str],
    columns: Mapping[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """Link a record with exactly these.

    :param columns: role columns by the id of the other record
    :return: ids that were added, and ids that were removed
    """
    present = [item["id"] for item in linked(storage, entity_def, link, record_id)]
    added = [i for i in dict.fromkeys(foreign_ids) if i not in present]
    removed = [i for i in present if i not in foreign_ids]
    for foreign_id in removed:
        unlink_records(storage, entity_def, link, record_id, foreign_id)
    for foreign_id in dict.fromkeys(foreign_ids):
        given = (columns or {}).get(foreign_id)
        if foreign_id in added or given:
            link_records(storage, entity_def, link, record_id, foreign_id, given if isinstance(given, dict) else None)
    return added, removed


def _middle_where(entity_def: EntityDef, link: LinkDef, record_id: str, alias: str = "m.") -> Condition:
    parts, params = [f"{alias}{quoted(link.near_key)} = ?"], [record_id]
    if link.near_type is not None:
        parts.append(f'{alias}"entityType" = ?')
        params.append(entity_def.name)
    for column, value in link.conditions.items():
        parts.append(f"{alias}{quoted(column)} = ?")
        params.append(value)
    return " AND ".join(parts), params


def _link_by_middle(
    storage: Storage, entity_def: EntityDef, link: LinkDef, record_id: str, foreign_id: str, columns: Mapping[str, Any]
) -> None:
    known = {name: value for name, value in columns.items() if name in link.columns}
    database = {n: int(bool(v)) if link.columns[n] == "bool" else v for n, v in known.items()}
    where, params = _middle_where(entity_def, link, record_id, alias="")
    distant = quoted(link.distant_key)
    with storage.transaction():
        old = storage.value(
            f"SELECT deleted FROM {quoted(link.middle)} WHERE {where} AND {distant} = ?",  # noqa: S608
            [*params, foreign_id],
        )
        if old is None:
            defaults = {n: int(v) if isinstance(v, bool) else v for n, v in link.column_defaults.items()}
            keys: dict[str, Any] = {link.near_key: record_id, link.distant_key: foreign_id, **link.conditions}
            if link.near_type is not None:
                keys["entityType"] = entity_def.name
            storage.insert(link.middle, {**keys, **defaults, **database, "deleted": 0})
            return
        assignments = "".join(f", {quoted(name)} = ?" for name in database)
        storage.execute(
            f"UPDATE {quoted(link.middle)} SET deleted = 0{assignments} WHERE {where} AND {distant} = ?",  # noqa: S608
            [*database.values(), *params, foreign_id],
        )
