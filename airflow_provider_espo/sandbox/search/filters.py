"""Filters that are predefined: primary filters (one at a time) and bool filters (any of several)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search import comparison
from airflow_provider_espo.sandbox.search.context import SearchContext
from airflow_provider_espo.sandbox.search.dates import STAMP
from airflow_provider_espo.sandbox.search.failures import bad_request, server_error
from airflow_provider_espo.sandbox.search.sql import (
    TRUE,
    Condition,
    all_of,
    among,
    any_of,
    exists,
    linked_ids,
    one_of,
)
from airflow_provider_espo.sandbox.search.where import where_condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Filter = Callable[[SearchContext], Condition]


def primary_condition(context: SearchContext, name: str) -> Condition:
    """Condition of a primary filter.

    :raises ApiError: 400 if the type has no such filter
    """
    wanted = _PRIMARY.get(context.entity_def.name, {}).get(name) or _PRIMARY_OF_ALL.get(name)
    if wanted is None:
        raise bad_request(f"No primary filter '{name}' for '{context.entity_def.name}'.")
    return wanted(context)


def bool_condition(context: SearchContext, names: Sequence[str]) -> Condition:
    """Condition that any of some bool filters matches.

    :raises ApiError: 400 if the type has no such filter
    """
    conditions = []
    for name in names:
        wanted = _BOOL.get(context.entity_def.name, {}).get(name) or _BOOL_OF_ALL.get(name)
        if wanted is None:
            raise bad_request(f"No bool filter '{name}' for '{context.entity_def.name}'.")
        condition = wanted(context)
        if condition is not None:
            conditions.append(condition)
    return any_of(conditions) if conditions else TRUE


# --- what filters are made of ---


def has_value(attribute: str, *values: Any) -> Filter:
    """The attribute has one of the values."""
    return lambda context: comparison.condition(context, attribute, "=", list(values))


def lacks_value(attribute: str, *values: Any) -> Filter:
    """The attribute has another value; a record without any does not count."""
    return lambda context: comparison.condition(context, attribute, "!=", list(values))


def every(*filters: Filter) -> Filter:
    """All of the filters."""
    return lambda context: all_of(wanted(context) for wanted in filters)


def some(*filters: Filter) -> Filter:
    """Any of the filters."""
    return lambda context: any_of(wanted(context) for wanted in filters)


def local_time(operator: str, attribute: str) -> Filter:
    """An operator relative to the present, in the server's time zone."""
    return lambda context: where_condition(context, [{"type": operator, "attribute": attribute, "dateTime": True}])


def is_null(attribute: str) -> Filter:
    """The attribute has no value."""
    return lambda context: comparison.condition(context, attribute, "=", None)


def users_own(table: str) -> Filter:
    """The user has subscribed to the record, in one of the tables for that."""

    def condition(context: SearchContext) -> Condition:
        sql = (
            f'SELECT 1 FROM {quoted(table)} s WHERE s."entityId" = {context.root_id}'  # noqa: S608
            ' AND s."entityType" = ? AND s."userId" = ?'
        )
        return exists(Condition(sql, (context.entity_def.name, context.user.id)))

    return condition


def linked_with_user(link: str, *, unless_declined: bool = False) -> Callable[[SearchContext], Condition | None]:
    """The user is linked by a many-to-many link; nothing if the type has no such link."""

    def condition(context: SearchContext) -> Condition | None:
        definition = context.entity_def.links.get(link)
        if definition is None or definition.kind != "manyMany":
            return None
        mine = Condition(f"m.{quoted(definition.distant_key)} = ?", (context.user.id,))
        if unless_declined:
            mine = all_of([mine, Condition('(m."status" <> \'Declined\' OR m."status" IS NULL)')])
        return among(context.root_id, linked_ids(definition, mine))

    return condition


def _only_my(context: SearchContext) -> Condition:
    assigned = linked_with_user("assignedUsers")(context)
    if assigned is not None:
        return assigned
    column = "assignedUserId" if "assignedUserId" in context.entity_def.attributes else "createdById"
    if column not in context.entity_def.attributes:
        raise server_error()
    return Condition(f"{context.root}.{quoted(column)} = ?", (context.user.id,))


def _recently_created(context: SearchContext) -> Condition:
    since = (context.now - timedelta(days=7)).strftime(STAMP)
    return comparison.condition(context, "createdAt", ">=", since)


def _in_users_teams(context: SearchContext) -> Condition:
    return one_of(context.root_id, context.user.team_ids)


def _members_of_users_teams(context: SearchContext) -> Condition:
    teams = one_of('m."teamId"', context.user.team_ids)
    return among(context.root_id, linked_ids(context.entity_def.links["teams"], teams))


