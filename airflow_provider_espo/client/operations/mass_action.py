"""Mass actions: one action on many records, by ids or by a filter, at once or as a background job of EspoCRM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from airflow_provider_espo.client.operations.mass_work import MassAction, MassOptions
from airflow_provider_espo.client.operations.records import check_attributes
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record


def mass_action(
    state: ClientState,
    entity_type: str,
    action: str,
    *,
    data: Mapping[str, Any] | None = None,
    **options: Unpack[MassOptions],
) -> Operation[Record]:
    """Carry out an action on many records.

    EspoCRM skips in silence what it cannot do to a record. So the records are counted before, and what EspoCRM says it
    did is compared with that.

    :param entity_type: such as ``Lead``.
    :param action: ``update``, ``delete``, ``recalculateFormula`` (administrators), ``convertCurrency``, ``follow``,
        ``unfollow``, ``lock``, ``unlock``, or one that an extension brought along.
    :param data: what the action needs, such as ``{"targetCurrency": "EUR"}``.
    :param ids: ids of the records; by the hundred in a request. An empty list does nothing.
    :param where: instead of ids, as ``primary_filter``, ``bool_filters`` and ``text_filter``: a filter as in
        :meth:`iter_records`. EspoCRM looks which records match when it carries the action out.
    :param all_records: ``True`` to mean every record; otherwise a filter that leaves none out is refused.
    :param max_records: refuse if more records than this are meant.
    :param dry_run: only count; returns ``count`` and at most 100 of the ``ids``.
    :param background: have EspoCRM do it in a background job; returns at once, see :meth:`job_status`.
    :param on_shortfall: ``fail`` (default) raises when EspoCRM changed fewer records than it should have, ``warn``
        only says so in the result.
    :param validate: check the action's name, attributes and rights before anything is sent.
    :return: ``{"count", "expected"}``: records changed, and those that should have been; with ``ids`` those changed,
        where ids were given; with ``skipped_ids`` those that were not, where known. In the background ``{"count",
        "job_id"}`` with the count of the records that match so far.
    :raises EspoInputError: no ids and no filter, a filter that leaves no record out, more than ``max_records``.
    :raises EspoUnknownNameError: no such action, or attribute to update.
    :raises EspoForbiddenError: the user may not do this.
    :raises EspoShortfallError: fewer records were changed than should have been.
    """
    todo = MassAction(state, entity_type, action, data, options)
    yield from todo.check()
    seen = yield from todo.look()
    if options.get("dry_run"):
        return (yield from todo.rehearsed(seen))
    if not seen.count:
        return todo.result(seen, 0, ())
    if options.get("background"):
        return {"count": seen.count, "job_id": (yield from todo.start())}
    return (yield from todo.carry_out(seen))


def mass_update(
    state: ClientState,
    entity_type: str,
    attributes: Mapping[str, Any],
    *,
    link_actions: Mapping[str, str] | None = None,
    **options: Unpack[MassOptions],
) -> Operation[Record]:
    """Set the same values in many records. May be repeated.

    Takes the other arguments of :meth:`mass_action`. Every record is written, also one that has the values already:
    EspoCRM moves its ``modifiedAt`` and fires webhooks.

    :param entity_type: such as ``Lead``.
    :param attributes: values by attribute name.
    :param link_actions: what is to be done with the ids of an attribute such as ``teamsIds``: ``add`` or ``remove``
        them; otherwise they replace those that are there.
    :return: as :meth:`mass_action`.
    """
    data = update_data(attributes, link_actions)
    return (yield from mass_action(state, entity_type, "update", data=data, **options))


def mass_delete(state: ClientState, entity_type: str, **options: Unpack[MassOptions]) -> Operation[Record]:
    """Delete many records. May be repeated: one that is not there (any more) is no shortfall.

    Takes the other arguments of :meth:`mass_action`.

    :param entity_type: such as ``Lead``.
    :return: as :meth:`mass_action`.
    """
    return (yield from mass_action(state, entity_type, "delete", **options))


def update_data(attributes: Mapping[str, Any], link_actions: Mapping[str, str] | None) -> dict[str, Any]:
    """Return an update's values as the data of a mass action."""
    data: dict[str, Any] = {"values": check_attributes(attributes)}
    return data | ({"actions": link_actions} if link_actions else {})
