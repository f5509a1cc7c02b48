"""Definitions in the form of the ``Metadata`` endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef, LinkDef

LINK_TYPES = {
    "belongsTo": "belongsTo",
    "belongsToParent": "belongsToParent",
    "hasOne": "hasOne",
    "hasMany": "hasMany",
    "hasChildren": "hasChildren",
    "manyMany": "hasMany",
}
#: Flags of ours that the endpoint shows otherwise or not at all.
OWN_FLAGS = frozenset({"inputIgnored", "pattern", "optional", "decimalDisabled", "suppressRequired"})
NAME_PATTERN = "$noBadCharacters"


def entity_metadata(entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]) -> dict[str, Any]:
    """``entityDefs`` of a type.

    :param entity_defs: all types; what shows a link's columns stands in the linked one
    """
    found: dict[str, Any] = {
        "fields": {
            name: field_metadata(field_def) | columns_metadata(field_def, entity_def, entity_defs)
            for name, field_def in entity_def.fields.items()
        },
        "links": {name: link_metadata(link) for name, link in entity_def.links.items() if "implicit" not in link.flags},
        "collection": {
            "orderBy": entity_def.order_by,
            "order": entity_def.order,
            "textFilterFields": list(entity_def.text_filter_fields),
        },
    }
    if entity_def.optimistic_concurrency:
        found["optimisticConcurrencyControl"] = True
    if entity_def.count_disabled:
        found["collection"]["countDisabled"] = True
    return found


def field_metadata(field_def: FieldDef) -> dict[str, Any]:
    """One field."""
    found: dict[str, Any] = {"type": field_def.type}
    found |= dict.fromkeys(sorted(field_def.flags - OWN_FLAGS), True)
    if "pattern" in field_def.flags:
        found["pattern"] = NAME_PATTERN
    if "optional" in field_def.flags:
        found["required"] = False
    if "decimalDisabled" in field_def.flags:
        found["decimal"] = False
    if "suppressRequired" in field_def.flags:
        found["suppressValidationList"] = ["required"]
    if field_def.options is not None:
        found["options"] = list(field_def.options)
    if field_def.has_default:
        found["default"] = field_def.default
    optional = {
        "maxLength": field_def.max_length,
        "min": field_def.min,
        "max": field_def.max,
        "primaryLink": field_def.primary_link,
        "entityList": list(field_def.entity_types),
        "typeList": list(field_def.phone_types),
        "defaultType": next(iter(field_def.phone_types), None),
        "dependeeAttributeList": list(field_def.any_of),
        "isCustom": field_def.custom,
    }
    found |= {name: value for name, value in optional.items() if value or (value == 0 and value is not False)}
    if field_def.type == "foreign":
        found |= {"link": field_def.link, "field": field_def.foreign}
    elif field_def.link:
        found |= {"link": field_def.link, "column": field_def.foreign}
    return found | {name: value for name, value in field_def.extra.items() if name != "sql"}


def columns_metadata(
    field_def: FieldDef, entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]
) -> dict[str, Any]:
    """The columns of a link that come with a field: column -> attribute of the linked record that shows it."""
    if not field_def.columns:
        return {}
    link = entity_def.links[field_def.name]
    other = entity_defs.get(link.entity_type or "")
    other_side = other.links.get(link.foreign or "") if other is not None else None
    shown = other_side.column_attributes if other_side is not None else {}
    return {
        "columns": {column: shown.get(column, column) for column in field_def.columns},
        "additionalAttributeList": ["columns"],
    }


def link_metadata(link: LinkDef) -> dict[str, Any]:
    """One link."""
    found: dict[str, Any] = {"type": LINK_TYPES[link.kind]}
    if link.entity_type:
        found["entity"] = link.entity_type
    if link.foreign:
        found["foreign"] = link.foreign
    if link.near_type is not None or link.conditions:
        found["relationName"] = link.middle[:1].lower() + link.middle[1:]
    if link.columns:
        found["additionalColumns"] = {
            name: {"type": kind}
            | ({"len": link.column_lengths[name]} if name in link.column_lengths else {})
            | ({"default": link.column_defaults[name]} if name in link.column_defaults else {})
            for name, kind in link.columns.items()
        }
    if link.column_attributes:
        found["columnAttributeMap"] = dict(link.column_attributes)
    found |= {flag: True for flag in ("audited", "readOnly", "noJoin") if flag in link.flags}
    return found | dict(link.extra)


def scope_metadata(entity_def: EntityDef) -> dict[str, Any]:
    """``scopes`` of a type."""
    found: dict[str, Any] = {
        "entity": True,
        "object": "object" in entity_def.traits,
        "stream": entity_def.stream,
        "stars": "stars" in entity_def.traits,
        "importable": "importable" in entity_def.traits,
        "customizable": "customizable" in entity_def.traits,
        "notifications": "object" in entity_def.traits,
        "acl": {"record": True, "boolean": "boolean", "admin": False}[entity_def.acl],
    }
    if "lockable" in entity_def.traits:
        found["lockable"] = True
    if entity_def.duplicate_check:
        found["duplicateCheckFieldList"] = list(entity_def.duplicate_check)
    if entity_def.status_field:
        found["statusField"] = entity_def.status_field
    return found | dict(entity_def.scope)


def record_metadata(entity_def: EntityDef) -> dict[str, Any]:
    """``recordDefs`` of a type."""
    relationships: dict[str, Any] = {}
    for name, link in entity_def.links.items():
        rules: dict[str, Any] = {flag: True for flag in ("massLink", "linkOnlyNotLinked") if flag in link.flags}
        if link.foreign_access != "edit":
            rules["linkRequiredForeignAccess"] = link.foreign_access
        if link.mandatory_attributes:
            rules["mandatoryAttributeList"] = list(link.mandatory_attributes)
        if rules:
            relationships[name] = rules
    return {"relationships": relationships}
