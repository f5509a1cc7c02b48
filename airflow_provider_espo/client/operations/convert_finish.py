"""Carry over from a lead to what it was converted into, where EspoCRM did not.

EspoCRM does this for the records that it creates in the request that converts the lead. For those that were there
before it is done here, as EspoCRM does it: the meetings and calls that the lead takes part in, and the e-mails whose
parent it is, get the opportunity, or else the account, as parent; the contact takes part in the meetings and calls; the
lead's documents are linked to account and opportunity. All of it may be done twice: who takes part already is not
linked again, which would be told in the stream once more. Followers are not carried over:
the API lets only a user's own following, or an administrator, change that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_espo.client.errors import EspoConflictError, EspoForbiddenError, EspoNotFoundError
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.operations.relations import link
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, build_request, expect_object, record_path

#: Links of a lead to activities: the entity type, and the link to the contacts that take part.
_ACTIVITIES: Mapping[str, tuple[str, str | None]] = {
    "meetings": ("Meeting", "contacts"),
    "calls": ("Call", "contacts"),
    "emails": ("Email", None),
}

#: Not for this user, locked, or gone: EspoCRM's own conversion asks for no rights, an API call does.
_NOT_FOR_US = (EspoForbiddenError, EspoConflictError, EspoNotFoundError)


def carry_over(state: ClientState, lead: Record) -> Operation[list[str]]:
    """Carry over what still hangs on a converted lead.

    :param lead: the lead, as it is now.
    :return: what could not be carried over because the user may not change it: paths such as ``Meeting/ID``, or of a
        list that the user may not read.
    """
    ids = {name: lead.get(f"created{name}Id") for name in ("Account", "Contact", "Opportunity")}
    parent = next(((name, str(ids[name])) for name in ("Opportunity", "Account") if ids[name]), None)
    left: list[str] = []
    for name, (entity_type, contacts) in _ACTIVITIES.items():
        for activity in (yield from _rows(state, lead, name, ["parentType", "parentId"], left)):
            path = record_path(entity_type, activity["id"])
            try:
                if contacts and ids["Contact"]:
                    yield from _let_take_part(state, entity_type, str(activity["id"]), contacts, str(ids["Contact"]))
                if parent is not None and (activity.get("parentType"), activity.get("parentId")) != parent:
                    outgoing = build_request("PUT", path, json={"parentType": parent[0], "parentId": parent[1]})
                    expect_object(outgoing, (yield outgoing))
            except _NOT_FOR_US:
                left.append(path)
    documents = [str(row["id"]) for row in (yield from _rows(state, lead, "documents", [], left))]
    for name in ("Account", "Opportunity"):
        if ids[name] and documents:
            try:
                yield from link(state, name, str(ids[name]), "documents", documents, validate=False)
            except _NOT_FOR_US:
                left.append(record_path(name, ids[name], "documents"))
    return left


def _let_take_part(
    state: ClientState, entity_type: str, activity_id: str, contacts: str, contact_id: str
) -> Operation[None]:
    it = {"type": "equals", "attribute": "id", "value": contact_id}
    pager = pager_for(Search(where=[it], select=["id"]), state.config.page_size)
    if not (yield from next_page(pager, record_path(entity_type, activity_id, contacts))):
        yield from link(state, entity_type, activity_id, contacts, [contact_id], validate=False)


def _rows(state: ClientState, lead: Record, name: str, select: list[str], left: list[str]) -> Operation[list[Any]]:
    """What a link of the lead leads to; nothing where the server has no such link."""
    path = record_path("Lead", lead["id"], name)
    pager = pager_for(Search(select=["id", *select]), state.config.page_size)
    found: list[Any] = []
    try:
        while (page := (yield from next_page(pager, path))) is not None:
            found += page
    except EspoForbiddenError:
        left.append(path)
    except EspoNotFoundError:
        return []
    return found
