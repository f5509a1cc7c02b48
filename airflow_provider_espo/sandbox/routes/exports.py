"""Exports: at once, or as a background job."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import exports
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.exports import ExportOrder

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.http import Context, Router
    from airflow_provider_espo.sandbox.jobs import Checkpoint, Job

KIND = "Export"


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/Export", process)
    router.add("GET", "/Export/{id}/status", status)
    router.add("POST", "/Export/{id}/subscribe", subscribe)


def process(context: Context) -> dict[str, Any]:
    """Export records, or order it with ``idle``."""
    order = ExportOrder.from_body(context.body)
    exports.check(context.sandbox, context.user, order.entity_type)
    if context.body.get("idle"):
        return {"exportId": context.sandbox.jobs.add(KIND, context.user.id, asdict(order))}
    return {"id": exports.export(context.sandbox, context.user, order)}


def own_job(context: Context) -> Job:
    """The export of the path, if it is the user's own.

    :raises ApiError: 403, 404
    """
    job = context.sandbox.jobs.get(KIND, context.params["id"])
    if job is None:
        raise ApiError(404, "")
    if job.user_id != context.user.id:
        raise ApiError(403, "")
    return job


def status(context: Context) -> dict[str, Any]:
    """How far an export is, and its file at the end."""
    job = own_job(context)
    return {"status": job.status, "attachmentId": job.result.get("attachmentId")}


def subscribe(context: Context) -> bool:
    """Ask for a notification at the end; there are none in the sandbox."""
    own_job(context)
    return True


def work(sandbox: Sandbox, job: Job, checkpoint: Checkpoint) -> dict[str, Any]:
    """Do the export of a job."""
    user = sandbox.directory.get(job.user_id)
    return {"attachmentId": exports.export(sandbox, user, ExportOrder(**job.data), checkpoint)}
