"""The session: who one is, what one may do, which server this is; logout; the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.routes.common import need_admin
from airflow_provider_espo.sandbox.routes.metadata import settings_of

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.http import Context, Router
    from airflow_provider_espo.sandbox.users import CurrentUser

HIDDEN_OF_USER = ("apiKey", "authTokenId", "rolesIds", "rolesNames", "deleteId", "passwordVersion")


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/", index)
    router.add("GET", "", index)
    router.add("GET", "/App/user", app_user)
    router.add("GET", "/User/{id}/acl", acl_of_user)
    router.add("GET", "/App/about", about)
    router.add("GET", "/App/appParams", app_params)
    router.add("POST", "/App/destroyAuthToken", destroy_token)


def index(context: Context) -> str:
    """A line that says what this is."""
    return "EspoCRM REST API"


def app_user(context: Context) -> dict[str, Any]:
    """Everything that a client needs to know about its user."""
    sandbox, user = context.sandbox, context.user
    entity_def = sandbox.storage.definitions["User"]
    record = sandbox.serializer.record(entity_def, user.id, user) or {}
    return {
        "user": {name: value for name, value in record.items() if name not in HIDDEN_OF_USER},
        "acl": rights(sandbox, user),
        "preferences": {"id": user.id, "timeZone": "", "dateFormat": "", "language": ""},
        "token": context.token,
        "settings": settings_of(sandbox.storage.settings, full=True),
        "language": sandbox.storage.settings.language,
        "appParams": app_params(context),
    }


def acl_of_user(context: Context) -> dict[str, Any]:
    """The rights of any user, for administrators."""
    need_admin(context)
    try:
        user = context.sandbox.directory.get(context.params["id"])
    except KeyError:
        raise ApiError(404, "") from None
    return rights(context.sandbox, user)


def rights(sandbox: Sandbox, user: CurrentUser) -> dict[str, Any]:
    """The rights table, and the permissions beside it."""
    table: dict[str, Any] = dict(user.rights)
    if user.is_admin:
        for name, entity_def in sandbox.storage.definitions.items():
            if entity_def.acl == "boolean":
                table[name] = True
            else:
                table[name] = {a: "yes" if a == "create" else "all" for a in acl.ACTIONS}
    names = ("assignment", "user", "message", "portal", "export", "massUpdate", "audit", "mention", "lock")
    permissions = {f"{name}Permission": acl.permission(user, name) for name in (*user.permissions, *names)}
    fields = {scope: {f: dict(a) for f, a in found.items()} for scope, found in user.field_rights.items()}
    return {"table": table, "fieldTable": fields, **permissions}


def app_params(context: Context) -> dict[str, Any]:
    """Parameters that are not settings."""
    return {"maxUploadSize": context.sandbox.storage.settings.upload_max_size, "isRestrictedMode": False}


def about(context: Context) -> dict[str, str]:
    """Which server this is."""
    version = context.sandbox.storage.settings.version
    return {"text": "A sandbox that answers as EspoCRM does. It is not EspoCRM.", "version": version}


def destroy_token(context: Context) -> bool:
    """Log out."""
    token = context.body.get("token")
    if not token:
        raise ApiError(400, "No `token`.")
    return context.sandbox.authenticator.destroy_token(str(token))