def _is_user(context: SearchContext) -> Condition:
    return Condition(f"{context.root_id} = ?", (context.user.id,))


def _is_portal_user(context: SearchContext) -> Condition:
    return comparison.condition(context, "hasPortalUser", "=", True)


def _is_no_portal_user(context: SearchContext) -> Condition:
    return comparison.condition(context, "hasPortalUser", "=", False)


def _unknown_relation(context: SearchContext) -> Condition:
    """For lists of related records only: elsewhere the database does not know the column."""
    raise server_error()


# --- the filters ---

_ACTIVITY: Mapping[str, Filter] = {
    "planned": has_value("status", "Planned"),
    "held": has_value("status", "Held"),
    "todays": local_time("today", "dateStart"),
}
_LEAD_ACTUAL = lacks_value("status", "Converted", "Recycled", "Dead")
_CASE_OPEN = lacks_value("status", "Closed", "Rejected", "Duplicate")
_TASK_ACTUAL = lacks_value("status", "Completed", "Canceled", "Deferred")
_TASK_COMPLETED = has_value("status", "Completed")
_USER_ACTIVE = has_value("isActive", True)

_PRIMARY_OF_ALL: Mapping[str, Filter] = {
    "followed": users_own("Subscription"),
    "starred": users_own("StarSubscription"),
    "one": lambda context: TRUE,
}
_PRIMARY: Mapping[str, Mapping[str, Filter]] = {
    "Account": {
        "customers": has_value("type", "Customer"),
        "resellers": has_value("type", "Reseller"),
        "partners": has_value("type", "Partner"),
        "recentlyCreated": _recently_created,
    },
    "Call": _ACTIVITY,
    "Campaign": {"active": has_value("status", "Active")},
    "Case": {"open": _CASE_OPEN, "closed": has_value("status", "Closed")},
    "Contact": {
        "portalUsers": _is_portal_user,
        "notPortalUsers": _is_no_portal_user,
        "accountActive": _unknown_relation,
    },
    "Document": {"active": has_value("status", "Active"), "draft": has_value("status", "Draft")},
    "KnowledgeBaseArticle": {"published": has_value("status", "Published")},
    "Lead": {
        "actual": _LEAD_ACTUAL,
        "active": _LEAD_ACTUAL,
        "converted": has_value("status", "Converted"),
    },
    "Meeting": _ACTIVITY,
    "Note": {"posts": has_value("type", "Post"), "updates": has_value("type", "Update", "Status")},
    "Opportunity": {
        "open": lacks_value("stage", "Closed Won", "Closed Lost"),
        "won": has_value("stage", "Closed Won"),
        "lost": has_value("stage", "Closed Lost"),
    },
    "Task": {
        "actual": _TASK_ACTUAL,
        "completed": _TASK_COMPLETED,
        "deferred": has_value("status", "Deferred"),
        "todays": local_time("today", "dateEnd"),
        "overdue": every(local_time("past", "dateEnd"), lacks_value("status", "Completed", "Canceled")),
        "actualStartingNotInFuture": every(
            _TASK_ACTUAL,
            some(is_null("dateStart"), local_time("past", "dateStart"), local_time("today", "dateStart")),
        ),
    },
    "User": {
        "active": every(_USER_ACTIVE, has_value("type", "regular", "admin")),
        "activePortal": every(_USER_ACTIVE, has_value("type", "portal")),
        "activeApi": every(_USER_ACTIVE, has_value("type", "api")),
        "portal": has_value("type", "portal"),
        "api": has_value("type", "api"),
        "internal": lacks_value("type", "portal", "api", "system"),
    },
}
_BOOL_OF_ALL: Mapping[str, Callable[[SearchContext], Condition | None]] = {
    "onlyMy": _only_my,
    "followed": users_own("Subscription"),
    "shared": linked_with_user("collaborators"),
}
_MY_ACTIVITY = linked_with_user("users", unless_declined=True)
_BOOL: Mapping[str, Mapping[str, Callable[[SearchContext], Condition | None]]] = {
    "Call": {"onlyMy": _MY_ACTIVITY},
    "Case": {"open": _CASE_OPEN},
    "Email": {"onlyMy": linked_with_user("users")},
    "Meeting": {"onlyMy": _MY_ACTIVITY},
    "Task": {"actual": _TASK_ACTUAL, "completed": _TASK_COMPLETED},
    "Team": {"onlyMy": _in_users_teams},
    "User": {"onlyMyTeam": _members_of_users_teams, "onlyMe": _is_user},
}
