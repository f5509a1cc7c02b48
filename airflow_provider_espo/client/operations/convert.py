"""Convert a lead into an account, a contact and an opportunity.

EspoCRM's own conversion is neither all-or-nothing nor guarded against a second run: it creates what it is told to,
one type after the other, and writes to the lead what it created only at the end. A failure half-way leaves records
that nothing points to, and another call creates them once more. So what is there already is found first, noted on the
lead at once (``createdAccountId`` and the like, which EspoCRM lets one write), and left out of what is to be created:

1. Read the lead. Converted ones are skipped; what ``created…Id`` names is used.
2. Put together what to create, and check it: names, required attributes, the right to create (``convert_plan``).
3. After an earlier try whose outcome is unknown: find what it left behind, and note it on the lead.
4. Let EspoCRM convert with what is missing. What it had created before it refused is noted on the lead.
5. Where something was left out: do to activities and documents what EspoCRM would have done (``convert_finish``).

After a lost answer nothing is sent again at once: EspoCRM may still be at it, and what it has created by then looks
like what is being created for another lead with the same company. The next try, some time later, can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoConflictError,
    EspoDuplicateError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoLoginThrottledError,
    EspoNotFoundError,
)
from airflow_provider_espo.client.moments import utc_text
from airflow_provider_espo.client.operations.convert_finish import carry_over
from airflow_provider_espo.client.operations.convert_orphans import find_orphan
from airflow_provider_espo.client.operations.convert_plan import (
    CREATED_ID,
    TARGETS,
    Plan,
    Targets,
    check_targets,
    plan_conversion,
)
from airflow_provider_espo.client.operations.keys import MatchKey, check_match_names, read_whole
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.state import ClientState
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

#: How EspoCRM names in a reason the type whose record it does not take.
_REFUSED_TYPE = re.compile(r"entityType: (\w+)")

#: Answers that may come after EspoCRM has created a record or two.
_REFUSALS = (EspoBadRequestError, EspoForbiddenError, EspoConflictError)

#: What makes a record that EspoCRM calls a duplicate the one that is meant, and not a namesake.
MATCH_BY: Mapping[str, Sequence[str]] = {
    "Account": ("name",),
    "Contact": ("emailAddress",),
    "Opportunity": ("name",),
}


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
    lead's. Nothing is sent twice in one call: after a lost answer call again, some time later.

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
    :return: ``{"lead_id", "account_id", "contact_id", "opportunity_id", "action", "not_carried_over"}``, action
        ``converted`` or ``skipped``. The last is a list of activities and documents of the lead that the user may not
        change, where a later try had to do what EspoCRM does otherwise; empty as a rule.
    :raises EspoInputError: a required attribute is missing, or a type cannot be converted into; nothing was changed.
    :raises EspoForbiddenError: the user may not create one of the types; nothing was changed.
    :raises EspoDuplicateError: duplicates were found and none may be used.
    :raises EspoAmbiguousMatchError: it is not clear which record an earlier try created.
    :raises EspoConflictError: the lead is converted already and ``on_converted`` is ``fail``.
    """
    started = datetime.now(UTC) - CLOCK_SKEW
    record_id_segment(lead_id)
    _check_choices(on_duplicate, on_converted)
    check_targets(records)
    matching = {**MATCH_BY, **{name: check_match_names(names) for name, names in (match_by or {}).items()}}
    since = None if look_for_earlier_since is None else look_for_earlier_since - CLOCK_SKEW
    lead = yield from _read(lead_id)
    if lead.get("status") == "Converted":
        if since is not None and _is_since(lead.get("convertedAt"), since):
            return (yield from _finished(state, lead))
        if on_converted == "fail":
            raise EspoConflictError(
                "The lead is converted already",
                method="GET",
                path=record_path("Lead", lead_id),
                hint="on_converted='skip' returns what it was converted into",
            )
        return _result(lead, "skipped")
    plan = yield from plan_conversion(state, lead, records, use_suggestion=use_suggestion)
    run = _Conversion(state, plan, on_duplicate, matching, since or started, unsure=since is not None)
    if run.unsure:
        with _something_may_be_there():
            yield from run.note_leftovers(plan.missing)
    return (yield from run.convert())


@contextmanager
def _something_may_be_there() -> Iterator[None]:
    """Let an error say that the next try has to look for what there is."""
    try:
        yield
    except EspoError as error:
        error.outcome_unknown = True
        raise


