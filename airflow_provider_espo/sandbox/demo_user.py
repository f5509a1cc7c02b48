"""A sales person who answers new leads: some seconds after a lead came in over the API it is taken."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.change import Change

log = logging.getLogger(__name__)

USER_NAME = "sales"


class DemoUser:
    """Assigns new leads to the sales user, as a change that this user makes.

    :param answer_after: seconds between the creation of a lead and the answer
    :param clock: monotonic seconds
    """

    def __init__(self, sandbox: Sandbox, answer_after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._sandbox = sandbox
        self._answer_after = answer_after
        self._clock = clock
        self._due: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch for new leads."""
        self._sandbox.records.listeners.append(self.noticed)
        self._thread = threading.Thread(target=self._run, name="espo-sandbox-demo-user", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go home. Leads that wait stay as they are."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        # It is not alive if the sandbox was interrupted just as it was to start.
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
            self._thread = None

    def noticed(self, what: str, change: Change) -> None:
        """To be told of every change of a record."""
        if what == "create" and change.entity_def.name == "Lead" and change.values.get("status") == "New":
            with self._changed:
                heapq.heappush(self._due, (self._clock() + self._answer_after, change.id))
                self._changed.notify_all()

    def answer_due(self) -> int:
        """Answer the leads whose time has come.

        :return: how many were answered
        """
        with self._changed:
            now = self._clock()
            ids = []
            while self._due and self._due[0][0] <= now:
                ids.append(heapq.heappop(self._due)[1])
        return sum(self._answer(lead_id) for lead_id in ids)

    def _answer(self, lead_id: str) -> bool:
        storage = self._sandbox.storage
        user = self._sandbox.directory.by_name(USER_NAME)
        status = storage.value('SELECT status FROM "Lead" WHERE id = ? AND deleted = 0', [lead_id])
        if user is None or status != "New":
            return False
        try:
            values = {"status": "Assigned", "assignedUserId": user.id}
            self._sandbox.records.update(storage.definitions["Lead"], lead_id, values, user)
        except ApiError as error:
            log.warning("lead %s was not answered: %s", lead_id, error)
            return False
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                wait = self._due[0][0] - self._clock() if self._due else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
            self.answer_due()
