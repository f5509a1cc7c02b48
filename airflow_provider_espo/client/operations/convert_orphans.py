"""Records that a conversion created before it failed: nothing on the server points to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_espo.client.operations.keys import read_whole
from airflow_provider_espo.client.operations.lost import same_values
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, build_request, record_path

#: Set or changed by the conversion itself, so that they say nothing about which request created a record.
_BY_THE_CONVERSION = frozenset({"accountId", "contactId", "contactsIds", "accountsIds", "originalLeadId"})


def find_orphan(
    state: ClientState,
    entity_type: str,
    wire: Mapping[str, Any],
    *,
    schema: EntitySchema,
    since: datetime,
    lead_id: str,
) -> Operation[str | None]:
    """Find the record of a type that an earlier conversion of a lead created.

    It was created by the connection's user since, has all values that were sent, and is not what another lead was
    converted into.

    :param wire: the values that were sent.
    :param since: when the first try began.
    :param lead_id: id of the lead.
    :return: its id.
    """
    sent = {name: value for name, value in wire.items() if name not in _BY_THE_CONVERSION}
    outgoing = build_request("POST", record_path(entity_type), json=sent)
    others: set[str] = set()
    find = same_values(state, outgoing, schema, others)
    while (found := (yield from find(since))) is not None:
        whole = yield from read_whole(entity_type, found.id)
        if whole is not None and whole.get("originalLeadId") in (None, lead_id):
            return found.id
        others.add(found.id)
    return None
