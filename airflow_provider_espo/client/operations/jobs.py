"""EspoCRM's background jobs: mass actions, exports and imports that its cron or daemon carries out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoForbiddenError, EspoInputError
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    Request,
    build_request,
    expect_object,
    record_id_segment,
)

JobKind: TypeAlias = Literal["mass_action", "export", "import"]

_PATHS: Final[Mapping[str, str]] = {
    "mass_action": "MassAction/{id}/status",
    "export": "Export/{id}/status",
    # An import is a record like any other, and has no status route.
    "import": "Import/{id}",
}
_SUCCEEDED: Final = frozenset({"Success", "Complete"})
_FAILED: Final = frozenset({"Failed"})

#: What an answer tells beside the status, under our names.
_FACTS: Final[Mapping[str, Mapping[str, str]]] = {
    "mass_action": {"processedCount": "processed"},
    "export": {"attachmentId": "attachment_id"},
    "import": {"importedCount": "created", "updatedCount": "updated", "duplicateCount": "duplicates"},
}

ONLY_THE_STARTER: Final = (
    "EspoCRM shows a background job's state only to the user who started it: give the connection of that user"
)


def job_status(state: ClientState, kind: JobKind, job_id: str) -> Operation[Record]:
    """Return how far a background job of EspoCRM is.

    EspoCRM shows it only to the user who started the job.

    :param kind: ``mass_action``, ``export`` or ``import``.
    :param job_id: the id that EspoCRM gave when the job was started.
    :return: ``{"id", "kind", "status", "finished", "succeeded"}``, status in EspoCRM's words (``Pending``,
        ``Running``, ``Success``, ``Failed``; of an import ``Pending``, ``In Process``, ``Complete``, ``Failed``).
        Beside these ``processed`` of a mass action, which is 0 until the end; ``attachment_id`` of an export, ``None``
        until the end; ``created``, ``updated`` and ``duplicates`` of an import. A succeeded import may have rows with
        errors.
    :raises EspoNotFoundError: no such job.
    :raises EspoForbiddenError: somebody else started it.
    """
    check_kind(kind)
    outgoing = build_request("GET", _PATHS[kind].format(id=record_id_segment(job_id)))
    try:
        answer = expect_object(outgoing, (yield outgoing))
    except EspoForbiddenError as error:
        # Without a reason it is also what the throttle of failed logins answers, and that has its own hint.
        if type(error) is EspoForbiddenError:
            error.hint = ONLY_THE_STARTER
        raise
    return _told(outgoing, kind, job_id, answer)


def check_kind(kind: object) -> None:
    """Refuse what is no kind of job."""
    if kind not in get_args(JobKind):
        raise EspoInputError(
            f"{kind!r} is no kind of background job" if isinstance(kind, str) else "A job's kind is a name",
            hint=f"Give one of {', '.join(get_args(JobKind))}",
        )


def just_submitted(kind: JobKind, job_id: str) -> Record:
    """Return what :func:`job_status` returns of a job that nobody has asked after yet."""
    return {"id": job_id, "kind": kind, "status": "Pending", "finished": False, "succeeded": False}


def _told(outgoing: Request, kind: JobKind, job_id: str, answer: Mapping[str, Any]) -> Record:
    status = answer.get("status")
    if not isinstance(status, str) or not status:
        raise EspoBadAnswerError("The answer has no status of the job", method=outgoing.method, path=outgoing.path)
    told: Record = {
        "id": job_id,
        "kind": kind,
        "status": status,
        "finished": status in _SUCCEEDED | _FAILED,
        "succeeded": status in _SUCCEEDED,
    }
    return told | {ours: answer.get(theirs) for theirs, ours in _FACTS[kind].items()}


def in_words(job: Mapping[str, Any]) -> str:
    """Say how far a job is, for a log."""
    facts = [f"{job[name]} {name}" for name in ("processed", "created", "updated", "duplicates") if job.get(name)]
    return f"EspoCRM's {str(job['kind']).replace('_', ' ')} {job['id']}: {', '.join([str(job['status']), *facts])}"
