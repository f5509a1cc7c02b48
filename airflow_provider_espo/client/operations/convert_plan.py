"""What a lead is to be converted into: put together and checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_espo.client.errors import EspoForbiddenError, EspoInputError
from airflow_provider_espo.client.operations.keys import read_whole
from airflow_provider_espo.client.operations.rights import my_rights
from airflow_provider_espo.client.operations.schema import writable
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import Operation, Record, build_request, expect_object
from airflow_provider_espo.client.wording import a_kind

Targets: TypeAlias = Mapping[str, Mapping[str, Any] | None]

#: Entity types a lead is converted into, in EspoCRM's order: each may refer to those before it.
TARGETS = ("Account", "Contact", "Opportunity")
CREATED_ID: Mapping[str, str] = {name: f"created{name}Id" for name in TARGETS}

#: Attributes that say the same thing, or something about it: where one is given, the lead's others do not fit.
_ADDRESSES = ("emailAddress", "phoneNumber")
_OF_AN_ADDRESS = ("", "Data", "IsOptedOut", "IsInvalid")


@dataclass
class Plan:
    """What is to be created, and what there is already.

    :param lead: the lead.
    :param wires: by entity type the attributes of what is wanted, ready to be sent.
    :param schemas: of these types.
    :param existing: by entity type the id of what the lead names already.
    """

    lead: Record
    wires: dict[str, dict[str, Any]] = field(default_factory=dict)
    schemas: dict[str, EntitySchema] = field(default_factory=dict)
    existing: dict[str, str] = field(default_factory=dict)

    @property
    def lead_id(self) -> str:
        """Id of the lead."""
        return str(self.lead["id"])

    @property
    def missing(self) -> list[str]:
        """Entity types of which there is no record yet."""
        return [name for name in TARGETS if name in self.wires and name not in self.existing]

    def values(self, name: str) -> dict[str, Any]:
        """Attributes of a record to be created, pointing to what there is already.

        What EspoCRM creates in the same request it joins itself.
        """
        links: dict[str, Any] = {}
        if name != "Account" and "Account" in self.existing:
            links["accountId"] = self.existing["Account"]
        if name == "Opportunity" and "Contact" in self.existing:
            links["contactId"] = self.existing["Contact"]
            links["contactsIds"] = [self.existing["Contact"]]
        return {**links, **self.wires[name]}


def check_targets(records: object) -> None:
    """Refuse what is no dict of attributes by entity type, and types that a lead is not converted into."""
    if records is None:
        return
    if not isinstance(records, Mapping):
        raise EspoInputError("records is not a dict of attributes by entity type")
    if unknown := sorted(str(name) for name in records if name not in TARGETS):
        # EspoCRM would convert the lead and leave these out in silence.
        raise EspoInputError(
            f"A lead is not converted into {', '.join(unknown)}", hint=f"It can be: {', '.join(TARGETS)}"
        )
    for name, given in records.items():
        if given is not None and not isinstance(given, Mapping):
            raise EspoInputError(f"records of {name} is {a_kind(given)} and no dict of attributes")


def plan_conversion(
    state: ClientState, lead: Record, records: Targets | None, *, use_suggestion: bool
) -> Operation[Plan]:
    """Put together what to create, and check it. Writes nothing.

    :param lead: the lead.
    :param records: what to create, as given.
    :param use_suggestion: begin with the attributes that EspoCRM takes from the lead.
    :raises EspoInputError: a required attribute is missing, or one is unknown.
    :raises EspoForbiddenError: the user may not create one of the types.
    """
    wanted = dict(records) if records is not None else _default_targets(lead)
    plan = Plan(lead)
    for name in TARGETS:
        if name in wanted:
            schema = yield from writable(state, name, wanted[name] or {}, validate=True)
            if schema is None:
                raise AssertionError("validated")  # pragma: no cover
            plan.schemas[name] = schema
    for name, attribute in CREATED_ID.items():
        if lead.get(attribute) and (yield from _is_there(name, str(lead[attribute]))):
            plan.existing[name] = str(lead[attribute])
    missing = [name for name in plan.schemas if name not in plan.existing]
    suggested = yield from _suggestion(lead, missing) if use_suggestion else _rights(missing)
    for name, schema in plan.schemas.items():
        given = wanted[name] or {}
        plan.wires[name] = {**_usable(suggested.get(name, {}), given, schema), **to_wire(given, schema)}
        if name in missing and (lacking := [it for it in schema.required if _is_empty(plan.wires[name], it)]):
            raise EspoInputError(
                f"{name} needs {', '.join(lacking)}, and neither the lead nor records have it",
                hint=f"Give it in records, or leave {name} out. Nothing was changed",
            )
    return plan


def _is_empty(wire: Mapping[str, Any], name: str) -> bool:
    """Whether a required attribute has no value, in none of the attributes that its field takes one in."""
    return all(wire.get(f"{name}{end}") in (None, "", []) for end in ("", "Data", "Date"))


def _default_targets(lead: Record) -> dict[str, Mapping[str, Any] | None]:
    return {"Account": {}, "Contact": {}} if lead.get("accountName") else {"Contact": {}}


def _is_there(name: str, record_id: str) -> Operation[bool]:
    """Whether what the lead names still exists: somebody may have deleted it after a failed try."""
    try:
        return (yield from read_whole(name, record_id)) is not None
    except EspoForbiddenError:
        return True


def _suggestion(lead: Record, missing: list[str]) -> Operation[Mapping[str, Mapping[str, Any]]]:
    """Ask what EspoCRM takes from the lead. It says so for types that the user may create, and no others."""
    if not missing:
        return {}
    # It creates nothing but copies of attachments, so it may be repeated.
    asking = build_request("POST", "Lead/action/getConvertAttributes", json={"id": lead["id"]}, repeatable=True)
    suggested = expect_object(asking, (yield asking))
    _refuse([name for name in missing if name not in suggested])
    return suggested


def _rights(missing: list[str]) -> Operation[Mapping[str, Mapping[str, Any]]]:
    if missing:
        rights = yield from my_rights()
        _refuse([name for name in missing if not rights.may("create", name)])
    return {}


def _refuse(refused: list[str]) -> None:
    # EspoCRM would refuse too, but only after it had created those before.
    if refused:
        raise EspoForbiddenError(
            f"The user may not create {', '.join(refused)}, or leads are not converted into that on this server",
            hint="Check the roles of the connection's user. Nothing was changed",
        )


def _usable(suggested: Mapping[str, Any], given: Mapping[str, Any], schema: EntitySchema) -> dict[str, Any]:
    """Of EspoCRM's suggestion what a create takes, and what does not speak against what is given."""
    against = {
        f"{address}{end}"
        for address in _ADDRESSES
        if any(f"{address}{end}" in given for end in _OF_AN_ADDRESS[:2])
        for end in _OF_AN_ADDRESS
    }
    return {
        name: value
        for name, value in suggested.items()
        if value is not None
        and value != []
        and name not in against
        and (attribute := schema.attribute(name)) is not None
        and attribute.writable
    }
