"""What all tasks of this provider have in common."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_espo.hooks.espo import EspoHook


class EspoTask:
    """A task that works over an EspoCRM connection: mixed into operators and sensors."""

    espo_conn_id: str

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


class EspoOperator(EspoTask, BaseOperator):
    """Base of this provider's operators.

    :param espo_conn_id: id of the Airflow connection, of type *EspoCRM*.
    """

    ui_color = "#e8eef7"

    #: Whether the result is a small dict, whose parts downstream tasks take one by one: ``task.output["id"]``.
    result_has_parts: ClassVar[bool] = False

    def __init__(self, *, espo_conn_id: str = "espo_default", **kwargs: Any) -> None:
        kwargs.setdefault("multiple_outputs", self.result_has_parts)
        super().__init__(**kwargs)
        self.espo_conn_id = espo_conn_id
