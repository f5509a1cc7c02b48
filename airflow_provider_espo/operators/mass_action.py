"""One action on many records: update, delete, convert currencies, follow, lock and whatever EspoCRM has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoJobError
from airflow_provider_espo.links.espo import EspoJobLink, EspoListLink
from airflow_provider_espo.operators.durable import DurableJobOperator, JobMemory
from airflow_provider_espo.operators.rendered import whole_number

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.operations.mass_work import MassAction
    from airflow_provider_espo.hooks.espo import EspoHook

#: Ids that are kept between tries, next to what else Airflow stores for a task.
_IDS_TO_REMEMBER = 1000

_WHAT_FIELDS = ("espo_conn_id", "entity_type")
_WHICH_FIELDS = (
    "ids",
    "where",
    "primary_filter",
    "bool_filters",
    "text_filter",
    "max_records",
    "dry_run",
)


class _MassOperator(DurableJobOperator):
    """What all mass actions share."""

    operator_extra_links = (EspoListLink(), EspoJobLink())
    writes = ("entity_type",)
    result_has_parts = True
    job_kind = "mass_action"
    template_fields: Sequence[str] = (*_WHAT_FIELDS, *_WHICH_FIELDS)
    template_fields_renderers = {"where": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        ids: str | Sequence[str] | None = None,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        all_records: bool = False,
        max_records: int | None = None,
        dry_run: bool = False,
        background: bool = False,
        on_shortfall: Literal["fail", "warn"] = "fail",
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.ids = ids
        self.where = where
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.all_records = all_records
        self.max_records = max_records
        # BaseOperator has a method of the name dry_run, which nothing calls on a worker.
        self.dry_run = dry_run  # type: ignore[assignment, method-assign]
        self.background = background
        self.on_shortfall = on_shortfall
        self.validate = validate

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry the action out, or submit it and wait."""
        result: dict[str, Any]
        if _flag("dry_run", self.dry_run):
            with self.hook as hook:
                work = self._work(hook)
                hook.run(work.check())
                result = hook.run(work.rehearsed(hook.run(work.look())))
            self.log.info("Dry run: %s would be done to %d records", self._in_words(), result["count"])
            return result
        result = self.run_job(context) if self.background else self._at_once(context)
        return result

    @property
    def job_is_repeatable(self) -> bool:
        """Whether doing it twice is doing it once."""
        return True

    def prepare_job(self, hook: EspoHook, memory: JobMemory) -> bool:
        """Check everything and count the records.

        :param hook: hook over the connection.
        :param memory: gets the count, and the ids where they are few.
        :return: ``False`` where there are none, or where an earlier try's job whose id got lost has done its work.
        """
        work = self._work(hook)
        hook.run(work.check())
        lost = memory.notes
        if lost:
            meant = work.targets.ids or lost.get("ids") or ()
            if hook.run(work.is_done(meant)):
                self.log.info("The records show that the job of an earlier try has done its work")
                memory.notes = {**lost, "done": len(meant)}
                return False
        seen = hook.run(work.look())
        # Ids that were given are there in each try anyway.
        known = list(seen.ids) if work.targets.ids is None and seen.complete else []
        memory.notes = {"expected": seen.count, "ids": known}
        return seen.count > 0

    def submit_job(self, hook: EspoHook, memory: JobMemory) -> str:
        """Submit the background job.

        :param hook: hook over the connection.
        :param memory: what was counted.
        """
        return hook.run(self._work(hook).start())

    def job_result(self, hook: EspoHook, job: Mapping[str, Any] | None, memory: JobMemory) -> dict[str, Any]:
        """Compare what the job did with what should have been done.

        :param hook: hook over the connection.
        :param job: the finished job, ``None`` where none was needed.
        :param memory: what was counted.
        """
        from airflow_provider_espo.client.operations.mass_targets import Seen

        work = self._work(hook)
        hook.run(work.learn_effect())
        known = work.targets.ids if work.targets.ids is not None else tuple(memory.notes.get("ids") or ())
        expected = int(memory.notes.get("expected") or 0)
        if job is None:
            return self._told(work.result(Seen(expected, known), int(memory.notes.get("done") or 0), None))
        processed = int(job.get("processed") or 0)
        # Nothing was handed on from before the wait: then there is nothing to compare with but ids that were given.
        expected = expected or len(work.targets.ids or ()) or processed
        result = hook.run(work.compared(Seen(expected, known), processed))
        return self._told({**result, "job_id": job["id"]})

    @abstractmethod
    def _action(self) -> str:
        """Name of the action."""

    @abstractmethod
    def _data(self) -> Mapping[str, Any] | None:
        """What the action needs."""

    def _at_once(self, context: Context) -> dict[str, Any]:
        from airflow_provider_espo.client.errors import EspoShortfallError
        from airflow_provider_espo.client.retry import outcome_is_unknown

        memory = JobMemory(context, self.job_kind)
        if isinstance(done := memory.notes.get("result"), dict):
            self.log.info("An earlier try has done it")
            return done
        if memory.since is not None and not self.job_is_repeatable:
            raise EspoJobError(
                f"An earlier try may have carried out {self._in_words()}, and to do it twice could do harm",
                kind=self.job_kind,
                hint="Look into EspoCRM; then clear the task to do it anew, mark it, or set repeatable=True",
            )
        with self.hook as hook:
            work = self._work(hook)
            hook.run(work.check())
            seen = hook.run(work.look())
            if not seen.count:
                return self._told(work.result(seen, 0, ()))
            memory.begin()
            self._submitting = True
            try:
                result = self._told(hook.run(work.carry_out(seen, self._stop_amid)))
            except EspoError as error:
                if not (outcome_is_unknown(error) or error.outcomes or isinstance(error, EspoShortfallError)):
                    memory.forget()
                raise
            if len(result.get("ids") or ()) <= _IDS_TO_REMEMBER:
                memory.remember(result=result)
        return result

    def _stop_amid(self) -> None:
        if self._killed:
            raise EspoJobError(f"The task was killed amid {self._in_words()}", kind=self.job_kind)

    def _work(self, hook: EspoHook) -> MassAction:
        from airflow_provider_espo.client.operations.mass_work import MassAction

        return MassAction(
            hook.state,
            self.entity_type,
            self._action(),
            self._data(),
            {
                "ids": self.ids,
                "where": self.where,
                "primary_filter": self.primary_filter,
                "bool_filters": self.bool_filters,
                "text_filter": self.text_filter,
                "all_records": self.all_records,
                "max_records": whole_number("max_records", self.max_records),
                "background": self.background,
                "on_shortfall": self.on_shortfall,
                "validate": self.validate,
            },
        )

    def _told(self, result: dict[str, Any]) -> dict[str, Any]:
        self.log.info("%s: done to %d of %d records", self._in_words(), result["count"], result["expected"])
        if skipped := result.get("skipped_ids"):
            self.log.warning("EspoCRM skipped %d records without a word: %s", len(skipped), ", ".join(skipped[:20]))
        return result

    def _in_words(self) -> str:
        return f"{self._action()} of {self.entity_type}"


