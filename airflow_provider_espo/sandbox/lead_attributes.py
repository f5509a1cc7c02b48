"""What a lead suggests for the records into which it is converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Types into which a lead is converted, in this order.
TARGETS = ("Account", "Contact", "Opportunity")
#: Fields of a target that take the value of a lead's field of another name.
FIELDS: Mapping[str, Mapping[str, str]] = {
    "Account": {
        "name": "accountName",
        **{f"billingAddress{p}": f"address{p}" for p in ("Street", "City", "State", "PostalCode", "Country")},
    },
    "Contact": {},
    "Opportunity": {"amount": "opportunityAmount", "leadSource": "source"},
}
#: Attributes of the lead that say something about the lead's own record.
LEFT_OUT = frozenset({"createdAt", "createdById", "modifiedAt", "modifiedById", "modifiedByName"})
#: Fields that the server has beside those of the definitions: they follow from others.
FOLLOWING = ("emailAddressIsOptedOut", "emailAddressIsInvalid", "phoneNumberIsOptedOut", "phoneNumberIsInvalid")


def suggest(sandbox: Sandbox, lead: Mapping[str, Any], user: CurrentUser) -> dict[str, dict[str, Any]]:
    """Attributes for each type of which the user may create records.

    :param lead: the lead in full
    """
    definitions = sandbox.storage.definitions
    return {
        name: attributes_for(definitions["Lead"], definitions[name], lead)
        for name in TARGETS
        if acl.may(user, name, "create")
    }


def attributes_for(lead_def: EntityDef, target: EntityDef, lead: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes for one type: of fields that both have under one name and type, and of those that are mapped."""
    found: dict[str, Any] = {}
    for name, lead_name in {**shared_fields(lead_def, target), **FIELDS[target.name]}.items():
        names, lead_names = attribute_names(target, name), attribute_names(lead_def, lead_name)
        found |= {n: lead.get(lead_n) for n, lead_n in zip(names, lead_names, strict=True) if n not in LEFT_OUT}
    return found


def shared_fields(lead_def: EntityDef, target: EntityDef) -> dict[str, str]:
    """Fields that a lead and the target have under one name and of one type."""
    found = {}
    for field_def in lead_def.fields.values():
        other = target.fields.get(field_def.name)
        if other is not None and other.type == field_def.type and is_kept(field_def):
            found[field_def.name] = field_def.name
    return found


def is_kept(field_def: FieldDef) -> bool:
    """Whether a field of the lead is more than something that was asked for with a list."""
    return field_def.name in FOLLOWING or not field_def.not_storable


def attribute_names(entity_def: EntityDef, field_name: str) -> list[str]:
    """Attributes that a field consists of, in an order that is the same for every field of a type."""
    field_def = entity_def.fields[field_name]
    match field_def.type:
        case "linkMultiple":
            return [f"{field_name}Ids", f"{field_name}Names", f"{field_name}Columns"]
        case "currency":
            return [f"{field_name}Currency", field_name]
        case "address":
            return []
        case _:
            return [a.name for a in entity_def.attributes.values() if a.field == field_name]
