"""What clients learn about entity types, fields and links, and the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.http import Context, Reply, Router, json_reply
from airflow_provider_espo.sandbox.metadata import entity_metadata, record_metadata, scope_metadata
from airflow_provider_espo.sandbox.routes.common import need_admin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.settings import Settings

#: Links and types that every user may know about, whatever the roles say.
OPEN_TYPES = frozenset({"User", "Team", "Note", "Attachment"})
#: What is true of the application whatever types it has: rights that no role can change.
APP: Mapping[str, Any] = {
    "acl": {"mandatory": {"scopeLevel": {"Portal": {"create": "no", "read": "all", "edit": "no", "delete": "no"}}}}
}


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/Metadata", metadata, action="index")
    router.add("GET", "/Metadata/action/get", metadata_for_admin, action="get")
    router.add("GET", "/Settings", settings, action="index", auth=False)
    router.add("GET", "/Settings/{id}", settings, action="read", auth=False)
    router.add("PUT", "/Settings", change_settings, action="update")


def known_types(context: Context) -> dict[str, EntityDef]:
    """The entity types that the user may know about."""
    user = context.user
    return {
        name: entity_def
        for name, entity_def in context.sandbox.storage.definitions.items()
        if user.is_admin
        or (entity_def.acl == "admin" and name in OPEN_TYPES)
        or any(acl.may(user, name, action) for action in acl.ACTIONS)
    }


def build(context: Context) -> dict[str, Any]:
    """Metadata of the entity types that the user may know about."""
    known, every = known_types(context), context.sandbox.storage.definitions
    return {
        "app": APP,
        "entityDefs": {name: entity_metadata(entity_def, every) for name, entity_def in known.items()},
        "scopes": {name: scope_metadata(entity_def) for name, entity_def in known.items()},
        "recordDefs": {name: record_metadata(entity_def) for name, entity_def in known.items()},
    }


def metadata(context: Context) -> Any:
    """All metadata, or the part that ``key`` names: texts bare, what does not exist as an empty body."""
    found: Any = build(context)
    key = context.request.query_params.get("key")
    return found if not isinstance(key, str) or not key else part(found, key)


def metadata_for_admin(context: Context) -> Any:
    """The same for administrators."""
    need_admin(context)
    return metadata(context)


def part(found: Any, key: str) -> Reply:
    """What a dotted key names."""
    for name in key.split("."):
        if not isinstance(found, dict) or name not in found:
            return Reply(200, b"")
        found = found[name]
    return Reply(200, found.encode()) if isinstance(found, str) else json_reply(found)


def settings_of(settings: Settings, *, full: bool) -> dict[str, Any]:
    """Settings as the API shows them.

    :param full: also those that only users may see
    """
    public: dict[str, Any] = {
        "dateFormat": settings.date_format,
        "timeFormat": settings.time_format,
        "timeZone": settings.time_zone,
        "weekStart": settings.week_start,
        "language": settings.language,
        "applicationName": "EspoCRM",
    }
    if not full:
        return public
    return public | {
        "baseCurrency": settings.base_currency,
        "defaultCurrency": settings.default_currency,
        "currencyList": list(settings.currency_list),
        "currencyRates": dict(settings.currency_rates),
        "currencyNoJoinMode": True,
        "fiscalYearShift": settings.fiscal_year_shift,
        "personNameFormat": settings.person_name_format,
        "phoneNumberInternational": settings.phone_number_international,
        "recordListMaxSizeLimit": settings.list_max_size,
        "globalSearchEntityList": list(settings.global_search_types),
        "attachmentUploadMaxSize": settings.attachment_max_size,
        "massActionIdleCountThreshold": 100,
        "recordsPerPage": 20,
    }


def settings(context: Context) -> dict[str, Any]:
    """Settings that the caller may see; a part of them without a login."""
    return settings_of(context.sandbox.storage.settings, full=bool(context.user.id))


def change_settings(context: Context) -> dict[str, Any]:
    """Settings of a sandbox stand in its options, so that an administrator's change is taken and has no effect."""
    need_admin(context)
    return settings(context)
