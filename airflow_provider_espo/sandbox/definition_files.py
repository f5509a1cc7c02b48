"""Reads the data files that state the entity types. Their form is described in ``docs/sandbox.md``.

A field is one line (``"varchar 100 required clean"``), a link is one line (``"cross Contact.accounts
via=AccountContact"``); ``definition_lines.py`` reads those. What follows from a field's type (the parts of
an address, the currency beside an amount) is not stated but made.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.attributes import attributes_of
from airflow_provider_espo.sandbox.definition_lines import (
    NAME,
    DefinitionError,
    parse_field,
    parse_link,
    parts_of,
)
from airflow_provider_espo.sandbox.definitions import Definitions, EntityDef, FieldDef, LinkDef

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_DIRECTORY = Path(__file__).parent / "data" / "entities"
KEYS = frozenset(
    {"traits", "order", "text", "duplicates", "status", "acl", "stamps", "fields", "choices", "defaults"}
    | {"computed", "links", "indexes", "hidden", "scope", "listed", "selects", "metadata"}
)
TRAITS = frozenset(
    {"object", "stream", "stars", "optimisticConcurrency", "lockable", "countDisabled", "activity", "calendar"}
    | {"importable", "customizable", "tree"}
)
WELL_KNOWN_STAMPS: Mapping[str, str] = {
    "createdAt": "datetime readonly",
    "modifiedAt": "datetime readonly",
    "createdBy": "link readonly",
    "modifiedBy": "link readonly",
}
#: Field types that bring a link along which no definition states.
IMPLICIT_LINKS = {
    "attachmentMultiple": "children Attachment.parent",
    "file": "one Attachment",
    "image": "one Attachment",
}


def load_definitions(directory: Path = DATA_DIRECTORY) -> Definitions:
    """Read every ``*.json`` of a directory.

    :raises DefinitionError: naming the file and the field or link at fault
    """
    parsed: dict[str, EntityDef] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            parsed[path.stem] = parse_entity(path.stem, json.loads(path.read_text(encoding="utf-8")))
        except DefinitionError as error:
            raise DefinitionError(f"{path.name}: {error}") from None
        except ValueError as error:
            raise DefinitionError(f"{path.name}: not JSON: {error}") from None
    if not parsed:
        raise DefinitionError(f"no entity definitions in {directory}")
    return resolve(parsed)


def resolve(parsed: Mapping[str, EntityDef]) -> Definitions:
    """Work out what depends on other entity types: shared options, and attributes (the name of a linked record)."""
    shared = {name: with_shared_options(entity_def, parsed) for name, entity_def in parsed.items()}
    return Definitions({name: with_attributes(entity_def, shared) for name, entity_def in shared.items()})


def with_attributes(entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]) -> EntityDef:
    """The same type with ``attributes`` made anew from its fields."""
    attributes = {a.name: a for a in attributes_of(entity_def, entity_defs)}
    return replace(entity_def, attributes=attributes)


def with_shared_options(entity_def: EntityDef, parsed: Mapping[str, EntityDef]) -> EntityDef:
    """The same type with ``@Account.industry`` replaced by the options of that field.

    :raises DefinitionError: if there is no such field
    """
    fields = dict(entity_def.fields)
    for name, field_def in entity_def.fields.items():
        if field_def.options and str(field_def.options[0]).startswith("@"):
            other_type, _, other_field = str(field_def.options[0])[1:].partition(".")
            try:
                fields[name] = replace(field_def, options=parsed[other_type].fields[other_field].options)
            except KeyError:
                missing = f"{entity_def.name}.json: {name}: no field {other_type}.{other_field}"
                raise DefinitionError(missing) from None
    return replace(entity_def, fields=fields)


def parse_entity(name: str, data: Any) -> EntityDef:
    """Read one data file, without attributes (see :func:`resolve`).

    :raises DefinitionError: naming the field or link at fault
    """
    if not isinstance(data, dict) or not NAME.fullmatch(name):
        raise DefinitionError("must be an object in a file named as the entity type")
    if unknown := data.keys() - KEYS:
        raise DefinitionError(f"unknown key {min(unknown)!r}")
    traits = frozenset(str(data.get("traits", "")).split())
    if unknown_traits := traits - TRAITS:
        raise DefinitionError(f"unknown trait {min(unknown_traits)!r}")
    fields = parse_fields(data, traits)
    order_by, _, order = str(data.get("order", "createdAt desc")).partition(" ")
    return EntityDef(
        name=name,
        fields=fields,
        links=parse_links(name, data, fields),
        attributes={},
        order_by=order_by,
        order=order or "asc",
        text_filter_fields=tuple(str(data.get("text", "name")).split()),
        acl=data.get("acl", "record"),
        routes=not data.get("hidden", False),
        traits=traits,
        duplicate_check=tuple(str(data.get("duplicates", "")).split()),
        status_field=data.get("status"),
        indexes=tuple(tuple(index.split()) for index in data.get("indexes", [])),
        list_attributes=tuple(str(data.get("listed", "")).split()),
        selects={name: tuple(str(line).split()) for name, line in data.get("selects", {}).items()},
        scope=data.get("scope", {}),
    )


def parse_fields(data: Mapping[str, Any], traits: frozenset[str]) -> dict[str, FieldDef]:
    """Every field of a data file, with the parts of compound ones."""
    lines = dict(data.get("fields", {}))
    for stamp in str(data.get("stamps", "")).split():
        if stamp not in WELL_KNOWN_STAMPS:
            raise DefinitionError(f"unknown stamp {stamp!r}")
        lines[stamp] = WELL_KNOWN_STAMPS[stamp]
    if "stream" in traits:
        lines["streamUpdatedAt"] = "datetime readonly"
    choices, computed, defaults = (data.get(key, {}) for key in ("choices", "computed", "defaults"))
    fields: dict[str, FieldDef] = {}
    for name, line in lines.items():
        fields[name] = parse_field(name, line, choices.get(name), computed.get(name))
        if name in defaults:
            fields[name] = replace(fields[name], default=defaults[name], has_default=True)
    for part in [part for field_def in fields.values() for part in parts_of(field_def)]:
        fields.setdefault(part.name, part)
    shown = data.get("metadata", {}).get("fields", {})
    if unknown := (choices.keys() | computed.keys() | defaults.keys() | shown.keys()) - fields.keys():
        raise DefinitionError(f"{min(unknown)}: no such field")
    for name, properties in shown.items():
        fields[name] = replace(fields[name], extra={**fields[name].extra, **properties})
    return fields


def parse_links(entity_type: str, data: Mapping[str, Any], fields: Mapping[str, FieldDef]) -> dict[str, LinkDef]:
    """Every link of a data file, with those that fields bring along."""
    links = {name: parse_link(entity_type, name, line) for name, line in data.get("links", {}).items()}
    for stamp in ("createdBy", "modifiedBy"):
        if stamp in fields:
            links.setdefault(stamp, parse_link(entity_type, stamp, "one User"))
    for field_def in fields.values():
        line = IMPLICIT_LINKS.get(field_def.type)
        if line is not None and not field_def.not_storable:
            implicit = parse_link(entity_type, field_def.name, line)
            links.setdefault(field_def.name, replace(implicit, flags=implicit.flags | {"implicit"}))
        check_link_of(field_def, links)
    for name, properties in data.get("metadata", {}).get("links", {}).items():
        if name not in links:
            raise DefinitionError(f"{name}: no such link")
        links[name] = replace(links[name], extra={**links[name].extra, **properties})
    return links


def check_link_of(field_def: FieldDef, links: Mapping[str, LinkDef]) -> None:
    """Link fields need their link, unless they only carry a value that is not stored."""
    needs = {"link": "belongsTo", "linkOne": "hasOne", "linkParent": "belongsToParent"}.get(field_def.type)
    is_multiple = field_def.type in ("linkMultiple", "attachmentMultiple")
    if (needs is None and not is_multiple) or field_def.not_storable:
        return
    link = links.get(field_def.name)
    if link is None or (link.kind != needs if needs else not link.is_to_many):
        raise DefinitionError(
            f"{field_def.name}: a field of type {field_def.type} needs a link of the same name and kind"
        )
