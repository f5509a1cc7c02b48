"""Which attributes (keys of a record) follow from the fields of an entity type, and their SQL."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.definitions import (
    AttributeDef,
    AttributeKind,
    AttributeSource,
    EntityDef,
    FieldDef,
    LinkDef,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
PRIMARY_EMAIL_SQL = """(SELECT e.{column} FROM "EntityEmailAddress" ee
    JOIN "EmailAddress" e ON e.id = ee."emailAddressId" AND e.deleted = 0
    WHERE ee."entityId" = {{t}}.id AND ee."entityType" = '{type}' AND ee."primary" = 1 AND ee.deleted = 0)"""
PRIMARY_PHONE_SQL = """(SELECT p.{column} FROM "EntityPhoneNumber" ep
    JOIN "PhoneNumber" p ON p.id = ep."phoneNumberId" AND p.deleted = 0
    WHERE ep."entityId" = {{t}}.id AND ep."entityType" = '{type}' AND ep."primary" = 1 AND ep.deleted = 0)"""


@dataclass(frozen=True, slots=True)
class Owner:
    """A field with its surroundings.

    :param entity_defs: all types; the names of linked records depend on them
    """

    field_def: FieldDef
    entity_def: EntityDef
    entity_defs: Mapping[str, EntityDef]

    @property
    def name(self) -> str:
        """Name of the field."""
        return self.field_def.name

    @property
    def link(self) -> LinkDef | None:
        """The link of the same name."""
        return self.entity_def.links.get(self.field_def.name)


def attributes_of(entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]) -> Iterator[AttributeDef]:
    """Every attribute of a type, ``id`` and ``deleted`` first.

    :param entity_defs: all types; the names of linked records depend on them
    """
    yield AttributeDef("id", "id", "id", expression='{t}."id"')
    yield AttributeDef("deleted", "bool", "deleted", expression='{t}."deleted"')
    for field_def in entity_def.fields.values():
        yield from MAKERS.get(field_def.type, plain_attributes)(Owner(field_def, entity_def, entity_defs))
    for link in entity_def.links.values():
        if link.name not in entity_def.fields:
            yield from key_attributes(link)
    if entity_def.optimistic_concurrency:
        yield AttributeDef("versionNumber", "int", "versionNumber", expression='{t}."versionNumber"')


def key_attributes(link: LinkDef) -> Iterator[AttributeDef]:
    """Keys of a link that is no field."""
    if link.key:
        yield stored(link.key, "foreignId", link.name, link.name)
    if link.type_key:
        yield stored(link.type_key, "foreignType", link.name, link.name)


def stored(name: str, kind: AttributeKind, field_name: str, link: str | None = None) -> AttributeDef:
    """An attribute that is a column."""
    return AttributeDef(name, kind, field_name, link=link, expression=f"{{t}}.{quoted(name)}")


def without_value(name: str, kind: AttributeKind, field_name: str) -> AttributeDef:
    """An attribute that is known but never has a value from the database."""
    return AttributeDef(name, kind, field_name, "none", in_list=False)


def loaded(
    name: str, kind: AttributeKind, field_name: str, source: AttributeSource, link: str | None = None
) -> AttributeDef:
    """An attribute that is loaded for one record at a time."""
    return AttributeDef(name, kind, field_name, source, link, in_list=False)


def nothing(owner: Owner) -> Iterator[AttributeDef]:
    """Fields that are only a frame around others."""
    yield from ()


def plain_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """Fields with one attribute of the same name."""
    field_def, name = owner.field_def, owner.name
    kind = ATTRIBUTE_KINDS[field_def.type] or "varchar"
    if expression := field_def.extra.get("sql"):
        yield AttributeDef(name, kind, name, "sql", expression=expression)
    elif middle := middle_column(name, owner.entity_def):
        link_name, column = middle
        yield AttributeDef(name, kind, name, "middle", link_name, column, in_list=False)
    elif field_def.not_storable:
        yield without_value(name, kind, name)
    else:
        yield AttributeDef(
            name,
            kind,
            name,
            expression=f"{{t}}.{quoted(name)}",
            max_length=field_def.max_length,
            in_list="internal" not in field_def.flags,
        )


def middle_column(name: str, entity_def: EntityDef) -> tuple[str, str] | None:
    """Link and middle table column that an attribute shows in lists from the other side of the link."""
    for link in entity_def.links.values():
        for column, attribute in link.column_attributes.items():
            if attribute == name and link.kind == "manyMany":
                return link.name, column
    return None


def person_name_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """The name of a person is put together from its parts."""
    yield AttributeDef(owner.name, "varchar", owner.name, "personName", expression=PERSON_NAME_SQL)


def bool_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """A flag; those of the primary e-mail address or phone number come with that field."""
    for suffix, column in (("IsOptedOut", '"optOut"'), ("IsInvalid", '"invalid"')):
        of = owner.entity_def.fields.get(owner.name.removesuffix(suffix))
        if owner.name.endswith(suffix) and of is not None and of.type in ("email", "phone"):
            is_email = of.type == "email"
            template = PRIMARY_EMAIL_SQL if is_email else PRIMARY_PHONE_SQL
            sql = template.format(column=column, type=owner.entity_def.name)
            source: AttributeSource = "emailFlag" if is_email else "phoneFlag"
            yield AttributeDef(owner.name, "bool", owner.name, source, expression=sql)
            return
    yield from plain_attributes(owner)


def email_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """The primary e-mail address, and all of them."""
    name, sql = owner.name, PRIMARY_EMAIL_SQL.format(column="name", type=owner.entity_def.name)
    yield AttributeDef(name, "varchar", name, "email", expression=sql)
    yield loaded(f"{name}Data", "jsonArray", name, "emailData")


def phone_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """The primary phone number, and all of them."""
    name, sql = owner.name, PRIMARY_PHONE_SQL.format(column="name", type=owner.entity_def.name)
    yield AttributeDef(name, "varchar", name, "phone", expression=sql)
    yield loaded(f"{name}Data", "jsonArray", name, "phoneData")


def converted_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """An amount in the base currency."""
    amount = owner.name.removesuffix("Converted")
    if owner.entity_def.fields[amount].not_storable:
        yield without_value(owner.name, "float", owner.name)
    else:
        sql = f'({{t}}."{amount}" * espo_rate({{t}}."{amount}Currency"))'
        yield AttributeDef(owner.name, "float", owner.name, "converted", expression=sql)


def name_sql(entity_type: str, entity_defs: Mapping[str, EntityDef]) -> str | None:
    """Expression of a record's name, with ``{t}`` for its table; where there are no names it is the id."""
    entity_def = entity_defs.get(entity_type)
    if entity_def is None:
        return None
    if "name" not in entity_def.fields:
        return '{t}."id"'
    return PERSON_NAME_SQL if entity_def.is_person else '{t}."name"'


