"""Carry over from a lead to what it was converted into, where EspoCRM did not.

EspoCRM does this for the records that it creates in the request that converts the lead. For those that were there
before it is done here, as far as the API allows: meetings, calls and e-mails whose parent is the lead get the
opportunity, or else the account, as parent, the contact takes part in the meetings and calls, and the lead's documents
are linked to account, contact and opportunity. All of it may be done twice. Followers, campaign log records and the
target lists of the lead are not carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_espo.client.errors import EspoForbiddenError, EspoNotFoundError
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.operations.relations import link
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, build_request, expect_object, record_path

#: Activities: the entity type, and the link to those who take part.
_ACTIVITIES: Mapping[str, str | None] = {"Meeting": "contacts", "Call": "contacts", "Email": None}


def carry_over(state: ClientState, lead: Record) -> Operation[None]:
    """Carry over what still hangs on a converted lead.

    :param lead: the lead, as it is now.
    """
    ids = {name: lead.get(f"created{name}Id") for name in ("Account", "Contact", "Opportunity")}
    parent = next(((name, ids[name]) for name in ("Opportunity", "Account") if ids[name]), None)
    for entity_type, contacts in _ACTIVITIES.items():
        yield from _activities(state, str(lead["id"]), entity_type, contacts, parent=parent, contact_id=ids["Contact"])
    documents = yield from _ids(state, record_path("Lead", lead["id"], "documents"), Search(select=["id"]))
    for name, record_id in ids.items():
        if record_id and documents:
            yield from _link(state, name, str(record_id), "documents", documents)


def _activities(
    state: ClientState,
    lead_id: str,
    entity_type: str,
    contacts: str | None,
    *,
    parent: tuple[str, Any] | None,
    contact_id: Any,
) -> Operation[None]:
    of_the_lead = Search(
        where=[
            {"type": "equals", "attribute": "parentType", "value": "Lead"},
            {"type": "equals", "attribute": "parentId", "value": lead_id},
        ],
        select=["id"],
    )
    found = yield from _ids(state, record_path(entity_type), of_the_lead)
    for activity_id in found:
        if contacts and contact_id:
            # Before the parent changes: an activity that has another parent is not looked at again.
            yield from _link(state, entity_type, activity_id, contacts, [str(contact_id)])
        if parent is not None:
            outgoing = build_request(
                "PUT", record_path(entity_type, activity_id), json={"parentType": parent[0], "parentId": parent[1]}
            )
            expect_object(outgoing, (yield outgoing))


def _ids(state: ClientState, path: str, search: Search) -> Operation[list[str]]:
    """Ids of a list; none where the user may not read it or the server has no such type."""
    pager = pager_for(search, state.config.page_size)
    found: list[str] = []
    try:
        while (page := (yield from next_page(pager, path))) is not None:
            found += [str(record["id"]) for record in page]
    except (EspoForbiddenError, EspoNotFoundError):
        return []
    return found


def _link(state: ClientState, entity_type: str, record_id: str, name: str, ids: list[str]) -> Operation[None]:
    yield from link(state, entity_type, record_id, name, ids, validate=False)
