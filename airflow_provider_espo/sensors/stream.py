"""Wait for notes in a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.links.espo import EspoRecordLink
from airflow_provider_espo.operators.rendered import whole_number
from airflow_provider_espo.operators.tries import generation
from airflow_provider_espo.sensors.base import EspoSensor, plain_list

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.triggers.base import EspoPollTrigger

_STATE_KEY = "espo_stream_cursor"


class EspoStreamSensor(EspoSensor):
    """Wait until there are new notes in a stream: of a record, of all the user may read, or of what the user follows.

    No note is lost and none is seen twice: notes are told by their number, and each look goes back by ``overlap``
    numbers for notes that became visible late. To go on in the next run exactly where this one ended, keep ``cursor``
    of the result (in an Airflow variable, say) and give it to the next run.

    Without ``cursor`` and ``since_number`` the notes that come after the first look count. With ``mode="reschedule"``
    that needs Airflow 3.3, which keeps the place between the looks.

    :param entity_type: with ``record_id``: the record whose stream is meant. (templated)
    :param record_id: id of that record. (templated)
    :param stream: without a record: ``global`` (default; EspoCRM 8.2 and later, needs the scope in the user's role) or
        ``own``. (templated)
    :param cursor: ``cursor`` of an earlier result, to go on there. (templated)
    :param since_number: without a cursor: notes above this number are new. (templated)
    :param note_types: types, such as ``["Post", "Update"]``. (templated)
    :param parent_types: entity types of the records the notes are about. (templated)
    :param created_by: id of the author. (templated)
    :param text: text that the post contains. (templated)
    :param where: more conditions on attributes of Note, see :mod:`airflow_provider_espo.where`. (templated)
    :param overlap: how many numbers a look goes back.
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between looks when deferrable, ``poke_interval`` by default; 1 or more is meant.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"note_ids", "last_number", "cursor"}``; ``note_ids`` in the order of the numbers.
    :raises AirflowSensorTimeout: no new note within ``timeout`` seconds.
    :raises EspoInputError: a negative number, or one above all there are.
    :raises EspoError: looking failed for good.
    """

    operator_extra_links = (EspoRecordLink(),)
    reads = ("Note",)
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "entity_type",
        "record_id",
        "stream",
        "cursor",
        "since_number",
        "note_types",
        "parent_types",
        "created_by",
        "text",
        "where",
    )
    template_fields_renderers = {"where": "json", "cursor": "json"}

    def __init__(
        self,
        *,
        entity_type: str | None = None,
        record_id: str | None = None,
        stream: Literal["global", "own"] | None = None,
        cursor: Mapping[str, Any] | None = None,
        since_number: int | None = None,
        note_types: Sequence[str] | None = None,
        parent_types: Sequence[str] | None = None,
        created_by: str | None = None,
        text: str | None = None,
        where: Sequence[Mapping[str, Any]] | None = None,
        overlap: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.stream = stream
        self.cursor = cursor
        self.since_number = since_number
        self.note_types = note_types
        self.parent_types = parent_types
        self.created_by = created_by
        self.text = text
        self.where = where
        self.overlap = overlap
        self._place: Mapping[str, Any] | None = None

    def execute(self, context: Context) -> Any:
        """Wait on the worker, or look once and go on waiting in the triggerer."""
        self._place = self._begin(context)
        return super().execute(context)

    def poke(self, context: Context) -> Any:
        """Look once, and keep the place for the next look."""
        looked = super().poke(context)
        if not looked.is_done and (store := compat.task_state_store(context)) is not None:
            store.set(_state_key(context), dict(self._place or {}))
        return looked

    def look(self) -> dict[str, Any] | None:
        """Look once for new notes."""
        from airflow_provider_espo.client.operations.stream import new_notes

        found = self.hook.run(
            new_notes(
                self.hook.state,
                cursor=self._place,
                since_number=whole_number("since_number", self.since_number),
                overlap=self.overlap,
                **self._filters(),
            )
        )
        self._place = found["cursor"]
        return found if found["note_ids"] else None

    def trigger(self, **waiting: Any) -> EspoPollTrigger:
        """Return the trigger that goes on looking.

        :param waiting: the arguments that all such triggers have.
        """
        from airflow_provider_espo.triggers.stream import EspoStreamTrigger

        if self._place is None:
            # The first look failed and is not to matter (silent_fail): there is no place to go on from.
            raise EspoInputError("The stream could not be looked at, so there is no number to wait from")
        filters = {name: value for name, value in self._filters().items() if value is not None}
        return EspoStreamTrigger(cursor=self._place, filters=filters, overlap=self.overlap, **waiting)

    def _begin(self, context: Context) -> Mapping[str, Any] | None:
        """Place kept by an earlier look of this task, or the one given."""
        store = compat.task_state_store(context)
        kept = store.get(_state_key(context)) if store is not None else None
        if isinstance(kept, Mapping):
            return kept
        comes_back = self.mode == "reschedule" and not self.deferrable
        if comes_back and store is None and self.cursor is None and self.since_number is None:
            raise EspoInputError(
                "In mode='reschedule' the sensor does not know from which number to wait",
                hint="Give since_number or cursor, or deferrable=True; Airflow 3.3 keeps the place itself",
            )
        return self.cursor

    def _filters(self) -> dict[str, Any]:
        from airflow_provider_espo.client.where_check import check_where

        return {
            "entity_type": self.entity_type,
            "record_id": self.record_id,
            "stream": self.stream,
            "note_types": plain_list(self.note_types),
            "parent_types": plain_list(self.parent_types),
            "created_by": self.created_by,
            "text": self.text,
            "where": None if self.where is None else check_where(self.where, rendered=True),
        }


def _state_key(context: Context) -> str:
    return f"{_STATE_KEY}_{generation(context)}"
