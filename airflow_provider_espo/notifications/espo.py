"""Tell people in EspoCRM what happened in Airflow: in a record's stream, or by a case or task for them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseNotifier

from airflow_provider_espo import compat
from airflow_provider_espo.notifications.happening import Happening

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

    from airflow_provider_espo.client.state import ClientState
    from airflow_provider_espo.client.wire import Operation, Record


#: How long to wait for a CRM that is down. A notifier holds up a worker's slot, or in the DAG processor a file, which
#: Airflow gives up after 50 seconds.
_PATIENCE: Mapping[str, float] = {"connect_timeout": 5, "timeout": 10, "max_retries": 2, "max_server_wait": 5}


class _EspoNotifier(BaseNotifier):
    """What the notifiers share: the same on a worker, in the DAG processor and in the triggerer.

    Texts are sent as Airflow's logs have them: what a template brings, such as ``{{ exception }}``, may hold a secret.
    """

    def __init__(self, *, espo_conn_id: str = "espo_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.espo_conn_id = espo_conn_id

    def __call__(self, *args: Any) -> None:
        """Notify.

        :param args: Airflow's context.
        """
        # Airflow renders the fields in place: a notifier that many tasks have would tell of the first one for ever.
        super(_EspoNotifier, copy.copy(self)).__call__(*args)

    def __await__(self) -> Generator[Any, Any, None]:
        """Notify, from an event loop."""
        return super(_EspoNotifier, copy.copy(self)).__await__()

    def get_template_env(self, dag: DAG | None = None) -> Any:
        """Return what renders the templates.

        :param dag: the DAG, whose macros and filters templates may use.
        """
        # The callback of a run in dag.test() of Airflow 3.3 has a form of its DAG that cannot render.
        return super().get_template_env(dag if hasattr(dag, "get_template_env") else None)

    def notify(self, context: Context) -> None:
        """Notify from a worker or the DAG processor.

        :param context: Airflow's context.
        """
        from airflow_provider_espo.hooks.espo import EspoHook

        with EspoHook(self.espo_conn_id, at_most=_PATIENCE) as hook:
            self._tell(hook.run(self.operation(hook.state, Happening.of(context))))

    async def async_notify(self, context: Context) -> None:
        """Notify from the triggerer, where the callbacks of deadlines run.

        :param context: Airflow's context.
        """
        from airflow_provider_espo.hooks.espo import EspoAsyncHook

        async with EspoAsyncHook(self.espo_conn_id, at_most=_PATIENCE) as hook:
            # What it imports takes longer than the triggers of a triggerer may be held up.
            operation = await asyncio.to_thread(self.operation, await hook.ready(), Happening.of(context))
            self._tell(await hook.run(operation))

    def operation(self, state: ClientState, happening: Happening) -> Operation[Record]:
        """Return what is to be done in EspoCRM.

        :param state: what operations work with.
        :param happening: what happened.
        """
        raise NotImplementedError

    def _tell(self, result: Mapping[str, Any]) -> None:
        self.log.info("EspoCRM was told: %s, %s", result["id"], result["action"])


class EspoStreamNotifier(_EspoNotifier):
    """Posts what happened to a record's stream, or to people.

    The same text at the same place is posted once in a run: a callback that Airflow runs twice for one failure finds
    its post. The text by default says DAG, task, run and try, and no more of an exception than its class: its message
    may hold anything.

    :param post: the text, Markdown. (templated)
    :param entity_type: with ``record_id``: the record whose stream it goes to. (templated)
    :param record_id: id of that record. (templated)
    :param user_ids: instead of a record: users it goes to. (templated)
    :param team_ids: instead of a record: teams it goes to. (templated)
    :param audience: instead of a record: ``self``, or ``all`` for all users. (templated)
    :param mentions: user names to mention, whom EspoCRM notifies. (templated)
    :param internal: not shown in portals; only some entity types have this.
    :param espo_conn_id: Airflow connection. (templated)
    """

    template_fields: Sequence[str] = (
        "espo_conn_id",
        "post",
        "entity_type",
        "record_id",
        "user_ids",
        "team_ids",
        "audience",
        "mentions",
    )

    def __init__(
        self,
        *,
        post: str | None = None,
        entity_type: str | None = None,
        record_id: str | None = None,
        user_ids: Sequence[str] | None = None,
        team_ids: Sequence[str] | None = None,
        audience: Literal["self", "all"] | None = None,
        mentions: Sequence[str] | None = None,
        internal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.post = post
        self.entity_type = entity_type
        self.record_id = record_id
        self.user_ids = user_ids
        self.team_ids = team_ids
        self.audience = audience
        self.mentions = mentions
        self.internal = internal

    def operation(self, state: ClientState, happening: Happening) -> Operation[Record]:
        """Return the post.

        :param state: what operations work with.
        :param happening: what happened.
        """
        from airflow_provider_espo.client.operations.posting import post_note

        return post_note(
            state,
            compat.redacted(self.post or _as_post(happening)),
            entity_type=self.entity_type,
            record_id=self.record_id,
            user_ids=self.user_ids,
            team_ids=self.team_ids,
            audience=self.audience,
            mentions=self.mentions,
            internal=self.internal,
            look_for_earlier_since=happening.since,
        )


class EspoRecordNotifier(_EspoNotifier):
    """Creates a case or a task for what happened; once for a failure, however often Airflow reports it.

    The record holds a marker, ``airflow-`` and 20 hexadecimal digits, made of the ids of DAG, run and task and the map
    index. A callback that runs again, for a retry or because a worker died over it, finds the record by it and leaves
    it as it is. After the task, or the run, was cleared a failure is a new one. Somebody who takes the marker out of
    the text makes it a new one too.

    Name and description by default say DAG, task, run and try, and no more of an exception than its class: its message
    may hold anything.

    :param entity_type: ``Case``, ``Task``, or another entity type with ``name`` and ``description``. (templated)
    :param attributes: values by attribute name; they replace the default ones. A task that has no ``assignedUserId`` is
        the connection's own user's. (templated)
    :param marker_field: attribute for texts whose last line becomes the marker. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    """

    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "attributes", "marker_field")

    def __init__(
        self,
        *,
        entity_type: str = "Case",
        attributes: Mapping[str, Any] | None = None,
        marker_field: str = "description",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.attributes = attributes
        self.marker_field = marker_field

    def operation(self, state: ClientState, happening: Happening) -> Operation[Record]:
        """Return the creation of the record.

        :param state: what operations work with.
        :param happening: what happened.
        """
        from airflow_provider_espo.client.operations.marked import create_marked

        text = "\n".join(f"{name}: {value}" for name, value in happening.details)
        # The longest name that EspoCRM's own entity types take.
        attributes = {"name": happening.subject[:149], "description": text, **(self.attributes or {})}
        attributes = {
            name: compat.redacted(value) if isinstance(value, str) else value for name, value in attributes.items()
        }
        return create_marked(
            state, self.entity_type, attributes, marker=happening.marker, marker_field=self.marker_field
        )


def _as_post(happening: Happening) -> str:
    lines = [f"**{happening.subject}**", *(f"{name}: {value}" for name, value in happening.details)]
    return "\n".join(lines)
