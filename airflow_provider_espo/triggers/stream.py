"""Wait for notes in a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_espo.client.operations.stream import new_notes
from airflow_provider_espo.client.stream_cursor import OVERLAP
from airflow_provider_espo.hooks.espo import EspoAsyncHook
from airflow_provider_espo.triggers.base import EspoPollTrigger


class EspoStreamTrigger(EspoPollTrigger):
    """Waits until there are notes that were not there before.

    The success event has ``note_ids``, ``last_number`` and ``cursor``.

    :param espo_conn_id: Airflow connection.
    :param cursor: place in the stream to begin at.
    :param filters: which notes of which stream, as ``EspoHook.list_notes`` takes them.
    :param overlap: how many numbers a look goes back for notes that became visible late.
    :param poll_interval: seconds between looks, give or take a tenth; at least 1.
    :param deadline: when to give up, in seconds since the epoch; ``None`` for never.
    :param silent_fail: go on after any error.
    """

    def __init__(
        self,
        *,
        espo_conn_id: str,
        cursor: Mapping[str, Any],
        filters: Mapping[str, Any],
        overlap: int = OVERLAP,
        poll_interval: float = 60.0,
        deadline: float | None = None,
        silent_fail: bool = False,
    ) -> None:
        super().__init__(
            espo_conn_id=espo_conn_id, poll_interval=poll_interval, deadline=deadline, silent_fail=silent_fail
        )
        self.cursor = cursor
        self.filters = filters
        self.overlap = overlap

    def arguments(self) -> dict[str, Any]:
        """Return the arguments beside those of the base class."""
        return {"cursor": dict(self.cursor), "filters": dict(self.filters), "overlap": self.overlap}

    async def look(self, hook: EspoAsyncHook) -> dict[str, Any] | None:
        """Look once for new notes.

        :param hook: hook over the connection.
        :return: ``{"note_ids", "last_number", "cursor"}``, or ``None`` to go on waiting.
        """
        found = await hook.run(new_notes(await hook.ready(), cursor=self.cursor, overlap=self.overlap, **self.filters))
        # Also where nothing is new, what was seen has to be known to the next look.
        self.cursor = found["cursor"]
        return found if found["note_ids"] else None
