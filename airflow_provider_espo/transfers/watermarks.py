"""Where Airflow keeps how far an extraction has come: in the state of the task's asset, or else in a Variable."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoInputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.extraction import Question
    from airflow_provider_espo.client.incremental import Watermark

log = logging.getLogger(__name__)

#: Characters of a Variable's name at most.
_LONGEST_KEY = 250

VARIABLE = "variable"


def watermark_key(context: Context, question: Question, by: str) -> str:
    """Return the name under which a task's watermark is kept.

    Tasks on one asset do not mix, nor do the questions of a mapped task; a task that is to extract other records than
    before begins anew.

    :param context: Airflow's context.
    :param question: what is extracted, without a window. The attributes do not count.
    :param by: attribute that the extraction goes by.
    """
    asked = f"{by} {filter_fingerprint(question)}"
    digest = hashlib.sha256(asked.encode()).hexdigest()[:12]
    name = f"espo_watermark__{context['ti'].dag_id}__{context['task'].task_id}"
    if len(name) + len(digest) + 2 > _LONGEST_KEY:
        name = f"espo_watermark__{hashlib.sha256(name.encode()).hexdigest()}"
    return f"{name}__{digest}"


def filter_fingerprint(question: Question) -> str:
    """Return a checksum of which records a question is about, whatever is asked of them.

    :param question: without a window.
    """
    from dataclasses import replace

    return replace(question, search=question.search.with_(select=None), detailed=()).fingerprint()


class WatermarkStore:
    """A watermark and where it is kept.

    :param context: Airflow's context. The asset is the task's first outlet, or else its first inlet.
    :param key: name of the watermark.
    """

    def __init__(self, context: Context, key: str) -> None:
        self.key = key
        found = compat.asset_state_store(context)
        self._store: compat.TaskStateStore
        #: What keeps it: ``asset`` with its name, or ``variable``.
        self.place: str
        if found is None:
            self._store, self.place = compat.VariableStore(), VARIABLE
        else:
            self._store, self.place = found[0], f"asset {found[1]}"

    def read(self, by: str) -> Watermark | None:
        """Return the watermark; ``None`` if there is none yet.

        :param by: attribute that the extraction goes by.
        :raises EspoInputError: something else is kept there.
        """
        from airflow_provider_espo.client.incremental import Watermark

        try:
            known = self._store.get(self.key)
            found = None if known is None else Watermark.from_dict(known, by)
        except (ValueError, EspoInputError):
            example = 1234 if by == "number" else "2026-03-01 00:00:00"
            raise EspoInputError(
                f"What is kept as {self.key} ({self.place}) is no watermark of {by}",
                hint=f"Set it to {json.dumps({'watermark': example})}, or delete it to begin with all records",
            ) from None
        if found is not None:
            log.info("The watermark %s (%s) is at %s", self.key, self.place, found.value)
        return found

    def move(self, watermark: Watermark, by: str) -> bool:
        """Keep a watermark, unless another run has come further.

        :param watermark: how far this run has come; its data must be in place.
        :param by: attribute that the extraction goes by.
        :return: whether it was moved.
        """
        known = self.read(by)
        if known is not None and known.value > watermark.value:  # type: ignore[operator]
            log.warning(
                "The watermark %s stays at %s: another run came further meanwhile. Runs that go by one watermark "
                "should follow each other (max_active_runs=1)",
                self.key,
                known.value,
            )
            return False
        self._store.set(self.key, watermark.as_dict())
        log.info("The watermark %s (%s) is at %s now", self.key, self.place, watermark.value)
        return True
