"""What all tasks of this provider have in common."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.hooks.espo import EspoHook


class EspoTask:
    """A task that works over an EspoCRM connection: mixed into operators and sensors.

    A class says in :attr:`reads` and :attr:`writes` which entity types it is about. What follows from that, lineage and
    counts in asset events, is done here for all.
    """

    espo_conn_id: str

    #: Entity types whose records the task reads: names of attributes that hold one (``entity_type``; ``link`` stands
    #: for what is at its other end), or an entity type itself (``Note``).
    reads: ClassVar[tuple[str, ...]] = ()

    #: Entity types whose records the task writes, in the same way.
    writes: ClassVar[tuple[str, ...]] = ()

    #: Entity types that the task writes in some cases only: otherwise their outlets are told that it was none.
    may_write: ClassVar[tuple[str, ...]] = ()

    #: Names of attributes that hold the path of a file that the task reads.
    reads_files: ClassVar[tuple[str, ...]] = ()

    #: Names of attributes that hold the path of a file that the task writes.
    writes_files: ClassVar[tuple[str, ...]] = ()

    #: Tables of databases that the task has written, in OpenLineage's words: set while it runs.
    tables_written: Sequence[Mapping[str, str]] = ()

    #: Whether the result is a small dict, whose parts downstream tasks take one by one: ``task.output["id"]``.
    result_has_parts: ClassVar[bool] = False

    #: What is known of the result since the task is done: numbers, ids, paths; no values of records.
    facts: Mapping[str, Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Airflow hands a result to nobody but XCom, so it is taken where it is returned, on either way there.
        for name in ("execute", "execute_complete"):
            if (method := vars(cls).get(name)) is not None:
                setattr(cls, name, _noting(method))

    @cached_property
    def hook(self) -> EspoHook:
        """The hook over the task's connection."""
        # Imported here, so that a DAG file is parsed without the client.
        from airflow_provider_espo.hooks.espo import EspoHook

        return EspoHook(self.espo_conn_id)

    def close_hook(self) -> None:
        """Close the hook, if it was used: a connection that logs in leaves no token behind in EspoCRM."""
        hook = vars(self).get("hook")
        if hook is not None:
            hook.close()

    def records_written(self) -> dict[str, dict[str, int]]:
        """Return by entity type what was done to how many records; no numbers as long as the task is not done."""
        from airflow_provider_espo.operators import lineage

        counts = {} if self.facts is None else lineage.counts_of(self.facts)
        return dict.fromkeys(lineage.entity_types(self, self.writes), counts)

    def record_shown(self) -> tuple[str | None, str | None]:
        """Return entity type and id of the record that the task's link opens."""
        facts = self.facts or {}
        return getattr(self, "entity_type", None), facts.get("id") or getattr(self, "record_id", None)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> Any:
        """Return the datasets that the task read and wrote, for Airflow's OpenLineage provider.

        :param task_instance: the task instance.
        """
        from airflow_provider_espo.operators import lineage

        return lineage.facets(self)

    def note_result(self, context: Context, result: object) -> None:
        """Take what links and lineage need from the result, and tell the outlets.

        :param context: Airflow's context.
        :param result: what the task returns.
        """
        from airflow_provider_espo.operators import lineage

        facts = lineage.facts_of(result, is_record=not self.result_has_parts)
        if facts or self.facts is None:
            # A class derived from ours may return what it likes: what ours has done is known by then.
            self.facts = facts
        try:
            lineage.tell_outlets(self, context)
        except Exception:
            # The work is done: a failure now would have it done again.
            logging.getLogger(__name__).exception("The outlets' events go without counts")
        with suppress(Exception):
            # A task that comes back from the triggerer may not have asked its hook for anything, and when OpenLineage
            # asks it is too late to ask Airflow.
            _ = self.hook.config


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def noting(self: EspoTask, context: Context, *args: Any, **kwargs: Any) -> Any:
        result = method(self, context, *args, **kwargs)
        self.note_result(context, result)
        return result

    return noting


class EspoOperator(EspoTask, BaseOperator):
    """Base of this provider's operators.

    :param espo_conn_id: id of the Airflow connection, of type *EspoCRM*.
    """

    ui_color = "#e8eef7"

    def __init__(self, *, espo_conn_id: str = "espo_default", **kwargs: Any) -> None:
        kwargs.setdefault("multiple_outputs", self.result_has_parts)
        super().__init__(**kwargs)
        self.espo_conn_id = espo_conn_id
