"""Activities of records, the calendar, and who attends a meeting."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl, activities
from airflow_provider_espo.sandbox.addresses import email_book
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.links import relation
from airflow_provider_espo.sandbox.routes.common import entity_of, search_params
from airflow_provider_espo.sandbox.routes.record_routes import list_of
from airflow_provider_espo.sandbox.values import is_date, is_datetime

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Context, Router

#: Longest time that a calendar shows.
LONGEST = dt.timedelta(days=123)
UPCOMING_DAYS = 3
#: What stands for the e-mail address of an attendee who has one.
HIDDEN_ADDRESS = "dummy@dummy.dummy"
LINKS = {"users": "User", "contacts": "Contact", "leads": "Lead"}


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/Activities", calendar)
    router.add("GET", "/Activities/upcoming", upcoming)
    router.add("GET", "/Activities/{parentType}/{id}/{kind}", of_record)
    router.add("GET", "/Activities/{parentType}/{id}/{kind}/list/{controller}", list_type)
    router.add("GET", "/Meeting/{id}/attendees", attendees)
    router.add("GET", "/Call/{id}/attendees", attendees)


def page_of(context: Context) -> tuple[int, int]:
    """Offset and size of the page that is asked for."""
    params = search_params(context)
    return params.offset or 0, params.max_size


def parent_of(context: Context) -> tuple[str, str, str]:
    """Type and id of the path's record, and which of its lists is meant.

    :raises ApiError: 400, 403, 404
    """
    user, sandbox = context.user, context.sandbox
    if not acl.may(user, "Activities", "read"):
        raise ApiError(403, "")
    kind = context.params["kind"]
    if kind not in activities.TYPES:
        raise ApiError(400, "")
    entity_def = sandbox.storage.definitions.find(context.params["parentType"])
    if entity_def is None or not sandbox.exists(entity_def, context.params["id"]):
        raise ApiError(404, "")
    if not acl.may_on(sandbox.storage, user, entity_def, context.params["id"], "read"):
        raise ApiError(403, "")
    return entity_def.name, context.params["id"], kind


def of_record(context: Context) -> dict[str, Any]:
    """What is to be done with a record, or has been."""
    entity_type, record_id, kind = parent_of(context)
    storage = context.sandbox.storage
    total, found = activities.of_record(storage, context.user, (entity_type, record_id), kind, page_of(context))
    return {"total": total, "list": found}


def list_type(context: Context) -> dict[str, Any]:
    """The same of one type only, as a plain list of records."""
    entity_type, record_id, kind = parent_of(context)
    entity_def = entity_of(context)
    if entity_def.name not in activities.TYPES[kind]:
        raise ApiError(400, "")
    if not acl.may(context.user, entity_def.name, "read"):
        raise ApiError(403, "")
    conditions = [
        activities.near_condition(context.sandbox.storage, entity_def.name, entity_type, record_id),
        activities.state_condition(entity_def.name, kind),
    ]
    if restriction := acl.restriction(context.user, entity_def):
        conditions.append(restriction)
    return list_of(context, entity_def, conditions)


def scopes_of(context: Context, name: str) -> list[str]:
    """Types that a query asks for, as far as the user may read them."""
    given = context.request.query_params.get(name)
    wanted = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else activities.CALENDAR
    return [scope for scope in activities.CALENDAR if scope in wanted and acl.may(context.user, scope, "read")]


def calendar(context: Context) -> list[dict[str, Any]]:
    """What a user has to do within a time."""
    query = context.request.query_params
    start, end = query.get("from"), query.get("to")
    if not isinstance(start, str) or not isinstance(end, str) or not start or not end:
        raise ApiError(400, "")
    if not acl.may(context.user, "Calendar", "read"):
        raise ApiError(403, "")
    times = tuple(f"{time} 00:00:00" if is_date(time) else time for time in (start, end))
    if not all(is_datetime(time) for time in times):
        raise ApiError(400, "")
    if dt.datetime.fromisoformat(times[1]) - dt.datetime.fromisoformat(times[0]) > LONGEST:
        raise ApiError(403, "Too long range.")
    user_id = query.get("userId") or context.user.id
    if user_id != context.user.id and acl.permission(context.user, "userCalendar") == "no":
        raise ApiError(403, "")
    scopes = scopes_of(context, "scopeList")
    return activities.calendar(context.sandbox.storage, str(user_id), scopes, (times[0], times[1]))


def upcoming(context: Context) -> dict[str, Any]:
    """What the user has to do next."""
    if not acl.may(context.user, "Activities", "read"):
        raise ApiError(403, "")
    days = context.request.query_params.get("futureDays")
    count = int(days) if isinstance(days, str) and days.isdigit() else UPCOMING_DAYS
    scopes = scopes_of(context, "entityTypeList")
    total, found = activities.upcoming(context.sandbox.storage, context.user, scopes, count, page_of(context))
    return {"total": total, "list": found}


def attendees(context: Context) -> dict[str, Any]:
    """Who attends a meeting or call, and what they said to it. Addresses are not told."""
    entity_type = context.request.path.split("/")[1]
    storage = context.sandbox.storage
    context.sandbox.records.read(storage.definitions[entity_type], context.params["id"], context.user)
    found = []
    for link_name, other in LINKS.items():
        for item in relation(storage, entity_type, link_name, context.params["id"]).items():
            has_address = bool(email_book(storage).load(other, item["id"]))
            found.append(
                {
                    "id": item["id"],
                    "name": item["name"],
                    "emailAddress": HIDDEN_ADDRESS if has_address else None,
                    "acceptanceStatus": item["columns"].get("status"),
                    "_scope": other,
                }
            )
    return {"list": found}