def lookup(inner: str, entity_type: str, alias: str, key: str) -> str:
    """SQL for an attribute of the record that a key points to, unless it is deleted.

    :param inner: expression of the attribute, with ``{t}`` for the other table
    :param alias: alias for the other table, used nowhere else in the statement
    :param key: column of this type's table
    """
    expression = inner.replace("{t}", alias)
    return (
        f"(SELECT {expression} FROM {quoted(entity_type)} {alias}"
        f" WHERE {alias}.id = {{t}}.{quoted(key)} AND {alias}.deleted = 0)"
    )


def belongs_to_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """Id and name of a linked record."""
    name = owner.name
    if owner.field_def.not_storable or owner.link is None:
        yield without_value(f"{name}Id", "foreignId", name)
        yield without_value(f"{name}Name", "varchar", name)
        return
    yield stored(f"{name}Id", "foreignId", name, name)
    inner = name_sql(owner.link.entity_type, owner.entity_defs)
    yield AttributeDef(
        f"{name}Name",
        "varchar",
        name,
        "foreign",
        link=name,
        foreign="name",
        expression=lookup(inner, owner.link.entity_type, f"f_{name}", f"{name}Id") if inner else "NULL",
        # a link that is not joined has its name only on a single record
        in_list="noJoin" not in owner.link.flags,
    )


