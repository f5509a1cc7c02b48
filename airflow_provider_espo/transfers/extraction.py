"""What transfers out of EspoCRM have in common: which records, which of them since the last run, and in which parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_espo.client.errors import EspoError, EspoInputError
from airflow_provider_espo.links.espo import EspoListLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.rendered import whole_number

if TYPE_CHECKING:
    from airflow_provider_espo.client.extraction import Halt, PageSink, Part, Question
    from airflow_provider_espo.client.incremental import IncrementalBy, Value, Window
    from airflow_provider_espo.client.operations.listing import Filters
    from airflow_provider_espo.client.schema import EntitySchema
    from airflow_provider_espo.client.wire import FileOperation
    from airflow_provider_espo.hooks.espo import EspoHook

T = TypeVar("T")

#: Pages that a part has at least, unless its author says how many parts there are: fewer pay for no plan.
PAGES_OF_A_PART = 10

#: Parts of one task at most: each may have a file open.
MAX_PARTS = 100


class FilteringOperator(EspoOperator):
    """Base of transfers that say which records are meant.

    :param entity_type: such as ``Lead``.
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold.
    :param primary_filter: one of EspoCRM's filters, such as ``actual``.
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``.
    :param text_filter: text to search for, as in EspoCRM's search box.
    :param page_size: records a request, the connection's by default.
    """

    operator_extra_links = (EspoListLink(),)
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "entity_type",
        "where",
        "primary_filter",
        "bool_filters",
        "text_filter",
        "page_size",
    )
    template_fields_renderers = {"where": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        page_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.where = where
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.page_size = page_size

    def ask(self, hook: EspoHook, select: Sequence[str] | None = None) -> tuple[Question, EntitySchema]:
        """Check what is to be extracted against the server, before anything else is done.

        :param hook: hook over the connection.
        :param select: attributes.
        :raises EspoInputError: a malformed filter.
        :raises EspoUnknownNameError: the server does not have the entity type or a name in ``select``.
        """
        from airflow_provider_espo.client.operations.extract import ask

        return hook.run(ask(hook.state, self.entity_type, select=select, page_size=self._page_size(), **self.filters()))

    def filters(self) -> Filters:
        """Return which records are meant."""
        return {
            "where": self.where,
            "primary_filter": self.primary_filter,
            "bool_filters": self.bool_filters,
            "text_filter": self.text_filter,
        }

    def _page_size(self) -> int | None:
        from airflow_provider_espo.client.config import MAX_PAGE_SIZE

        size = whole_number("page_size", self.page_size)
        if size is not None and not 1 <= size <= MAX_PAGE_SIZE:
            raise EspoInputError(f"page_size is {size}; EspoCRM allows 1 to {MAX_PAGE_SIZE}")
        return size


class SelectingOperator(FilteringOperator):
    """Base of transfers that say which records are meant, all or those of a window.

    :param incremental_by: only what is new by this attribute since the last run: ``modifiedAt``, ``createdAt`` or
        ``number``.
    :param lag: how far a window goes back behind the end of the last one: seconds or a ``timedelta``, five minutes by
        default; for ``number`` how many numbers, 100 by default.
    :param start: with ``incremental_by``: the window begins with this value, and no watermark is used.
    :param end: with ``incremental_by``: the window ends before this value, and no watermark is used.
    :param watermark_key: name under which the watermark is kept, by default made of DAG, task and question.
    """

    template_fields: Sequence[str] = (*FilteringOperator.template_fields, "start", "end", "watermark_key")

    def __init__(
        self,
        *,
        incremental_by: IncrementalBy | None = None,
        lag: timedelta | float | None = None,
        start: datetime | str | int | None = None,
        end: datetime | str | int | None = None,
        watermark_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.incremental_by = incremental_by
        self.lag = lag
        self.start = start
        self.end = end
        self.watermark_key = watermark_key

    @property
    def keeps_watermark(self) -> bool:
        """Whether each run goes on where the last one ended."""
        return self.incremental_by is not None and self.start is None and self.end is None

    def ask(self, hook: EspoHook, select: Sequence[str] | None = None) -> tuple[Question, EntitySchema]:
        """Check what is to be extracted against the server, before anything else is done.

        :param hook: hook over the connection.
        :param select: attributes; those that tell of changes come along.
        :raises EspoInputError: a malformed filter, or an attribute in ``incremental_by`` that does not do.
        :raises EspoUnknownNameError: the server does not have the entity type or a name in ``select``.
        """
        from airflow_provider_espo.client.incremental import check_incremental
        from airflow_provider_espo.client.operations.windows import check_attribute

        check_incremental(self.incremental_by, self.lag)
        if self.incremental_by is None and (self.start is not None or self.end is not None):
            raise EspoInputError("start and end are values of no attribute", hint="Give incremental_by")
        question, schema = super().ask(hook, select)
        if self.incremental_by is not None:
            check_attribute(schema, self.incremental_by)
            question = question.with_attribute(self.incremental_by)
        return question, schema

    def window(self, hook: EspoHook, question: Question, last: Value | None = None) -> Window | None:
        """Return the window of this run; ``None`` where all records are meant.

        Asks EspoCRM for its time, and whether it orders by the attribute.

        :param hook: hook over the connection.
        :param question: from :meth:`ask`.
        :param last: the watermark; ``None`` if there is none yet.
        :raises EspoInputError: EspoCRM does not order by the attribute or does not show it, or a bound is none; or the
            watermark is ahead of the server's clock.
        """
        from airflow_provider_espo.client.incremental import bounded_window, check_not_ahead, lag_of, next_window
        from airflow_provider_espo.client.operations.windows import upper_bound

        if self.incremental_by is None:
            return None
        bounded = None if self.keeps_watermark else bounded_window(self.incremental_by, self.start, self.end)
        upper = hook.run(upper_bound(hook.state, question, self.incremental_by))
        if bounded is not None:
            return bounded
        lag = lag_of(self.incremental_by, self.lag)
        if last is not None:
            check_not_ahead(self.incremental_by, lag, last, upper)
        return next_window(self.incremental_by, lag, last, upper)


class ExtractionOperator(SelectingOperator):
    """Base of transfers that read the records, range by range of their ids, side by side.

    :param select: attributes to extract, by default all that the entity type itself holds.
    :param parts: ranges that are read side by side, by default two for each of the connection's ``max_workers``.
    :param partition: one of the dicts that :class:`EspoPlanPartitionsOperator` returned, for a mapped task.
    """

    # To plan and to complete reads no records.
    reads = ("entity_type",)
    template_fields: Sequence[str] = (*SelectingOperator.template_fields, "select", "parts", "partition")

    def __init__(
        self,
        *,
        select: Sequence[str] | None = None,
        parts: int | None = None,
        partition: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.select = select
        self.parts = parts
        self.partition = partition
        self._killed = False
        self._halt: Halt | None = None

    def plan(self, hook: EspoHook, question: Question, within: Part | None = None) -> list[Part]:
        """Cut the records into the ranges that this task reads side by side.

        :param hook: hook over the connection.
        :param question: what is extracted, with its window.
        :param within: range to cut, for a mapped task.
        :raises EspoInputError: no sensible number of parts.
        """
        from airflow_provider_espo.client.extraction import Part as WholePart

        number = self._parts()
        if number == 1:
            whole = within or WholePart()
            return [WholePart(after=whole.after, up_to=whole.up_to, expected=whole.expected)]
        wanted = 2 * hook.config.max_workers if number is None else number
        least = PAGES_OF_A_PART * question.page_size if number is None else 1
        return cut_into_parts(hook, question, min(wanted, MAX_PARTS), within=within, least_records=least)

    def ask(self, hook: EspoHook, select: Sequence[str] | None = None) -> tuple[Question, EntitySchema]:
        """Check what is to be extracted, and in how many parts, before anything else is done.

        :param hook: hook over the connection.
        :param select: attributes; those that tell of changes come along.
        :raises EspoInputError: no sensible number of parts, or as of the method above.
        :raises EspoUnknownNameError: the server does not have the entity type or a name in ``select``.
        """
        self._parts()
        return super().ask(hook, select)

    def _parts(self) -> int | None:
        number = whole_number("parts", self.parts)
        if number is not None and not 1 <= number <= MAX_PARTS:
            raise EspoInputError(
                f"parts is {number}; a task has 1 to {MAX_PARTS}", hint="EspoPlanPartitionsOperator makes more tasks"
            )
        return number

    def run_parts(
        self,
        hook: EspoHook,
        question: Question,
        parts: Sequence[Part],
        sink_of: Callable[[Part], PageSink],
        after: Mapping[int, str | None] | None = None,
    ) -> None:
        """Read parts side by side, each into a sink of its own. If one fails all end, and what came first is raised.

        :param hook: hook over the connection.
        :param question: what is extracted, with its window.
        :param parts: ranges that are left to be read.
        :param sink_of: makes the sink of a part, when its turn comes.
        :param after: by a part's number, the id up to which an earlier try has stored everything.
        :raises EspoError: what EspoCRM answered, or a sink could not store.
        """
        from airflow_provider_espo.client.extraction import Halt as OneForAll
        from airflow_provider_espo.client.operations.extract import extract_part

        halt = OneForAll()

        def walks() -> Iterator[FileOperation[bool]]:
            for part in parts:
                if halt.called:
                    return
                yield extract_part(question, part, sink_of(part), after=(after or {}).get(part.number), halt=halt)

        self._halt = halt
        if self._killed:
            halt.call()
        try:
            outcomes = list(hook.run_many(walks()))
        finally:
            self._halt = None
        failures = [outcome for outcome in outcomes if isinstance(outcome, EspoError)]
        if failures:
            raise failures[0]
        if len(outcomes) < len(parts) or not all(outcomes):
            raise EspoError("The task was killed before all records were read", hint="A retry goes on where it ended")

    def on_kill(self) -> None:
        """Let the walks end before their next page."""
        self._killed = True
        if self._halt is not None:
            self._halt.call()


def cut_into_parts(
    hook: EspoHook, question: Question, parts: int, *, within: Part | None = None, least_records: int
) -> list[Part]:
    """Cut the records that match into parts of equal size; the borders are looked for side by side.

    :param hook: hook over the connection.
    :param question: what records are meant.
    :param parts: how many parts at most.
    :param within: range to cut further.
    :param least_records: records that a part has at least.
    :raises EspoError: what EspoCRM answered.
    """
    from airflow_provider_espo.client.operations.partitions import Planning

    planning = Planning(question, parts, within=within, least_records=least_records)
    hook.run(planning.count())
    return planning.cut(_or_raise(list(hook.run_many(planning.borders()))))


def _or_raise(outcomes: Iterable[T | EspoError]) -> Iterator[T]:
    """Give results; raise the first error among them."""
    for outcome in outcomes:
        if isinstance(outcome, EspoError):
            raise outcome
        yield outcome