@dataclass
class _Conversion:
    """One conversion on its way.

    :param since: when the first try began.
    :param unsure: whether an earlier try may have created anything of what is missing.
    """

    state: ClientState
    plan: Plan
    on_duplicate: OnDuplicateTarget
    matching: Mapping[str, Sequence[str]]
    since: datetime
    unsure: bool

    def convert(self) -> Operation[Record]:
        """Let EspoCRM convert with what is missing; again only after it has refused and there is less to create."""
        while True:
            outgoing = build_request(
                "POST",
                "Lead/action/convert",
                json={
                    "id": self.plan.lead["id"],
                    "records": {name: self.plan.values(name) for name in self.plan.missing},
                    "skipDuplicateCheck": self.on_duplicate == "force",
                },
            )
            try:
                lead = expect_object(outgoing, (yield outgoing))
            except EspoDuplicateError as error:
                yield from self._after_refusal(error)
                yield from self._decide(error)
                continue
            except EspoError as error:
                if not outcome_is_unknown(error):
                    yield from self._after_refusal(error)
                    raise
                with _something_may_be_there():
                    lead = yield from _read(self.plan.lead_id)
                if lead.get("status") != "Converted":
                    error.hint = (
                        "What was created, if anything, is not known yet. Try again in some minutes: it is looked for, "
                        "and used"
                    )
                    raise
                return (yield from _finished(self.state, lead))
            if lead.get("status") != "Converted":
                raise EspoBadAnswerError(
                    "The lead is not converted after its conversion",
                    method="POST",
                    path=outgoing.path,
                    outcome_unknown=True,
                )
            return (yield from _finished(self.state, lead)) if self.plan.existing else _result(lead, "converted")

    def note_leftovers(self, names: Sequence[str]) -> Operation[None]:
        """Find what an earlier request created and nothing points to, and let the lead point to it.

        EspoCRM creates one type after the other, so the first that is not there is the end.
        """
        found: dict[str, str] = {}
        for name in names:
            relatives = {**self.plan.existing, **found}
            orphan = yield from find_orphan(
                self.state,
                name,
                self.plan.values(name),
                schema=self.plan.schemas[name],
                since=self.since,
                lead_id=self.plan.lead_id,
                relatives={one: relatives[one] for one in TARGETS[: TARGETS.index(name)] if one in relatives},
            )
            if orphan is None:
                break
            found[name] = orphan
        yield from self._note(found)

    def _after_refusal(self, error: EspoError) -> Operation[None]:
        """Note what EspoCRM had created before it refused: that which comes before what it refused."""
        if not isinstance(error, _REFUSALS) or isinstance(error, EspoLoginThrottledError):
            return
        missing = self.plan.missing
        created = missing
        if not self.unsure:
            refused = [missing.index(name) for name in _refused_types(error) if name in missing]
            created = missing[: min(refused, default=len(missing))]
        try:
            yield from self.note_leftovers(created)
        except EspoError as second:
            error.outcome_unknown = True
            raise error from second

    def _note(self, ids: Mapping[str, str]) -> Operation[None]:
        """Write to the lead what it is converted into, before anything else can fail."""
        if not ids:
            return
        outgoing = build_request(
            "PUT",
            record_path("Lead", self.plan.lead_id),
            json={CREATED_ID[name]: record_id for name, record_id in ids.items()},
        )
        expect_object(outgoing, (yield outgoing))
        self.plan.existing.update(ids)

    def _decide(self, error: EspoDuplicateError) -> Operation[None]:
        """Use the duplicates that are meant, or raise."""
        if not set(_refused_types(error)) & set(self.plan.missing):
            # All of them are what an earlier try had created.
            return
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


def _check_choices(on_duplicate: str, on_converted: str) -> None:
    for name, value, choices in (
        ("on_duplicate", on_duplicate, get_args(OnDuplicateTarget)),
        ("on_converted", on_converted, get_args(OnConverted)),
    ):
        if value not in choices:
            raise EspoInputError(f"{name} is {value!r}", hint=f"Give one of {', '.join(choices)}")


def _refused_types(error: EspoError) -> list[str]:
    """Entity types over which EspoCRM refused; none where it does not say."""
    if isinstance(error, EspoDuplicateError):
        return [str(record.get("_entityType")) for record in error.records]
    found = _REFUSED_TYPE.search(error.reason or "")
    return [found[1]] if found else []


def _read(lead_id: str) -> Operation[Record]:
    reading = build_request("GET", record_path("Lead", lead_id))
    lead = expect_object(reading, (yield reading))
    if lead.get("deleted"):
        # Administrators are shown deleted records, everybody else gets 404.
        raise EspoNotFoundError("The lead was deleted", method=reading.method, path=reading.path)
    return lead


def _is_since(text: object, since: datetime) -> bool:
    return isinstance(text, str) and text >= utc_text(since)


def _finished(state: ClientState, lead: Record) -> Operation[Record]:
    """Carry over what EspoCRM may not have carried over, and return what came out."""
    with _something_may_be_there():
        left = yield from carry_over(state, lead)
    return _result(lead, "converted", left)


def _result(lead: Record, action: str, left: Sequence[str] = ()) -> Record:
    return {
        "lead_id": str(lead["id"]),
        "account_id": lead.get("createdAccountId"),
        "contact_id": lead.get("createdContactId"),
        "opportunity_id": lead.get("createdOpportunityId"),
        "action": action,
        "not_carried_over": list(left),
    }
