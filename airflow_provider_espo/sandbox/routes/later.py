"""Endpoints that the sandbox does not answer yet, as far as the rights that they need go.

Who lacks the right gets the answer of a real server. Who has it gets 404, as from a server without that
endpoint. A module that builds one of these takes its entry out of here.
"""

from __future__ import annotations

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import Context, Reply, Router, framework_error


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/Webhook", webhook, action="create")


def not_built(context: Context) -> Reply:
    """What a server without the endpoint answers."""
    return framework_error(context.request, [])


def webhook(context: Context) -> Reply:
    """Webhooks are for API users with the scope, and for administrators."""
    if not acl.may(context.user, "Webhook", "create"):
        raise ApiError(403, "No create access.")
    if not context.user.is_api and not context.user.is_admin:
        raise ApiError(403, "No access to 'Webhook'.")
    return not_built(context)