def has_one_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """Id and name of the record that points to this one."""
    name, link = owner.name, owner.link
    inner = name_sql(link.entity_type, owner.entity_defs) if link else None
    if link is None or inner is None:
        yield without_value(f"{name}Id", "foreignId", name)
        yield without_value(f"{name}Name", "varchar", name)
        return
    alias = f"o_{name}"
    tail = (
        f"FROM {quoted(link.entity_type)} {alias} WHERE {alias}.{quoted(link.foreign_key)} = {{t}}.id"
        f" AND {alias}.deleted = 0 LIMIT 1)"
    )
    yield AttributeDef(f"{name}Id", "foreignId", name, "hasOne", link=name, expression=f"(SELECT {alias}.id {tail}")
    sql = f"(SELECT {inner.replace('{t}', alias)} {tail}"
    yield AttributeDef(f"{name}Name", "varchar", name, "foreign", link=name, foreign="name", expression=sql)


def parent_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """Id, type and name of a record that may be of several types."""
    name = owner.name
    yield stored(f"{name}Id", "foreignId", name, name)
    yield stored(f"{name}Type", "foreignType", name, name)
    cases = ""
    for entity_type in owner.field_def.entity_types or owner.entity_defs:
        inner = name_sql(entity_type, owner.entity_defs)
        if inner is not None:
            found = lookup(inner, entity_type, f"p_{name}_{entity_type}", f"{name}Id")
            cases += f" WHEN '{entity_type}' THEN {found}"
    sql = f'CASE {{t}}."{name}Type"{cases} END' if cases else "NULL"
    yield AttributeDef(f"{name}Name", "varchar", name, "parentName", link=name, expression=sql)


def multiple_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """Ids and names of the records of a link to many, with role columns and file types if the field has them."""
    name = owner.name
    yield loaded(f"{name}Ids", "jsonArray", name, "linkIds", name)
    yield loaded(f"{name}Names", "jsonObject", name, "linkNames", name)
    if owner.field_def.type == "attachmentMultiple":
        yield loaded(f"{name}Types", "jsonObject", name, "linkTypes", name)
    if owner.field_def.columns:
        yield loaded(f"{name}Columns", "jsonObject", name, "linkColumns", name)


def foreign_attributes(owner: Owner) -> Iterator[AttributeDef]:
    """A field of a linked record."""
    name, field_def = owner.name, owner.field_def
    link = owner.entity_def.links.get(field_def.link or "")
    other = owner.entity_defs.get(link.entity_type) if link else None
    target = other.fields.get(field_def.foreign or "") if other else None
    if link is None or target is None or link.kind != "belongsTo" or target.not_storable:
        yield without_value(name, "varchar", name)
        return
    inner = PERSON_NAME_SQL if target.type == "personName" else f"{{t}}.{quoted(target.name)}"
    yield AttributeDef(
        name,
        ATTRIBUTE_KINDS[target.type] or "varchar",
        name,
        "foreign",
        link=link.name,
        foreign=target.name,
        expression=lookup(inner, link.entity_type, f"x_{name}", link.key),
    )


#: Field types with attributes other than one of the same name.
MAKERS: Mapping[str, Callable[[Owner], Iterator[AttributeDef]]] = {
    "address": nothing,
    "map": nothing,
    "personName": person_name_attributes,
    "bool": bool_attributes,
    "email": email_attributes,
    "phone": phone_attributes,
    "currencyConverted": converted_attributes,
    "link": belongs_to_attributes,
    "file": belongs_to_attributes,
    "image": belongs_to_attributes,
    "linkOne": has_one_attributes,
    "linkParent": parent_attributes,
    "linkMultiple": multiple_attributes,
    "attachmentMultiple": multiple_attributes,
    "foreign": foreign_attributes,
}
