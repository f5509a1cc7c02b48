"""Mass actions: one action on many records, given by ids or by a search.

What cannot be done with a record is not done, without a word: only the count tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, locks, subscriptions
from airflow_provider_espo.sandbox.currency_conversion import Conversion, currency_fields
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.mass_update import MassUpdate
from airflow_provider_espo.sandbox.search import SearchParams, build

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.jobs import Checkpoint
    from airflow_provider_espo.sandbox.users import CurrentUser

#: Mass actions that are possible with types that are no records of business.
ALLOWED: Mapping[str, frozenset[str]] = {
    "Attachment": frozenset({"delete"}),
    "DocumentFolder": frozenset({"delete", "update"}),
    "Import": frozenset({"delete"}),
    "LeadCapture": frozenset({"delete", "update"}),
    "Role": frozenset({"delete"}),
    "Team": frozenset({"delete"}),
    "Webhook": frozenset({"delete", "update"}),
}
#: As many ids as a statement takes.
BATCH = 500
NO_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which records an action is for.

    :param ids: ids; None if a search is given
    :param search: parameters of a search, as they were sent
    """

    ids: tuple[str, ...] | None = None
    search: Mapping[str, Any] | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Chosen:
        """Read ``params`` of a request: ``where`` goes before that of a search, and both before ids.

        :raises ApiError: 400 with the reason
        """
        where, search, ids = params.get("where"), params.get("searchParams"), params.get("ids")
        if search is None:
            search = params.get("selectData")
        if where is None and search is None and ids is None:
            raise ApiError(400, "Bad search params for mass action.")
        if where is not None and not isinstance(where, list | dict):
            raise ApiError(400, "Bad 'where'.")
        if search is not None and not isinstance(search, list | dict):
            raise ApiError(400, "Bad 'searchParams'.")
        if where is None and search is None:
            if not isinstance(ids, list):
                raise ApiError(400, "Bad 'ids'.")
            return cls(ids=tuple(str(record_id) for record_id in ids))
        raw = dict(search) if isinstance(search, dict) else {}
        if where is not None:
            raw["where"] = where
        raw.pop("select", None)
        SearchParams.from_raw(raw, limit=NO_LIMIT)
        return cls(search=raw)

    def record_ids(self, sandbox: Sandbox, entity_def: EntityDef, user: CurrentUser) -> list[str]:
        """Ids of the records that are there; of a search, of those that the user may read.

        :raises ApiError: 500 for an empty list of ids; 400, 403 for what is wrong with a search
        """
        storage = sandbox.storage
        if self.search is None:
            if not self.ids:
                raise ApiError(500)
            found: list[str] = []
            for start in range(0, len(self.ids), BATCH):
                batch = self.ids[start : start + BATCH]
                marks = ", ".join("?" * len(batch))
                sql = f'SELECT id FROM "{entity_def.name}" WHERE id IN ({marks}) AND deleted = 0'  # noqa: S608
                found += storage.column(sql, batch)
            return sorted(found)
        params = SearchParams.from_raw(self.search, limit=NO_LIMIT)
        restriction = acl.restriction(user, entity_def)
        query = build(storage, entity_def, params, user, conditions=[restriction] if restriction else [])
        ids = storage.column(*query.ids())
        start = params.offset or 0
        return ids[start:] if "maxSize" not in self.search else ids[start : start + params.max_size]


@dataclass(frozen=True, slots=True)
class Order:
    """A mass action that somebody wants to be done.

    :param checkpoint: called before each record
    """

    sandbox: Sandbox
    entity_def: EntityDef
    user: CurrentUser
    chosen: Chosen
    data: Mapping[str, Any]
    checkpoint: Checkpoint = lambda: None

    def ids(self) -> Iterator[str]:
        """Ids of the records, one after the other."""
        for record_id in self.chosen.record_ids(self.sandbox, self.entity_def, self.user):
            self.checkpoint()
            yield record_id

    def may_on(self, record_id: str, action: str) -> bool:
        """Whether the user may do something with a record."""
        return acl.may_on(self.sandbox.storage, self.user, self.entity_def, record_id, action)

    def need(self, action: str) -> None:
        """:raises ApiError: 403 if the user may not do that with any record of the type"""
        if not acl.may(self.user, self.entity_def.name, action):
            raise ApiError(403, f"No {action} access for '{self.entity_def.name}'.")

    def need_mass_update(self) -> None:
        """:raises ApiError: 403 without the permission for mass updates"""
        if acl.permission(self.user, "massUpdate") == "no":
            raise ApiError(403, "No mass-update permission.")


#: Does an action and returns the ids of the records with which it was done.
Action = Callable[[Order], Sequence[str]]


