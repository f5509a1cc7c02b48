"""Which attributes (keys of a record) follow from the fields of an entity type, and how SQL computes those without a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.definitions import (
    AttributeDef,
    AttributeKind,
    EntityDef,
    FieldDef,
    LinkDef,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Field types and the kind of their main attribute; None for types without an attribute of their own name.
ATTRIBUTE_KINDS: Mapping[str, AttributeKind | None] = {
    "varchar": "varchar",
    "enum": "varchar",
    "url": "varchar",
    "password": "varchar",
    "colorpicker": "varchar",
    "barcode": "varchar",
    "base": "varchar",
    "personName": "varchar",
    "email": "varchar",
    "phone": "varchar",
    "text": "text",
    "wysiwyg": "text",
    "int": "int",
    "enumInt": "int",
    "autoincrement": "int",
    "duration": "int",
    "float": "float",
    "currency": "float",
    "currencyConverted": "float",
    "bool": "bool",
    "date": "date",
    "datetime": "datetime",
    "datetimeOptional": "datetime",
    "array": "jsonArray",
    "multiEnum": "jsonArray",
    "checklist": "jsonArray",
    "urlMultiple": "jsonArray",
    "jsonArray": "jsonArray",
    "jsonObject": "jsonObject",
    "foreign": "varchar",
    "link": None,
    "linkOne": None,
    "linkParent": None,
    "linkMultiple": None,
    "attachmentMultiple": None,
    "file": None,
    "image": None,
    "address": None,
    "map": None,
}

PERSON_NAME_SQL = "NULLIF(TRIM(COALESCE({t}.\"firstName\", '') || ' ' || COALESCE({t}.\"lastName\", '')), '')"
PRIMARY_EMAIL_SQL = (
    '(SELECT e.{column} FROM "EntityEmailAddress" ee JOIN "EmailAddress" e ON e.id = ee."emailAddressId" AND e.deleted = 0'
    ' WHERE ee."entityId" = {{t}}.id AND ee."entityType" = \'{type}\' AND ee."primary" = 1 AND ee.deleted = 0)'
)
PRIMARY_PHONE_SQL = (
    '(SELECT p.{column} FROM "EntityPhoneNumber" ep JOIN "PhoneNumber" p ON p.id = ep."phoneNumberId" AND p.deleted = 0'
    ' WHERE ep."entityId" = {{t}}.id AND ep."entityType" = \'{type}\' AND ep."primary" = 1 AND ep.deleted = 0)'
)


def attributes_of(entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]) -> Iterator[AttributeDef]:
    """Every attribute of a type, ``id`` and ``deleted`` first.

    :param entity_defs: all types; the names of linked records depend on them
    """
    yield AttributeDef("id", "id", "id", expression='{t}."id"')
    yield AttributeDef("deleted", "bool", "deleted", expression='{t}."deleted"', orderable=False)
    for field_def in entity_def.fields.values():
        yield from field_attributes(field_def, entity_def, entity_defs)
    for link in entity_def.links.values():
        if link.name not in entity_def.fields and link.key:
            yield AttributeDef(link.key, "foreignId", link.name, link=link.name, expression=f'{{t}}."{link.key}"')
        if link.name not in entity_def.fields and link.type_key:
            sql = f'{{t}}."{link.type_key}"'
            yield AttributeDef(link.type_key, "foreignType", link.name, link=link.name, expression=sql)
    if entity_def.optimistic_concurrency:
        yield AttributeDef("versionNumber", "int", "versionNumber", expression='{t}."versionNumber"')


def field_attributes(
    field_def: FieldDef, entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]
) -> Iterator[AttributeDef]:
    name = field_def.name
    orderable = "orderDisabled" not in field_def.flags
    link = entity_def.links.get(name)
    match field_def.type:
        case "address" | "map":
            return
        case "personName":
            yield AttributeDef(name, "varchar", name, "personName", expression=PERSON_NAME_SQL)
        case "email" if not field_def.not_storable:
            yield from contact_attributes(field_def, entity_def, PRIMARY_EMAIL_SQL, "email")
        case "phone" if not field_def.not_storable:
            yield from contact_attributes(field_def, entity_def, PRIMARY_PHONE_SQL, "phone")
        case "bool" if name.endswith(("IsOptedOut", "IsInvalid")) and field_def.not_storable:
            yield from contact_flag(field_def, entity_def)
        case "currencyConverted":
            amount = name.removesuffix("Converted")
            if entity_def.fields[amount].not_storable:
                yield AttributeDef(name, "float", name, "none", orderable=False, in_list=False)
            else:
                sql = f'({{t}}."{amount}" * espo_rate({{t}}."{amount}Currency"))'
                yield AttributeDef(name, "float", name, "converted", expression=sql)
        case "link" | "file" | "image":
            yield from belongs_to_attributes(field_def, link, entity_defs)
        case "linkOne":
            yield from has_one_attributes(field_def, link, entity_defs)
        case "linkParent":
            yield from parent_attributes(field_def, entity_defs)
        case "linkMultiple" | "attachmentMultiple":
            yield AttributeDef(f"{name}Ids", "jsonArray", name, "linkIds", link=name, orderable=False, in_list=False)
            yield AttributeDef(
                f"{name}Names", "jsonObject", name, "linkNames", link=name, orderable=False, in_list=False
            )
            if field_def.type == "attachmentMultiple":
                yield AttributeDef(
                    f"{name}Types", "jsonObject", name, "linkTypes", link=name, orderable=False, in_list=False
                )
            if field_def.columns:
                yield AttributeDef(
                    f"{name}Columns",
                    "jsonObject",
                    name,
                    "linkColumns",
                    link=name,
                    orderable=False,
                    in_list=False,
                )
        case "foreign":
            yield foreign_attribute(field_def, entity_def, entity_defs)
        case _:
            kind = ATTRIBUTE_KINDS[field_def.type]
            assert kind is not None
            if sql_of_field := field_def.extra.get("sql"):
                yield AttributeDef(name, kind, name, "sql", expression=sql_of_field, orderable=orderable)
            elif middle := middle_column(name, entity_def):
                yield AttributeDef(name, kind, name, "middle", *middle, orderable=False, in_list=False)
            elif field_def.not_storable:
                yield AttributeDef(name, kind, name, "none", orderable=False, in_list=False)
            else:
                yield AttributeDef(
                    name,
                    kind,
                    name,
                    expression=f"{{t}}.{quoted(name)}",
                    max_length=field_def.max_length,
                    orderable=orderable,
                    in_list="internal" not in field_def.flags,
                )


def middle_column(name: str, entity_def: EntityDef) -> tuple[str, str] | None:
    """Link and middle table column that an attribute shows when records are listed from the other side of that link."""
    for link in entity_def.links.values():
        for column, attribute in link.column_attributes.items():
            if attribute == name and link.kind == "manyMany":
                return link.name, column
    return None


def contact_attributes(field_def: FieldDef, entity_def: EntityDef, sql: str, source: str) -> Iterator[AttributeDef]:
    name = field_def.name
    expression = sql.format(column="name", type=entity_def.name)
    if source == "email":
        yield AttributeDef(name, "varchar", name, "email", expression=expression)
        yield AttributeDef(f"{name}Data", "jsonArray", name, "emailData", orderable=False, in_list=False)
    else:
        yield AttributeDef(name, "varchar", name, "phone", expression=expression)
        yield AttributeDef(f"{name}Data", "jsonArray", name, "phoneData", orderable=False, in_list=False)


def contact_flag(field_def: FieldDef, entity_def: EntityDef) -> Iterator[AttributeDef]:
    """``emailAddressIsOptedOut`` and the like: a flag of the primary address or number; other such names carry no value."""
    name = field_def.name
    suffix = "IsOptedOut" if name.endswith("IsOptedOut") else "IsInvalid"
    owner = entity_def.fields.get(name.removesuffix(suffix))
    column = '"optOut"' if suffix == "IsOptedOut" else '"invalid"'
    if owner is not None and owner.type == "email":
        sql = PRIMARY_EMAIL_SQL.format(column=column, type=entity_def.name)
        yield AttributeDef(name, "bool", name, "emailFlag", expression=sql)
    elif owner is not None and owner.type == "phone":
        sql = PRIMARY_PHONE_SQL.format(column=column, type=entity_def.name)
        yield AttributeDef(name, "bool", name, "phoneFlag", expression=sql)
    elif middle := middle_column(name, entity_def):
        yield AttributeDef(name, "bool", name, "middle", *middle, orderable=False, in_list=False)
    else:
        yield AttributeDef(name, "bool", name, "none", orderable=False, in_list=False)


def name_sql(entity_type: str, entity_defs: Mapping[str, EntityDef]) -> str | None:
    """Expression of a record's name, with ``{t}`` for its table."""
    entity_def = entity_defs.get(entity_type)
    if entity_def is None or "name" not in entity_def.fields:
        return None
    return PERSON_NAME_SQL if entity_def.is_person else '{t}."name"'


