"""Create a record once, also when an answer gets lost.

EspoCRM has no idempotency key. So when it is not known whether a create was carried out, the record is looked for
before it is created again: made by the connection's user, since the request was sent, equal in all values given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_espo.client.errors import EspoError, EspoTimeoutError
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import changed
from airflow_provider_espo.client.wire import Operation, Request, build_request, expect_object

#: How far the server's clock may be behind ours.
CLOCK_SKEW = timedelta(minutes=2)

#: Found records to compare at most; more were made by the user in the time only by a mass import.
_MAX_COMPARED = 2000

_EXACT_KINDS = frozenset({"varchar", "email", "enum", "id", "foreignId", "link", "url"})


def create_once(
    state: ClientState, outgoing: Request, schema: EntitySchema | None, look_since: datetime | None = None
) -> Operation[str]:
    """Send a create and return the new record's id; after an unknown outcome look before trying again.

    :param outgoing: the ``POST`` request, with the attributes as body.
    :param schema: the entity type's schema, where known.
    :param look_since: look for a record made since then before the first try.
    :raises EspoError: the create failed, or its outcome is unknown and the record is not there (yet).
    """
    if look_since is not None and (found := (yield from _find(state, outgoing, schema, look_since))):
        return found
    tries = 0
    while True:
        sent_at = datetime.now(UTC)
        try:
            return str(expect_object(outgoing, (yield outgoing))["id"])
        except EspoError as error:
            if not outcome_is_unknown(error):
                raise
            failure = error
        if found := (yield from _find(state, outgoing, schema, sent_at - CLOCK_SKEW)):
            return found
        if isinstance(failure, EspoTimeoutError) or tries >= min(1, state.retry.max_retries):
            # After a time-out the server may still be at it: to send again now could make two.
            failure.hint = "The record was not there when looked for; a retry of the task looks again before it creates"
            raise failure
        tries += 1


def _find(
    state: ClientState, outgoing: Request, schema: EntitySchema | None, since: datetime
) -> Operation[str | None]:
    """Id of the newest record that an earlier try may have made."""
    wanted: Mapping[str, Any] = outgoing.json
    user_id = yield from my_user_id(state)
    search = Search(
        where=[
            {"type": "equals", "attribute": "createdById", "value": user_id},
            {
                "type": "greaterThanOrEquals",
                "attribute": "createdAt",
                "value": since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            },
            *_exact(wanted, schema),
        ],
        select=sorted({"createdAt", *wanted}),
        order_by="createdAt",
        order="desc",
    )
    pager = pager_for(search, state.config.page_size, limit=_MAX_COMPARED)
    while (page := pager.next_search()) is not None:
        reading = build_request("GET", outgoing.path, query=page.to_query(), headers={"X-No-Total": "true"})
        for record in pager.receive(expect_object(reading, (yield reading))):
            if not changed(schema, wanted, record):
                return str(record["id"])
    return None


def _exact(wanted: Mapping[str, Any], schema: EntitySchema | None) -> list[dict[str, Any]]:
    """Conditions on values that EspoCRM stores as they were sent, so that few records come back."""
    if schema is None:
        return []
    return [
        {"type": "equals", "attribute": name, "value": value}
        for name, value in sorted(wanted.items())
        if isinstance(value, str)
        and 0 < len(value) <= 100
        and value == value.strip()
        and (attribute := schema.attributes.get(name)) is not None
        and attribute.kind in _EXACT_KINDS
    ][:3]