def update(order: Order) -> list[str]:
    """Set values."""
    order.need("edit")
    order.need_mass_update()
    sandbox, entity_def, user = order.sandbox, order.entity_def, order.user
    change = MassUpdate.from_data(order.data, entity_def, user)
    done = []
    for record_id in order.ids() if change.values else ():
        try:
            record = sandbox.records.stored(entity_def, record_id, user) if change.depends_on_record else {}
            sandbox.records.update(entity_def, record_id, change.for_record(record), user)
        except ApiError:
            continue
        done.append(record_id)
    return done


def delete(order: Order) -> list[str]:
    """Delete records."""
    order.need("delete")
    if order.chosen.ids is None:
        order.need_mass_update()
    done = []
    for record_id in order.ids():
        try:
            order.sandbox.records.delete(order.entity_def, record_id, order.user)
        except ApiError:
            continue
        done.append(record_id)
    return done


def recalculate_formula(order: Order) -> list[str]:
    """Work formula fields out anew. No type of the sandbox has any, so that there is nothing to change."""
    if not order.user.is_admin:
        raise ApiError(403, "")
    return list(order.ids())


def convert_currency(order: Order) -> list[str]:
    """Convert amounts into another currency."""
    order.need("edit")
    order.need_mass_update()
    if not currency_fields(order.entity_def):
        raise ApiError(403, "No fields to convert.")
    sandbox, entity_def = order.sandbox, order.entity_def
    conversion = Conversion.from_data(order.data, sandbox.storage.settings)
    done = []
    for record_id in order.ids():
        if order.may_on(record_id, "edit"):
            conversion.apply(sandbox.records, entity_def, record_id, order.user)
            done.append(record_id)
    return done


def subscriber(order: Order) -> str:
    """Who is to follow or not: the user, or, for an administrator, somebody else.

    :raises ApiError: 403
    """
    user_id = order.data.get("userId") or order.user.id
    if user_id != order.user.id and not order.user.is_admin:
        raise ApiError(403, "")
    return str(user_id)


def follow(order: Order) -> list[str]:
    """Follow records."""
    order.need("stream")
    user_id, entity_def, storage = subscriber(order), order.entity_def, order.sandbox.storage
    known = order.sandbox.exists(storage.definitions["User"], user_id)
    done = []
    for record_id in order.ids():
        if entity_def.stream and known and order.may_on(record_id, "stream"):
            subscriptions.follow(storage, entity_def.name, record_id, user_id)
            done.append(record_id)
    return done


def unfollow(order: Order) -> list[str]:
    """No longer follow records."""
    order.need("stream")
    user_id, done = subscriber(order), []
    for record_id in order.ids():
        subscriptions.unfollow(order.sandbox.storage, order.entity_def.name, record_id, user_id)
        done.append(record_id)
    return done


def set_locked(order: Order, *, locked: bool) -> list[str]:
    """Lock or unlock records."""
    order.need("edit")
    order.need_mass_update()
    if not locks.is_lockable(order.entity_def):
        raise ApiError(500, "Not enabled.")
    if not locks.may_lock(order.user):
        raise ApiError(403, "No lock permission.")
    done = []
    for record_id in order.ids():
        if order.may_on(record_id, "edit"):
            locks.set_locked(order.sandbox.records, order.entity_def, record_id, order.user, locked=locked)
            done.append(record_id)
    return done


def lock(order: Order) -> list[str]:
    """Lock records."""
    return set_locked(order, locked=True)


def unlock(order: Order) -> list[str]:
    """Unlock records."""
    return set_locked(order, locked=False)


ACTIONS: Mapping[str, Action] = {
    "update": update,
    "delete": delete,
    "recalculateFormula": recalculate_formula,
    "convertCurrency": convert_currency,
    "follow": follow,
    "unfollow": unfollow,
    "lock": lock,
    "unlock": unlock,
}


def find_action(name: str, entity_def: EntityDef) -> Action:
    """The action of a name.

    :raises ApiError: 404 if there is none, 403 if it is not for this type
    """
    action = ACTIONS.get(name)
    if action is None:
        raise ApiError(404, f"Mass action '{name}' not found.")
    if "object" not in entity_def.traits and name not in ALLOWED.get(entity_def.name, ()):
        raise ApiError(403, f"Mass action '{name}' is disabled for '{entity_def.name}'.")
    return action


def run(name: str, order: Order) -> Sequence[str]:
    """Do an action.

    :return: ids of the records with which it was done
    :raises ApiError: if it cannot be done at all
    """
    return find_action(name, order.entity_def)(order)


def run_later(sandbox: Sandbox, data: Mapping[str, Any], user_id: str, checkpoint: Checkpoint) -> int:
    """Do an action that was ordered as a background job.

    :return: number of records with which it was done
    :raises ApiError: if it cannot be done at all
    """
    entity_def = sandbox.storage.definitions[data["entityType"]]
    ids = data["ids"]
    chosen = Chosen(None if ids is None else tuple(ids), data["search"])
    order = Order(sandbox, entity_def, sandbox.directory.get(user_id), chosen, data["data"])
    return len(run(data["action"], replace(order, checkpoint=checkpoint)))