def belongs_to_attributes(
    field_def: FieldDef, link: LinkDef | None, entity_defs: Mapping[str, EntityDef]
) -> Iterator[AttributeDef]:
    name = field_def.name
    entity_type = "Attachment" if field_def.type in ("file", "image") else link.entity_type if link else ""
    if field_def.not_storable:
        yield AttributeDef(f"{name}Id", "foreignId", name, "none", orderable=False, in_list=False)
        yield AttributeDef(f"{name}Name", "varchar", name, "none", orderable=False, in_list=False)
        return
    yield AttributeDef(f"{name}Id", "foreignId", name, link=name, expression=f'{{t}}."{name}Id"')
    inner = name_sql(entity_type, entity_defs)
    # a link marked "no join" has its name only on a single record
    joined = link is None or "noJoin" not in link.flags
    sql = None
    if inner is not None:
        alias = f"f_{name}"
        inner = inner.replace("{t}", alias)
        sql = (
            f'(SELECT {inner} FROM "{entity_type}" {alias} WHERE {alias}.id = {{t}}."{name}Id" AND {alias}.deleted = 0)'
        )
    yield AttributeDef(
        f"{name}Name",
        "varchar",
        name,
        "foreign",
        link=name,
        foreign="name",
        expression=sql or "NULL",
        in_list=joined,
    )