class EspoMassUpdateOperator(_MassOperator):
    """Set the same values in many records, given by ids or by a filter.

    Safe to retry: it sets the values again. EspoCRM moves ``modifiedAt`` of every record that is meant and fires
    webhooks, also of those that have the values already.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param attributes: values by attribute name. (templated)
    :param link_actions: what to do with the ids of an attribute such as ``teamsIds``: ``{"teamsIds": "add"}`` or
        ``remove``; otherwise they replace those that are there. (templated)
    :param ids: ids of the records; an empty list does nothing. (templated)
    :param where: instead of ids: list of items as of :mod:`airflow_provider_espo.where`. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param all_records: ``True`` to mean every record; otherwise a filter that leaves none out is refused.
    :param max_records: do nothing and fail if more records than this are meant. (templated)
    :param dry_run: change nothing, return the count and at most 100 ids. (templated)
    :param background: have EspoCRM do it in a background job and wait for it; for large sets.
    :param on_shortfall: ``fail`` when EspoCRM changed fewer records than it should have, or ``warn``.
    :param deferrable: wait for the background job in the triggerer; by default as ``[operators] default_deferrable``
        says.
    :param poll_interval: seconds between looks at the background job.
    :param job_timeout: seconds that a try waits for the background job; ``None`` for as long as it takes.
    :param validate: check attributes and rights before anything is written.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"count", "expected"}``: records that were changed, and that should have been; and ``ids`` or
        ``skipped_ids`` where known, ``job_id`` of a background job. A dry run returns ``{"count", "ids", "dry_run"}``.
    :raises EspoInputError: no ids and no filter, a filter that leaves no record out, more than ``max_records``.
    :raises EspoShortfallError: fewer records were changed than should have been.
    :raises EspoJobError: the background job failed, or did not end in time.
    """

    template_fields: Sequence[str] = (*_WHAT_FIELDS, "attributes", "link_actions", *_WHICH_FIELDS)
    template_fields_renderers = {"where": "json", "attributes": "json", "link_actions": "json"}

    def __init__(
        self,
        *,
        attributes: Mapping[str, Any],
        link_actions: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.attributes = attributes
        self.link_actions = link_actions

    def _action(self) -> str:
        return "update"

    def _data(self) -> Mapping[str, Any]:
        from airflow_provider_espo.client.operations.mass_action import update_data

        return update_data(self.attributes, self.link_actions)


class EspoMassDeleteOperator(_MassOperator):
    """Delete many records, given by ids or by a filter.

    Safe to retry: a record that is not there (any more) is a success.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param ids: ids of the records; an empty list does nothing. (templated)
    :param where: instead of ids: list of items as of :mod:`airflow_provider_espo.where`. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param all_records: ``True`` to mean every record; otherwise a filter that leaves none out is refused.
    :param max_records: do nothing and fail if more records than this are meant. (templated)
    :param dry_run: delete nothing, return the count and at most 100 ids. (templated)
    :param background: have EspoCRM do it in a background job and wait for it; for large sets.
    :param on_shortfall: ``fail`` when EspoCRM deleted fewer records than it should have, or ``warn``.
    :param deferrable: wait for the background job in the triggerer; by default as ``[operators] default_deferrable``
        says.
    :param poll_interval: seconds between looks at the background job.
    :param job_timeout: seconds that a try waits for the background job; ``None`` for as long as it takes.
    :param validate: check rights before anything is deleted.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"count", "expected"}``: records that were deleted, and that were meant; and ``ids`` or ``skipped_ids``
        where known, ``job_id`` of a background job. A dry run returns ``{"count", "ids", "dry_run"}``.
    :raises EspoInputError: no ids and no filter, a filter that leaves no record out, more than ``max_records``.
    :raises EspoShortfallError: records are still there that should have been deleted.
    :raises EspoJobError: the background job failed, or did not end in time.
    """

    def _action(self) -> str:
        return "delete"

    def _data(self) -> None:
        return None


class EspoMassActionOperator(_MassOperator):
    """Carry out any of EspoCRM's mass actions on many records, given by ids or by a filter.

    EspoCRM's own can be repeated: ``recalculateFormula`` (administrators only), ``convertCurrency``, ``follow``,
    ``unfollow``, ``lock``, ``unlock``; a retry does them again. One that an extension brought along is not done a
    second time when an earlier try may have done it, unless ``repeatable`` says that this does no harm: the retry then
    fails with a text that says what to look for.

    :param entity_type: entity type, such as ``Opportunity``. (templated)
    :param action: the action's name; one that the server does not have is refused before. (templated)
    :param data: what the action needs, such as ``{"targetCurrency": "EUR"}``. (templated)
    :param ids: ids of the records; an empty list does nothing. (templated)
    :param where: instead of ids: list of items as of :mod:`airflow_provider_espo.where`. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param all_records: ``True`` to mean every record; otherwise a filter that leaves none out is refused.
    :param max_records: do nothing and fail if more records than this are meant. (templated)
    :param dry_run: change nothing, return the count and at most 100 ids. (templated)
    :param background: have EspoCRM do it in a background job and wait for it; for large sets.
    :param on_shortfall: ``fail`` when EspoCRM changed fewer records than it should have, or ``warn``.
    :param repeatable: whether doing it twice is doing it once; known of EspoCRM's own actions.
    :param deferrable: wait for the background job in the triggerer; by default as ``[operators] default_deferrable``
        says.
    :param poll_interval: seconds between looks at the background job.
    :param job_timeout: seconds that a try waits for the background job; ``None`` for as long as it takes.
    :param validate: check the action's name, its data and rights before anything is changed.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"count", "expected"}``: records that were changed, and that should have been; and ``ids`` or
        ``skipped_ids`` where known, ``job_id`` of a background job. A dry run returns ``{"count", "ids", "dry_run"}``.
    :raises EspoInputError: no ids and no filter, a filter that leaves no record out, more than ``max_records``.
    :raises EspoUnknownNameError: the server has no such action for the entity type.
    :raises EspoShortfallError: fewer records were changed than should have been.
    :raises EspoJobError: the background job failed, did not end in time, or may have run in an earlier try.
    """

    template_fields: Sequence[str] = (*_WHAT_FIELDS, "action", "data", *_WHICH_FIELDS)
    template_fields_renderers = {"where": "json", "data": "json"}

    def __init__(
        self,
        *,
        action: str,
        data: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.data = data
        self.repeatable = repeatable

    @property
    def job_is_repeatable(self) -> bool:
        """Whether doing it twice is doing it once."""
        from airflow_provider_espo.client.operations.mass_names import REPEATABLE_ACTIONS

        return self.action in REPEATABLE_ACTIONS if self.repeatable is None else self.repeatable

    def _action(self) -> str:
        return self.action

    def _data(self) -> Mapping[str, Any] | None:
        return self.data


def _flag(name: str, value: object) -> bool:
    """Return a yes or no that a template may have made a text of."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise EspoInputError(f"{name} is neither true nor false")
