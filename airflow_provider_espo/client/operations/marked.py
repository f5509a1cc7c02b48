"""Create a record once for a happening that may be reported several times, told by a marker in one of its texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_espo.client.operations.listing import list_records
from airflow_provider_espo.client.operations.records import create_record
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record


def create_marked(
    state: ClientState,
    entity_type: str,
    attributes: Mapping[str, Any],
    *,
    marker: str | None,
    marker_field: str = "description",
) -> Operation[Record]:
    """Create a record unless there is one with the marker.

    The marker is the last line of the text that the field gets. EspoCRM finds it there also after people have added to
    the text, as long as they leave it in.

    :param entity_type: such as ``Case``.
    :param attributes: values by attribute name. A task that nobody is to have is the connection's own user's: EspoCRM
        wants somebody.
    :param marker: letters, digits and ``-``; ``None`` creates in any case.
    :param marker_field: attribute for texts that holds it.
    :return: ``{"id", "action"}``, action ``created`` or ``unchanged``.
    :raises EspoValidationError: EspoCRM refused a value.
    """
    values = dict(attributes)
    if marker is not None:
        condition = {"type": "contains", "attribute": marker_field, "value": marker}
        found = yield from list_records(state, entity_type, where=[condition], select=["id"], limit=1)
        if found:
            return {"id": str(found[0]["id"]), "action": "unchanged"}
        text = str(values.get(marker_field) or "").rstrip()
        values[marker_field] = f"{text}\n\n{marker}" if text else marker
    if entity_type == "Task" and not values.get("assignedUserId"):
        values["assignedUserId"] = yield from my_user_id(state)
    return (yield from create_record(state, entity_type, values, on_duplicate="force"))
