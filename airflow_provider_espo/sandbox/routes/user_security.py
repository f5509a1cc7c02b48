"""Keys of API users."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.routes.common import need_admin
from airflow_provider_espo.sandbox.user_rules import set_secret

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Context, Router


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/UserSecurity/apiKey/generate", generate_key)


def generate_key(context: Context) -> dict[str, Any]:
    """Give an API user a new key, and a new secret if it signs with one; the old ones are worth nothing then.

    :return: the user, with what is new
    """
    need_admin(context)
    user_id, sandbox = context.body.get("id"), context.sandbox
    if not user_id:
        raise ApiError(400, "")
    entity_def = sandbox.storage.definitions["User"]
    user = sandbox.records.stored(entity_def, str(user_id), context.user)
    if user["type"] != "api":
        raise ApiError(403, "")
    found = {"apiKey": secrets.token_hex(16)}
    sandbox.records.set_values(entity_def, user["id"], found, context.user)
    if user["authMethod"] == "Hmac":
        found["secretKey"] = secrets.token_hex(16)
        set_secret(sandbox.storage, f"secretKey:{user['id']}", found["secretKey"])
    return {**sandbox.records.stored(entity_def, user["id"], context.user), **found}