def has_one_attributes(
    field_def: FieldDef, link: LinkDef | None, entity_defs: Mapping[str, EntityDef]
) -> Iterator[AttributeDef]:
    name = field_def.name
    inner = name_sql(link.entity_type, entity_defs) if link else None
    if link is None or inner is None:
        yield AttributeDef(f"{name}Id", "foreignId", name, "none", orderable=False, in_list=False)
        yield AttributeDef(f"{name}Name", "varchar", name, "none", orderable=False, in_list=False)
        return
    alias = f"o_{name}"
    tail = f'FROM "{link.entity_type}" {alias} WHERE {alias}."{link.foreign_key}" = {{t}}.id AND {alias}.deleted = 0 LIMIT 1)'
    yield AttributeDef(f"{name}Id", "foreignId", name, "hasOne", link=name, expression=f"(SELECT {alias}.id {tail}")
    sql = f"(SELECT {inner.replace('{t}', alias)} {tail}"
    yield AttributeDef(f"{name}Name", "varchar", name, "foreign", link=name, foreign="name", expression=sql)


def parent_attributes(field_def: FieldDef, entity_defs: Mapping[str, EntityDef]) -> Iterator[AttributeDef]:
    name = field_def.name
    yield AttributeDef(f"{name}Id", "foreignId", name, link=name, expression=f'{{t}}."{name}Id"')
    yield AttributeDef(f"{name}Type", "foreignType", name, link=name, expression=f'{{t}}."{name}Type"')
    cases = ""
    for entity_type in field_def.entity_types:
        inner = name_sql(entity_type, entity_defs)
        if inner is not None:
            alias = f"p_{name}_{entity_type}"
            cases += (
                f" WHEN '{entity_type}' THEN (SELECT {inner.replace('{t}', alias)} FROM \"{entity_type}\" {alias}"
                f' WHERE {alias}.id = {{t}}."{name}Id" AND {alias}.deleted = 0)'
            )
    sql = f'CASE {{t}}."{name}Type"{cases} END' if cases else "NULL"
    yield AttributeDef(f"{name}Name", "varchar", name, "parentName", link=name, expression=sql)


def foreign_attribute(field_def: FieldDef, entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]) -> AttributeDef:
    name = field_def.name
    link = entity_def.links.get(field_def.link or "")
    other = entity_defs.get(link.entity_type) if link else None
    target = other.fields.get(field_def.foreign or "") if other else None
    if link is None or other is None or target is None or link.kind != "belongsTo" or target.not_storable:
        return AttributeDef(name, "varchar", name, "none", orderable=False, in_list=False)
    alias = f"x_{name}"
    inner = PERSON_NAME_SQL if target.type == "personName" else f'{{t}}."{target.name}"'
    sql = (
        f'(SELECT {inner.replace("{t}", alias)} FROM "{other.name}" {alias}'
        f' WHERE {alias}.id = {{t}}."{link.key}" AND {alias}.deleted = 0)'
    )
    kind = ATTRIBUTE_KINDS[target.type] or "varchar"
    return AttributeDef(name, kind, name, "foreign", link=link.name, foreign=target.name, expression=sql)
