"""Takes what a client sends apart: what may be set, as which value, with which defaults, and whether it is valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.values import broken_rule, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.definitions import AttributeDef, Definitions, EntityDef, FieldDef
    from airflow_provider_espo.sandbox.settings import Settings
    from airflow_provider_espo.sandbox.users import CurrentUser

SYSTEM_ATTRIBUTES = frozenset(
    {"id", "deleted", "createdAt", "createdById", "modifiedAt", "modifiedById", "versionNumber", "streamUpdatedAt"}
)
#: Sources of attributes that cannot be set, whoever asks.
COMPUTED_SOURCES = frozenset({"foreign", "hasOne", "converted", "linkNames", "linkTypes", "parentName"})


def accepted_values(
    entity_def: EntityDef, body: Mapping[str, Any], user: CurrentUser, *, is_new: bool
) -> dict[str, Any]:
    """Attributes of a body that may be set, cast. All else is dropped without a word."""
    hidden = acl.forbidden_fields(user, entity_def, "edit")
    accepted: dict[str, Any] = {}
    for name, value in body.items():
        attribute = entity_def.attributes.get(name)
        if attribute is None or name in SYSTEM_ATTRIBUTES or attribute.source in COMPUTED_SOURCES:
            continue
        field_def = entity_def.fields.get(attribute.field)
        if field_def is not None and (not is_settable(field_def, user, is_new=is_new) or field_def.name in hidden):
            continue
        accepted[name] = cast(value, attribute, field_def)
    return accepted


def is_settable(field_def: FieldDef, user: CurrentUser, *, is_new: bool) -> bool:
    """Whether a field takes input at all."""
    if (
        field_def.read_only
        or "inputIgnored" in field_def.flags
        or (not is_new and "readOnlyAfterCreate" in field_def.flags)
    ):
        return False
    return "internal" not in field_def.flags or user.is_admin


def defaults(entity_def: EntityDef, settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a new record has beside what was given."""
    found: dict[str, Any] = {}
    for attribute in entity_def.attributes.values():
        field_def = entity_def.fields.get(attribute.field)
        if field_def is None or attribute.name in given or attribute.name in SYSTEM_ATTRIBUTES:
            continue
        if "internal" in field_def.flags or field_def.type == "autoincrement":
            continue
        if attribute.name == field_def.name and field_def.has_default:
            found[attribute.name] = field_def.default
        elif attribute.kind == "bool":
            found[attribute.name] = False
    return found


def fill_in_currencies(change: Change, settings: Settings) -> None:
    """An amount without a currency is in the default currency."""
    for field_def in change.entity_def.fields.values():
        if field_def.type == "currency" and not field_def.not_storable:
            code = f"{field_def.name}Currency"
            if change.values.get(field_def.name) is not None and change.get(code) is None:
                change.values[code] = settings.default_currency


def check(change: Change, settings: Settings, definitions: Definitions) -> None:
    """Hold a change against the rules of the fields. On update only fields that are in the body are looked at.

    :param definitions: all types; what a role column takes is stated on the other side of its link
    :raises ApiError: 400 with the first field that breaks a rule
    """
    for field_name, rule in broken_rules(change, settings, definitions):
        raise validation_failure(change.entity_def, field_name, rule)


def broken_rules(
    change: Change, settings: Settings, definitions: Definitions, *, everything: bool = False
) -> Iterator[tuple[str, str]]:
    """Fields that break a rule, and the rule.

    :param everything: whether to look at fields that are not in the body too
    """
    entity_def = change.entity_def
    record = change.merged()
    touched = {entity_def.attributes[name].field for name in change.given}
    for field_def in entity_def.fields.values():
        if not change.is_new and not everything and not is_touched(field_def, entity_def, touched):
            continue
        rule = broken_rule(field_def, record, settings)
        if rule is None and field_def.columns and not has_valid_columns(field_def, entity_def, change, definitions):
            rule = "columnsValid"
        if rule is not None:
            yield field_def.name, rule


def has_valid_columns(field_def: FieldDef, entity_def: EntityDef, change: Change, definitions: Definitions) -> bool:
    """Whether the role columns that are set fit the fields of the other type that show them."""
    rows = change.values.get(f"{field_def.name}Columns")
    link = entity_def.links.get(field_def.name)
    other = definitions.get(link.entity_type) if link else None
    if not isinstance(rows, dict) or link is None or other is None or not link.foreign or field_def.not_storable:
        return True
    shown_by = other.links[link.foreign].column_attributes
    fields = {column: other.fields.get(shown_by.get(column, "")) for column in field_def.columns}
    return all(
        isinstance(row, dict)
        and all(is_column_value(row[column], target) for column, target in fields.items() if column in row and target)
        for row in rows.values()
    )


def is_column_value(value: Any, target: FieldDef) -> bool:
    """Whether a role column takes a value: an option, a text that is not too long, a bool."""
    match target.type:
        case "bool":
            return isinstance(value, bool)
        case "enum":
            is_option = not target.options or value in target.options or (value is None and "" in target.options)
            return is_option and (value is None or isinstance(value, str))
        case "varchar":
            return value is None or (
                isinstance(value, str) and (not target.max_length or len(value) <= target.max_length)
            )
    return True


def is_touched(field_def: FieldDef, entity_def: EntityDef, touched: set[str]) -> bool:
    """Whether the body sets something of a field."""
    if field_def.name in touched:
        return True
    if field_def.type == "personName":
        return bool(touched & {"firstName", "lastName", *field_def.any_of})
    return field_def.type == "currency" and f"{field_def.name}Currency" in touched


def validation_failure(entity_def: EntityDef, field_name: str, rule: str) -> ApiError:
    """The answer to a value that breaks a rule."""
    return ApiError(
        400,
        f"Field validation failure; entityType: {entity_def.name}, field: {field_name}, type: {rule}.",
        translated("validationFailure", {"field": field_name, "type": rule}),
    )


def translated(label: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Body of an error whose message the front end translates."""
    return {"messageTranslation": {"label": label, "scope": None, "data": dict(data or {})}}


def owning_field(entity_def: EntityDef, attribute: AttributeDef) -> FieldDef | None:
    """The compound field that an attribute is part of (an address, an amount), or its own field."""
    for field_def in entity_def.fields.values():
        if field_def.type == "address" and attribute.name in address_parts(field_def):
            return field_def
        if field_def.type == "currency" and attribute.name in (field_def.name, f"{field_def.name}Currency"):
            return field_def
        if field_def.type == "datetimeOptional" and attribute.name == f"{field_def.name}Date":
            return field_def
    return entity_def.fields.get(attribute.field)


def address_parts(field_def: FieldDef) -> list[str]:
    """Attributes of an address field."""
    return [f"{field_def.name}{part}" for part in ("Street", "City", "State", "Country", "PostalCode")]
