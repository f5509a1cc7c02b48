"""Convert a lead into an account, a contact and an opportunity.

EspoCRM's own conversion is neither all-or-nothing nor guarded against a second run: it creates what it is told to,
one type after the other, and writes to the lead what it created only at the end. A failure half-way leaves records
that nothing points to, and another call creates them once more. So what is there already is found first, noted on the
lead at once (``createdAccountId`` and the like, which EspoCRM lets one write), and left out of what is to be created:

1. Read the lead. Converted ones are skipped; what ``created…Id`` names is used.
2. Put together what to create, and check it: names, required attributes, the right to create.
3. After an earlier try: find what it left behind, and note it on the lead.
4. Let EspoCRM convert with what is missing. After a duplicate or a lost answer go back to 3.
5. Where something was left out: do to activities and documents what EspoCRM would have done (``convert_finish``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoConflictError,
    EspoDuplicateError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoTimeoutError,
)
from airflow_provider_espo.client.operations.convert_finish import carry_over
from airflow_provider_espo.client.operations.convert_orphans import find_orphan
from airflow_provider_espo.client.operations.keys import MatchKey, check_match_names, read_whole
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW
from airflow_provider_espo.client.operations.schema import writable
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_object,
    record_id_segment,
    record_path,
)

OnDuplicateTarget = Literal["fail", "use_existing", "force"]
OnConverted = Literal["skip", "fail"]
Targets: TypeAlias = Mapping[str, Mapping[str, Any] | None]

#: Entity types a lead is converted into, in EspoCRM's order: each may refer to those before it.
TARGETS = ("Account", "Contact", "Opportunity")
CREATED_ID: Mapping[str, str] = {name: f"created{name}Id" for name in TARGETS}

#: What makes a record that EspoCRM calls a duplicate the one that is meant, and not a namesake.
MATCH_BY: Mapping[str, Sequence[str]] = {
    "Account": ("name",),
    "Contact": ("emailAddress",),
    "Opportunity": ("name",),
}

_MOST_ROUNDS = 6


def convert_lead(
    state: ClientState,
    lead_id: str,
    *,
    records: Targets | None = None,
    use_suggestion: bool = True,
    on_duplicate: OnDuplicateTarget = "fail",
    on_converted: OnConverted = "skip",
    match_by: Mapping[str, Sequence[str]] | None = None,
    look_for_earlier_since: datetime | None = None,
) -> Operation[Record]:
    """Convert a lead.

    May be tried again: what an earlier try created is used and not made anew. It is told by ``created…Id`` of the
    lead, or found as a record that the connection's user created since, with the same values, and that is no other
    lead's.

    :param lead_id: id of the lead.
    :param records: what to create, by entity type (``Account``, ``Contact``, ``Opportunity``): attributes to set,
        ``{}`` for EspoCRM's suggestion as it is. By default a contact, and an account if the lead has a company.
    :param use_suggestion: begin with the attributes that EspoCRM takes from the lead. To ask for them copies the
        lead's attachments, each time.
    :param on_duplicate: when EspoCRM finds records with the same name or e-mail address: ``fail`` raises,
        ``use_existing`` takes the one that agrees on ``match_by``, ``force`` creates all the same.
    :param on_converted: for a lead that is converted already: ``skip`` returns what it was converted into, ``fail``
        raises.
    :param match_by: attributes that have to agree for ``use_existing``, by entity type; by default the account's and
        opportunity's name and the contact's e-mail address.
    :param look_for_earlier_since: when the first try began, for a later try.
    :return: ``{"lead_id", "account_id", "contact_id", "opportunity_id", "action"}``, action ``converted`` or
        ``skipped``.
    :raises EspoInputError: a required attribute is missing, or a type cannot be converted into; nothing was changed.
    :raises EspoForbiddenError: the user may not create one of the types; nothing was changed.
    :raises EspoDuplicateError: duplicates were found and none may be used.
    :raises EspoConflictError: the lead is converted already and ``on_converted`` is ``fail``.
    """
    started = datetime.now(UTC)
    record_id_segment(lead_id)
    _check_choices(on_duplicate, on_converted, records)
    matching = {**MATCH_BY, **{name: check_match_names(names) for name, names in (match_by or {}).items()}}
    lead = yield from _read(lead_id)
    since = None if look_for_earlier_since is None else look_for_earlier_since - CLOCK_SKEW
    if lead.get("status") == "Converted":
        ours = since is not None and _is_since(lead.get("convertedAt"), since)
        if not ours and on_converted == "fail":
            raise EspoConflictError(
                "The lead is converted already",
                method="GET",
                path=record_path("Lead", lead_id),
                hint="on_converted='skip' returns what it was converted into",
            )
        if ours:
            yield from carry_over(state, lead)
        return _result(lead, "converted" if ours else "skipped")
    plan = yield from _plan(state, lead, records, use_suggestion=use_suggestion)
    run = _Conversion(state, plan, on_duplicate, matching)
    if since is not None:
        yield from run.find_orphans(since)
    return (yield from run.convert(started - CLOCK_SKEW))


@dataclass
class _Plan:
    """What is to be created, and what there is already."""

    lead: Record
    wires: dict[str, dict[str, Any]]
    schemas: dict[str, EntitySchema]
    existing: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
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


@dataclass
class _Conversion:
    """One conversion on its way."""

    state: ClientState
    plan: _Plan
    on_duplicate: OnDuplicateTarget
    matching: Mapping[str, Sequence[str]]
    skip_check: bool = False

    def convert(self, since: datetime) -> Operation[Record]:
        """Let EspoCRM convert with what is missing, until it is done."""
        self.skip_check = self.on_duplicate == "force"
        left_out = False
        for last in (round_ == _MOST_ROUNDS - 1 for round_ in range(_MOST_ROUNDS)):
            left_out = left_out or bool(self.plan.existing)
            outgoing = build_request(
                "POST",
                "Lead/action/convert",
                json={
                    "id": self.plan.lead["id"],
                    "records": {name: self.plan.values(name) for name in self.plan.missing},
                    "skipDuplicateCheck": self.skip_check,
                },
            )
            try:
                lead = expect_object(outgoing, (yield outgoing))
            except EspoDuplicateError as error:
                yield from self.find_orphans(since)
                if last:
                    raise
                yield from self._decide(error)
                continue
            except EspoError as error:
                if not outcome_is_unknown(error):
                    # Validation of a later type, for one: what was created before it is noted on the lead.
                    yield from self.find_orphans(since)
                    raise
                if (lead_now := (yield from _read(self.plan.lead["id"]))).get("status") != "Converted":
                    yield from self.find_orphans(since)
                    if last or isinstance(error, EspoTimeoutError):
                        raise
                    continue
                lead = lead_now
            if lead.get("status") != "Converted":
                raise EspoBadAnswerError(
                    "The lead is not converted after its conversion", method="POST", path=outgoing.path
                )
            if left_out:
                yield from carry_over(self.state, lead)
            return _result(lead, "converted")
        raise AssertionError("unreachable")  # pragma: no cover

    def find_orphans(self, since: datetime) -> Operation[None]:
        """Find what an earlier request created and nothing points to, and let the lead point to it."""
        found: dict[str, str] = {}
        for name in self.plan.missing:
            orphan = yield from find_orphan(
                self.state,
                name,
                self.plan.values(name),
                schema=self.plan.schemas[name],
                since=since,
                lead_id=str(self.plan.lead["id"]),
            )
            if orphan is not None:
                found[name] = orphan
        yield from self._note(found)

    def _note(self, ids: Mapping[str, str]) -> Operation[None]:
        """Write to the lead what it is converted into, before anything else can fail."""
        if not ids:
            return
        outgoing = build_request(
            "PUT",
            record_path("Lead", self.plan.lead["id"]),
            json={CREATED_ID[name]: record_id for name, record_id in ids.items()},
        )
        expect_object(outgoing, (yield outgoing))
        self.plan.existing.update(ids)

    def _decide(self, error: EspoDuplicateError) -> Operation[None]:
        """Use the duplicates that are meant, or raise."""
        if self.on_duplicate != "use_existing":
            if self.plan.existing:
                error.hint = (
                    f"{' and '.join(self.plan.existing)} had been created by then and are noted on the lead: the next "
                    "try uses them. on_duplicate='use_existing' or 'force' goes on"
                )
            raise error
        chosen: dict[str, str] = {}
        for name in self.plan.missing:
            named = [str(it["id"]) for it in error.records if it.get("_entityType") == name and it.get("id")]
            if named:
                chosen[name] = yield from self._the_same(name, named, error)
        if not chosen:
            raise error
        yield from self._note(chosen)

    def _the_same(self, name: str, ids: Sequence[str], error: EspoDuplicateError) -> Operation[str]:
        key = MatchKey(self.state, name, tuple(self.matching[name]), self.plan.schemas[name])
        wire = self.plan.wires[name]
        same = []
        for record_id in ids:
            whole = yield from read_whole(name, record_id)
            if whole is not None and all(wire.get(it) for it in key.names) and key.is_had(whole, wire):
                same.append(record_id)
        if len(same) != 1:
            how_many = "none of them agrees" if not same else "more than one of them agrees"
            error.hint = f"{name}: {how_many} on {key}, so none was used; on_duplicate='force' creates"
            raise error
        return same[0]


def _plan(state: ClientState, lead: Record, records: Targets | None, *, use_suggestion: bool) -> Operation[_Plan]:
    """Put together what to create, and check it before anything is written."""
    wanted = dict(records) if records is not None else _default_targets(lead)
    existing = {name: str(lead[attribute]) for name, attribute in CREATED_ID.items() if lead.get(attribute)}
    suggested = yield from _suggestion(lead, wanted, use_suggestion=use_suggestion)
    plan = _Plan(lead, {}, {}, existing)
    for name in TARGETS:
        if name not in wanted:
            continue
        given = wanted[name] or {}
        if not isinstance(given, Mapping):
            raise EspoInputError(f"records for {name} are no attributes")
        schema = yield from writable(state, name, given, validate=True)
        if schema is None:
            raise AssertionError("validated")  # pragma: no cover
        wire = {**_usable(suggested.get(name, {}), given, schema), **to_wire(given, schema)}
        if name not in existing and (lacking := [it for it in schema.required if wire.get(it) in (None, "")]):
            raise EspoInputError(
                f"{name} needs {', '.join(lacking)}, and neither the lead nor records have it",
                hint=f"Give it in records, or leave {name} out. Nothing was changed",
            )
        plan.wires[name], plan.schemas[name] = wire, schema
    return plan


def _default_targets(lead: Record) -> dict[str, Mapping[str, Any] | None]:
    return {"Account": {}, "Contact": {}} if lead.get("accountName") else {"Contact": {}}


def _suggestion(lead: Record, wanted: Targets, *, use_suggestion: bool) -> Operation[Mapping[str, Mapping[str, Any]]]:
    if not use_suggestion or not wanted:
        return {}
    # It creates nothing but copies of attachments, so it may be repeated.
    asking = build_request("POST", "Lead/action/getConvertAttributes", json={"id": lead["id"]}, repeatable=True)
    suggested = expect_object(asking, (yield asking))
    if refused := [name for name in wanted if name not in suggested]:
        raise EspoForbiddenError(
            f"The user may not create {', '.join(refused)}, or leads are not converted into that on this server",
            method=asking.method,
            path=asking.path,
            hint="Check the roles of the connection's user. Nothing was changed",
        )
    return suggested


def _usable(suggested: Mapping[str, Any], given: Mapping[str, Any], schema: EntitySchema) -> dict[str, Any]:
    """Of EspoCRM's suggestion what a create takes, and what does not speak against what is given."""
    return {
        name: value
        for name, value in suggested.items()
        if value is not None
        and value != []
        and (attribute := schema.attribute(name)) is not None
        and attribute.writable
        and f"{name.removesuffix('Data')}" not in given
    }


