"""Records that a conversion created before it failed: nothing on the server points to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_espo.client.errors import EspoAmbiguousMatchError
from airflow_provider_espo.client.operations.keys import read_whole
from airflow_provider_espo.client.operations.lost import same_values
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, build_request, record_path

#: Set or changed by the conversion itself, or shown only with an account (``title``), so that they say nothing about
#: which request created a record.
_BY_THE_CONVERSION = frozenset({"accountId", "contactId", "contactsIds", "accountsIds", "originalLeadId", "title"})


def find_orphan(
    state: ClientState,
    entity_type: str,
    wire: Mapping[str, Any],
    *,
    schema: EntitySchema,
    since: datetime,
    lead_id: str,
    relatives: Mapping[str, str],
) -> Operation[str | None]:
    """Find the record of a type that an earlier conversion of a lead created.

    It was created by the connection's user since, has all values that were sent, is not what another lead was
    converted into, and belongs to what this lead was converted into before.

    :param wire: the values that were sent.
    :param since: when the first try began.
    :param lead_id: id of the lead.
    :param relatives: ids of the account and the contact that EspoCRM had joined it to, by entity type.
    :return: its id.
    :raises EspoAmbiguousMatchError: there are several. One may belong to another lead that is being converted.
    """
    sent = {name: value for name, value in wire.items() if name not in _BY_THE_CONVERSION}
    outgoing = build_request("POST", record_path(entity_type), json=sent)
    seen: set[str] = set()
    unclaimed: list[str] = []
    find = same_values(state, outgoing, schema, seen)
    while len(unclaimed) < 2 and (found := (yield from find(since))) is not None:
        seen.add(found.id)
        whole = yield from read_whole(entity_type, found.id)
        if whole is None or not _belongs(whole, wire, relatives):
            continue
        owner = whole.get("originalLeadId")
        if owner == lead_id:
            return found.id
        if not owner:
            unclaimed.append(found.id)
    if len(unclaimed) > 1:
        raise EspoAmbiguousMatchError(
            f"More than one {entity_type} may be what an earlier try created for lead {lead_id}: "
            f"{', '.join(unclaimed)}. Nothing was changed",
            record_ids=unclaimed,
            hint=f"Another lead with the same values may be under way: try again later. Or set created{entity_type}Id "
            "of the lead to the right one, or delete those that are too many",
        )
    return unclaimed[0] if unclaimed else None


def _belongs(whole: Mapping[str, Any], wire: Mapping[str, Any], relatives: Mapping[str, str]) -> bool:
    """Whether a record is joined to the lead's account and contact. Many have all values alike but for this."""
    account, contact = relatives.get("Account"), relatives.get("Contact")
    if account is not None and whole.get("accountId") not in (account, wire.get("accountId", account)):
        return False
    return contact is None or contact in (whole.get("contactsIds") or (whole.get("contactId"),))
