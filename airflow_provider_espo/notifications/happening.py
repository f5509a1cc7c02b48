"""What happened in Airflow, as the callbacks of tasks, of DAG runs and of deadlines tell it, each in its own way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: In words, by the state that a task instance has while the callback runs.
_NO_FAILURES = {"running": "started", "success": "succeeded", "skipped": "was skipped"}


@dataclass(frozen=True)
class Happening:
    """What a notifier is called for.

    :param what: in a word or two, such as ``failed``.
    :param dag_id: id of the DAG, empty if Airflow did not say.
    :param run_id: id of the run, empty if Airflow did not say.
    :param task_id: id of the task, ``None`` where the whole run is meant.
    :param map_index: index of a mapped task, ``None`` of others.
    :param try_number: which try it was.
    :param occasion: what tells this from what happens after the task or run was cleared.
    :param since: when the run began.
    :param error: name of the exception's class; never its text, which may hold personal data.
    :param log_url: where Airflow shows the task's log.
    """

    what: str
    dag_id: str
    run_id: str
    task_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None
    occasion: str = ""
    since: datetime | None = None
    error: str | None = None
    log_url: str | None = None

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> Happening:
        """Read what a callback was given.

        :param context: Airflow's context: of a task, of a DAG run (with a ``reason``), or of a missed ``deadline``.
        """
        run = context.get("dag_run")
        ti = context.get("ti") or context.get("task_instance")
        started = _moment(_part(run, "start_date"))
        dag_id = _part(ti, "dag_id") or _part(run, "dag_id") or _part(context.get("dag"), "dag_id")
        run_id = _part(ti, "run_id") or _part(run, "run_id") or _part(run, "dag_run_id") or context.get("run_id")
        known: dict[str, Any] = {"dag_id": str(dag_id or ""), "run_id": str(run_id or ""), "since": started}
        if (deadline := context.get("deadline")) is not None:
            return cls(what="missed its deadline", occasion=f"deadline {_part(deadline, 'id')}", **known)
        if ti is None or "reason" in context:
            # Airflow names the run's last task as well, but it is the run that ended.
            ended = "succeeded" if context.get("reason") == "success" else "failed"
            return cls(what=ended, occasion=f"run {started and started.astimezone(UTC).isoformat()}", **known)
        error = context.get("exception")
        index = _part(ti, "map_index")
        what = _state_in_words(ti, error)
        # Clearing a task moves max_tries, a retry does not. That it began or went well hides no failure.
        occasion = f"task {_part(ti, 'max_tries') or 0}" + ("" if what.startswith("failed") else f" {what}")
        return cls(
            what=what,
            task_id=str(ti.task_id),
            map_index=index if isinstance(index, int) and index >= 0 else None,
            try_number=_part(ti, "try_number"),
            occasion=occasion,
            error=type(error).__name__ if isinstance(error, BaseException) else None,
            log_url=_log_url(ti),
            **known,
        )

    @property
    def marker(self) -> str | None:
        """A text that all reports of this happening have in common and no other has.

        Only letters, digits and ``-``, as EspoCRM's filters take other characters for wildcards. ``None`` where Airflow
        does not say which run it was.
        """
        if not self.dag_id or not self.run_id:
            return None
        parts = (self.dag_id, self.run_id, self.task_id or "", str(self.map_index), self.occasion)
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return f"airflow-{digest[:20]}"

    @property
    def subject(self) -> str:
        """One line on what happened to what."""
        whose = ".".join(part for part in (self.dag_id, self.task_id) if part) or "a run"
        index = "" if self.map_index is None else f" [{self.map_index}]"
        return f"Airflow: {whose}{index} {self.what}"

    @property
    def details(self) -> list[tuple[str, str]]:
        """What else there is to know, each with a name."""
        known = {"Run": self.run_id, "Try": self.try_number, "Error": self.error, "Log": self.log_url}
        return [(name, str(value)) for name, value in known.items() if value]


def _part(whole: Any, name: str) -> Any:
    """Return a part of something that is an object on workers, and plain JSON in the triggerer."""
    return whole.get(name) if isinstance(whole, Mapping) else getattr(whole, name, None)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _state_in_words(ti: Any, error: object) -> str:
    state = str(_part(_part(ti, "state"), "value") or _part(ti, "state") or "")
    if error is None and state in _NO_FAILURES:
        return _NO_FAILURES[state]
    return "failed and will be tried again" if state == "up_for_retry" else "failed"


def _log_url(ti: Any) -> str | None:
    try:
        url = _part(ti, "log_url")
    except Exception:
        # Where Airflow made up the task instance for the callback alone, not all is there that the address needs.
        return None
    return url if isinstance(url, str) else None