def _check_choices(on_duplicate: str, on_converted: str, records: object) -> None:
    for name, value, choices in (
        ("on_duplicate", on_duplicate, get_args(OnDuplicateTarget)),
        ("on_converted", on_converted, get_args(OnConverted)),
    ):
        if value not in choices:
            raise EspoInputError(f"{name} is {value!r}", hint=f"Give one of {', '.join(choices)}")
    if records is None:
        return
    if not isinstance(records, Mapping):
        raise EspoInputError("records is not a dict of attributes by entity type")
    if unknown := sorted(set(records) - set(TARGETS)):
        # EspoCRM would convert the lead and leave these out in silence.
        raise EspoInputError(
            f"A lead is not converted into {', '.join(map(str, unknown))}", hint=f"It can be: {', '.join(TARGETS)}"
        )


def _read(lead_id: str) -> Operation[Record]:
    reading = build_request("GET", record_path("Lead", lead_id))
    return expect_object(reading, (yield reading))


def _is_since(text: object, since: datetime) -> bool:
    if not isinstance(text, str):
        return False
    moment = since.replace(tzinfo=UTC) if since.tzinfo is None else since.astimezone(UTC)
    return text >= moment.strftime("%Y-%m-%d %H:%M:%S")


def _result(lead: Record, action: str) -> Record:
    return {
        "lead_id": str(lead["id"]),
        "account_id": lead.get("createdAccountId"),
        "contact_id": lead.get("createdContactId"),
        "opportunity_id": lead.get("createdOpportunityId"),
        "action": action,
    }
