"""Whether EspoCRM can and may carry out a mass action, before it is asked to.

A background job with an unknown action, or without the right to it, is accepted and fails later without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_espo.client import name_hints
from airflow_provider_espo.client.errors import EspoForbiddenError, EspoInputError, EspoUnknownNameError
from airflow_provider_espo.client.operations.system import metadata, settings
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, build_request, expect_object, name_segment

#: What EspoCRM has for all entity types; extensions add their own.
STOCK_ACTIONS: Final = frozenset(
    {"update", "delete", "recalculateFormula", "convertCurrency", "follow", "unfollow", "lock", "unlock"}
)
_OF_TYPE: Final[Mapping[str, frozenset[str]]] = {"Email": frozenset({"moveToFolder"})}

#: Doing them twice is doing them once. Of others only who wrote them knows.
REPEATABLE_ACTIONS: Final = STOCK_ACTIONS | {"moveToFolder"}

#: Need the permission for mass updates in a role of the user; a deletion does so by a filter only.
_WITH_PERMISSION: Final = frozenset({"update", "convertCurrency", "lock", "unlock"})
_NEEDED_RIGHT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("update", "convertCurrency", "lock", "unlock"), "edit"),
    "delete": "delete",
    **dict.fromkeys(("follow", "unfollow"), "stream"),
}
_ADMINS: Final = frozenset({"admin", "super-admin"})


def check_action(state: ClientState, entity_type: str, action: str) -> Operation[None]:
    """Refuse an action that the server does not have.

    :raises EspoUnknownNameError: with the nearest names.
    """
    name_segment(action, "mass action")
    known = STOCK_ACTIONS | _OF_TYPE.get(entity_type, frozenset())
    if action in ("lock", "unlock"):
        yield from _check_lockable(state, entity_type)
    if action in known:
        return
    known |= yield from _added_actions(state, entity_type)
    if action not in known:
        meant = name_hints.or_these(name_hints.nearest(action, sorted(known)))
        raise EspoUnknownNameError(
            f"EspoCRM has no mass action {name_hints.quoted(action)} for {entity_type}{meant}",
            hint="An extension's action may be hidden from this user; validate=False sends it without this check",
        )


def check_data(state: ClientState, action: str, data: Mapping[str, Any]) -> Operation[None]:
    """Refuse data that a background job would fail at without a word.

    :raises EspoInputError: a conversion without currency, or into one that EspoCRM does not have.
    """
    if action != "convertCurrency":
        return
    currency = data.get("targetCurrency")
    if not isinstance(currency, str) or not currency:
        raise EspoInputError("convertCurrency needs targetCurrency in data", hint='Such as {"targetCurrency": "EUR"}')
    there = (yield from settings(state)).get("currencyList")
    if isinstance(there, list) and currency not in there:
        raise EspoInputError(
            f"EspoCRM has no currency {name_hints.quoted(currency)}", hint=f"It has {', '.join(map(str, there))}"
        )


def check_rights(state: ClientState, entity_type: str, action: str, *, by_filter: bool) -> Operation[None]:
    """Refuse what a background job would fail at for want of rights.

    :param by_filter: whether a filter says which records are meant.
    :raises EspoForbiddenError: the user may not do this; in doubt EspoCRM is asked.
    """
    outgoing = build_request("GET", "App/user")
    answer = expect_object(outgoing, (yield outgoing))
    user, acl = (value if isinstance(value, dict) else {} for value in (answer.get("user"), answer.get("acl")))
    if user.get("type") in _ADMINS:
        return
    if action == "recalculateFormula":
        raise EspoForbiddenError(
            "recalculateFormula is for administrators",
            hint="An API user is never one: use a connection with user name and password (auth_method basic or token)",
        )
    permission = action in _WITH_PERMISSION or (action == "delete" and by_filter)
    if permission and acl.get("massUpdatePermission") == "no":
        raise EspoForbiddenError(
            "The user has no permission for mass updates", hint="Set Mass Update Permission in a role of the user"
        )
    right = _NEEDED_RIGHT.get(action)
    table = acl.get("table")
    of_type = table.get(entity_type) if isinstance(table, dict) else None
    if right and (of_type is False or (isinstance(of_type, dict) and of_type.get(right) == "no")):
        raise EspoForbiddenError(f"The user has no {right} access to {entity_type}", hint="Check the user's roles")


def _check_lockable(state: ClientState, entity_type: str) -> Operation[None]:
    scope = yield from metadata(state, f"scopes.{entity_type}")
    if isinstance(scope, Mapping) and not scope.get("lockable"):
        raise EspoUnknownNameError(
            f"Records of {entity_type} cannot be locked on this server",
            hint="Locking came with EspoCRM 10 and is switched on for each entity type in the Entity Manager",
        )


def _added_actions(state: ClientState, entity_type: str) -> Operation[frozenset[str]]:
    """Names of actions that extensions brought along, as far as the metadata shows them to this user."""
    found: set[str] = set()
    for key in (
        "app.massActions",
        f"recordDefs.{entity_type}.massActions",
        f"clientDefs.{entity_type}.massActionDefs",
        f"clientDefs.{entity_type}.massActionList",
        f"clientDefs.{entity_type}.checkAllResultMassActionList",
    ):
        value = yield from metadata(state, key)
        if isinstance(value, Mapping | list):
            found.update(name for name in value if isinstance(name, str) and not name.startswith("__"))
    return frozenset(found)
