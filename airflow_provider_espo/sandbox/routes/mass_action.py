"""Mass actions: done at once, or as a background job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import CRASH
from airflow_provider_espo.sandbox.jobs import SUCCESS, Checkpoint, Job
from airflow_provider_espo.sandbox.mass_actions import Chosen, Order, run, run_later
from airflow_provider_espo.sandbox.routes.common import accessible_type

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.http import Context, Router

KIND = "MassAction"


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/MassAction", process)
    router.add("GET", "/MassAction/{id}/status", status)
    router.add("POST", "/MassAction/{id}/subscribe", subscribe)


def process(context: Context) -> dict[str, Any]:
    """Do a mass action, or with ``idle`` only order it: then nothing but the form of the request is looked at."""
    body = context.body
    entity_type, action, params = body.get("entityType"), body.get("action"), body.get("params")
    data = body.get("data")
    data = {} if data is None else data
    if not entity_type or not action or (not params and params != {}):
        raise ApiError(400, "")
    if not isinstance(params, dict) or not isinstance(data, dict):
        raise ApiError(500, body=CRASH)
    chosen = Chosen.from_params(params)
    entity_def = accessible_type(context, str(entity_type))
    if body.get("idle"):
        order: dict[str, Any] = {"entityType": entity_def.name, "action": str(action), "data": data}
        order |= {"ids": chosen.ids, "search": chosen.search}
        return {"id": context.sandbox.jobs.add(KIND, context.user.id, order)}
    done = run(str(action), Order(context.sandbox, entity_def, context.user, chosen, data))
    return {"count": len(done), **({"ids": done} if chosen.ids is not None else {})}


def own_job(context: Context) -> Job:
    """The job of the path, if it is the user's own.

    :raises ApiError: 403, 404
    """
    job = context.sandbox.jobs.get(KIND, context.params["id"])
    if job is None:
        raise ApiError(404, "")
    if job.user_id != context.user.id:
        raise ApiError(403, "")
    return job


def status(context: Context) -> dict[str, Any]:
    """How far a job is. The number of records is known only at its end."""
    job = own_job(context)
    return {"status": job.status, "processedCount": job.result.get("count", 0) if job.status == SUCCESS else 0}


def subscribe(context: Context) -> bool:
    """Ask for a notification at the end of a job; there are none in the sandbox."""
    own_job(context)
    return True


def work(sandbox: Sandbox, job: Job, checkpoint: Checkpoint) -> dict[str, Any]:
    """Do the work of a job."""
    return {"count": run_later(sandbox, job.data, job.user_id, checkpoint)}
