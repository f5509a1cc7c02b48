"""What answers which path. Each module registers its own routes, :func:`register_all` all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.routes import (
    action,
    actions,
    activities,
    admin,
    app,
    attachments,
    currency,
    emails,
    exports,
    follow,
    global_search,
    i18n,
    imports,
    mass_action,
    metadata,
    notes,
    open_api,
    record_routes,
    related,
    streams,
    target_list,
    user_security,
)

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.http import Router
    from airflow_provider_espo.sandbox.jobs import Checkpoint, Job

#: Does a background job of a kind, see ``jobs.py``.
JobKind = Callable[["Sandbox", "Job", "Checkpoint"], Mapping[str, Any] | None]
JOB_KINDS: Mapping[str, JobKind] = {
    mass_action.KIND: mass_action.work,
    exports.KIND: exports.work,
    imports.KIND: imports.work,
}


def register_all(router: Router) -> None:
    """Register every route. Of two that fit a path the earlier one answers, so the general ones come last."""
    for module in (
        app,
        metadata,
        currency,
        admin,
        user_security,
        mass_action,
        action,
        attachments,
        emails,
        exports,
        imports,
        activities,
        global_search,
        i18n,
        open_api,
        follow,
        streams,
        notes,
        actions,
        target_list,
        record_routes,
        related,
    ):
        module.register(router)
