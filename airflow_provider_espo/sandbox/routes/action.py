"""Actions on one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, locks
from airflow_provider_espo.sandbox import merge as merging
from airflow_provider_espo.sandbox.currency_conversion import Conversion, currency_fields
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import CRASH
from airflow_provider_espo.sandbox.routes.common import accessible_type

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Router
    from airflow_provider_espo.sandbox.users import CurrentUser


@dataclass(frozen=True, slots=True)
class Order:
    """An action that somebody wants to be done with a record."""

    sandbox: Sandbox
    entity_def: EntityDef
    record_id: str
    user: CurrentUser
    data: Mapping[str, Any]

    def need_edit(self) -> None:
        """:raises ApiError: 404 if the record is not there, 403 if the user may not edit it"""
        if not self.sandbox.exists(self.entity_def, self.record_id):
            raise ApiError(404, "")
        if not acl.may_on(self.sandbox.storage, self.user, self.entity_def, self.record_id, "edit"):
            raise ApiError(403, "")


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/Action", process)


def process(context: Context) -> dict[str, Any]:
    """Do an action with a record.

    :return: the record afterwards
    """
    body = context.body
    entity_type, name, record_id = body.get("entityType"), body.get("action"), body.get("id")
    data = body.get("data")
    data = {} if data is None else data
    if not entity_type or not name or not record_id:
        raise ApiError(400, "")
    if not isinstance(data, dict):
        raise ApiError(500, body=CRASH)
    entity_def = accessible_type(context, str(entity_type))
    action = ACTIONS.get(str(name))
    if action is None:
        raise ApiError(404, f"Action '{name}' not found.")
    if not acl.may(context.user, entity_def.name, "edit"):
        raise ApiError(403, "")
    action(Order(context.sandbox, entity_def, str(record_id), context.user, data))
    return context.sandbox.records.stored(entity_def, str(record_id), context.user)


def convert_currency(order: Order) -> None:
    """Convert amounts into another currency."""
    if not currency_fields(order.entity_def):
        raise ApiError(403, "No fields to convert.")
    conversion = Conversion.from_data(order.data, order.sandbox.storage.settings)
    order.need_edit()
    conversion.apply(order.sandbox.records, order.entity_def, order.record_id, order.user)


def set_locked(order: Order, *, locked: bool) -> None:
    """Lock or unlock the record."""
    if not locks.is_lockable(order.entity_def) or not locks.may_lock(order.user):
        raise ApiError(403, "")
    order.need_edit()
    locks.set_locked(order.sandbox.records, order.entity_def, order.record_id, order.user, locked=locked)


def lock(order: Order) -> None:
    """Lock the record."""
    set_locked(order, locked=True)


def unlock(order: Order) -> None:
    """Unlock the record."""
    set_locked(order, locked=False)


def merge(order: Order) -> None:
    """Merge other records into this one."""
    merging.merge(order.sandbox, order.entity_def, order.record_id, order.data, order.user)


ACTIONS: Mapping[str, Callable[[Order], None]] = {
    "convertCurrency": convert_currency,
    "lock": lock,
    "unlock": unlock,
    "merge": merge,
}
