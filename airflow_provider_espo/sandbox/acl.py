"""What a user may do: levels by scope and action from roles, the user's own and the team's records, single fields."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.storage import ROOT, Condition, Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.users import CurrentUser

ACTIONS = ("create", "read", "edit", "delete", "stream")
#: Fields of users that are for administrators only.
SECRET_USER_FIELDS = frozenset({"apiKey", "secretKey", "password", "passwordConfirm"})
#: Fields of users that nobody else is shown either.
INNER_USER_FIELDS = frozenset({"authMethod", "dashboardTemplate", "deleteId", "gender", "layoutSet", "passwordVersion"})
#: Fields of users that only administrators set: nobody gives themselves rights, or another name to log in with.
ADMINISTERED_USER_FIELDS = frozenset(
    {
        *("userName", "type", "isActive", "authMethod", "auth2FA", "emailAddress", "deleteId"),
        *("roles", "teams", "defaultTeam", "portals", "portalRoles", "contact", "accounts"),
        *("layoutSet", "dashboardTemplate", "workingTimeCalendar"),
    }
)
LEVELS = ("not-set", "no", "own", "team", "all", "yes")


def strongest(levels: Iterable[str | None]) -> str:
    """The level that grants most; ``no`` for none."""
    ranked = sorted((LEVELS.index(level) for level in levels if level in LEVELS), reverse=True)
    return LEVELS[ranked[0]] if ranked and ranked[0] > 0 else "no"


def merge_rights(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The rights of several roles together: for each scope and action the strongest."""
    merged: dict[str, Any] = {}
    for table in tables:
        for scope, rights in table.items():
            known = merged.get(scope)
            if isinstance(rights, dict) and isinstance(known, dict):
                merged[scope] = {a: strongest([known.get(a), rights.get(a)]) for a in {**known, **rights}}
            elif scope not in merged or not known:
                merged[scope] = rights
    return merged


def merge_fields(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Field rights of several roles together: scope -> field -> action -> ``yes`` or ``no``."""
    merged: dict[str, Any] = {}
    for table in tables:
        for scope, fields in table.items():
            for field_name, actions in (fields or {}).items():
                known = merged.setdefault(scope, {}).setdefault(field_name, {})
                for action, level in (actions or {}).items():
                    known[action] = strongest([known.get(action), level])
    return merged


def level(user: CurrentUser, scope: str, action: str) -> str:
    """The level of an action: ``no``, ``own``, ``team``, ``all`` (``yes`` counts as ``all``)."""
    if user.is_admin:
        return "all"
    rights = user.rights.get(scope, False)
    if scope == "Webhook":
        # for programs only, each of which has its own
        return "own" if rights and user.is_api else "no"
    if isinstance(rights, bool):
        return "all" if rights else "no"
    found = rights.get(action) or "no"
    return "all" if found == "yes" else found


def may(user: CurrentUser, scope: str, action: str) -> bool:
    """Whether the action is possible at all, on some record."""
    return level(user, scope, action) != "no"


def permission(user: CurrentUser, name: str) -> str:
    """A permission that is not about a scope, e.g. ``export``: ``yes``/``no`` or ``all``/``team``/``no``."""
    return "all" if user.is_admin else user.permissions.get(name, "no")


def forbidden_fields(user: CurrentUser, entity_def: EntityDef, action: str) -> frozenset[str]:
    """Fields of a type that the user may not read or edit."""
    if user.is_admin:
        return frozenset()
    if entity_def.name == "User":
        return SECRET_USER_FIELDS | (INNER_USER_FIELDS if action == "read" else ADMINISTERED_USER_FIELDS)
    if entity_def.name == "Webhook":
        return frozenset({"user"})
    fields = user.field_rights.get(entity_def.name, {})
    return frozenset(name for name, actions in fields.items() if actions.get(action) == "no")


def may_on(storage: Storage, user: CurrentUser, entity_def: EntityDef, record_id: str, action: str) -> bool:
    """Whether the user may do something with one record."""
    granted = level(user, entity_def.name, action)
    if granted in ("all", "no"):
        return granted == "all"
    condition, params = condition_of(granted, user, entity_def)
    sql = f'SELECT 1 FROM "{entity_def.name}" {ROOT} WHERE {ROOT}.id = ? AND ({condition})'
    return storage.value(sql, [record_id, *params]) is not None


def restriction(user: CurrentUser, entity_def: EntityDef, action: str = "read") -> Condition | None:
    """Condition on the records that the user may see; None if there is none."""
    granted = level(user, entity_def.name, action)
    return None if granted == "all" else condition_of(granted, user, entity_def)


def condition_of(granted: str, user: CurrentUser, entity_def: EntityDef) -> Condition:
    """SQL that holds for the records of a level."""
    if granted == "no":
        return "0", ()
    own, params = own_condition(user, entity_def)
    if granted == "own":
        return own, params
    if entity_def.name == "Team":
        column = f"{ROOT}.id"
    elif "teams" in entity_def.links:
        link = entity_def.links["teams"]
        marks = ", ".join("?" * len(user.team_ids))
        typed = f" AND m.\"entityType\" = '{entity_def.name}'" if link.near_type is not None else ""
        team = (
            f'EXISTS (SELECT 1 FROM "{link.middle}" m WHERE m."{link.near_key}" = {ROOT}.id{typed}'
            f' AND m."teamId" IN ({marks}) AND m.deleted = 0)'
        )
        return f"({own} OR {team})", (*params, *user.team_ids)
    else:
        return own, params
    marks = ", ".join("?" * len(user.team_ids))
    return f"{column} IN ({marks})", user.team_ids


def own_condition(user: CurrentUser, entity_def: EntityDef) -> Condition:
    """SQL that holds for the user's own records: assigned to them, or made by them where nobody is assigned."""
    if entity_def.name == "User":
        return f"{ROOT}.id = ?", (user.id,)
    if entity_def.name == "Webhook":
        return f'{ROOT}."userId" = ?', (user.id,)
    parts: list[str] = []
    if "assignedUserId" in entity_def.attributes:
        parts.append(f'{ROOT}."assignedUserId" = ?')
    for name in ("assignedUsers", "collaborators"):
        link = entity_def.links.get(name)
        if link is not None and link.kind == "manyMany":
            parts.append(
                f'EXISTS (SELECT 1 FROM "{link.middle}" m WHERE m."{link.near_key}" = {ROOT}.id'
                f' AND m."entityType" = \'{entity_def.name}\' AND m."userId" = ? AND m.deleted = 0)'
            )
    if not parts and "createdById" in entity_def.attributes:
        parts.append(f'{ROOT}."createdById" = ?')
    return (f"({' OR '.join(parts)})" if parts else "0"), (user.id,) * len(parts)
