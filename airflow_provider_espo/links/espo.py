"""Buttons on a task's page in Airflow that open what it worked on in EspoCRM.

Airflow asks for their addresses on the worker, when the task has ended in one way or the other. An address that is not
known is an empty text: then there is no button.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_espo.client.config import ClientConfig


class _PageLink(BaseOperatorLink):
    """What the links share."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, empty where there is none.

        :param operator: the task as it ran.
        :param ti_key: which task instance it was; what is needed of its result, the task has remembered.
        """
        from airflow_provider_espo import compat
        from airflow_provider_espo.client.errors import EspoError

        task: Any = operator
        try:
            return self.address(task, task.hook.config) or ""
        except (EspoError, compat.airflow_exceptions().AirflowNotFoundException):
            # Why the task could not even name its record, or had no connection, is what it failed with itself.
            return ""

    @abstractmethod
    def address(self, task: Any, config: ClientConfig) -> str | None:
        """Return the address, or ``None`` where there is none.

        :param task: the task as it ran.
        :param config: settings of its connection.
        """


class EspoRecordLink(_PageLink):
    """Opens the record that a task worked on."""

    name = "Open record in EspoCRM"

    def address(self, task: Any, config: ClientConfig) -> str | None:
        """Return the address of the record; after a failure, of the one that was meant."""
        from airflow_provider_espo.client.web_pages import record_page

        entity_type, record_id = task.record_shown()
        return record_page(config, entity_type, record_id) if entity_type and record_id else None


class EspoListLink(_PageLink):
    """Opens the list of records that a task worked on, with EspoCRM's own filter where it went by one."""

    name = "Open list in EspoCRM"

    def address(self, task: Any, config: ClientConfig) -> str | None:
        """Return the address of the list."""
        from airflow_provider_espo.client.web_pages import list_page

        entity_type = getattr(task, "entity_type", None)
        return list_page(config, entity_type, getattr(task, "primary_filter", None)) if entity_type else None


class EspoTargetListLink(_PageLink):
    """Opens the target list that a task filled or emptied, from whichever side it did so."""

    name = "Open target list in EspoCRM"

    def address(self, task: Any, config: ClientConfig) -> str | None:
        """Return the address of the target list, where it is one."""
        from airflow_provider_espo.client.web_pages import record_page

        if task.entity_type == "TargetList":
            return record_page(config, "TargetList", task.record_id)
        if task.link != "targetLists" or not task.related_ids:
            return None
        ids = [task.related_ids] if isinstance(task.related_ids, str) else list(task.related_ids)
        return record_page(config, "TargetList", ids[0]) if len(ids) == 1 else None


class EspoJobLink(_PageLink):
    """Opens the background job that a task started or waited for.

    EspoCRM has a page for each import. Of mass actions and exports it has none: their link leads to the list of
    background jobs, which administrators see.
    """

    name = "Open job in EspoCRM"

    def address(self, task: Any, config: ClientConfig) -> str | None:
        """Return the address of the job's page, or of the list of jobs."""
        from airflow_provider_espo.client.web_pages import jobs_page, record_page

        kind, job_id = task.job_shown()
        if not job_id:
            return None
        return record_page(config, "Import", job_id) if kind == "import" else jobs_page(config)
