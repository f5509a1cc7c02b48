"""What the webhook receiver reads from and writes to Airflow's database. All of it blocks: not for an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select, update

from airflow_provider_espo.client.asset_uri import asset_uri
from airflow_provider_espo.client.operations.webhooks import check_event
from airflow_provider_espo.client.webhook_secret import WebhookSecret, variable_name
from airflow_provider_espo.plugins.webhook_receiver_answers import Answer

if TYPE_CHECKING:
    from airflow.models.asset import AssetModel
    from sqlalchemy.orm import Session


class UnusableVariable(Exception):
    """The Variable of a webhook holds something else than registering puts there."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is recorded of a delivery.

    :param webhook_id: the webhook that delivered it.
    :param uri: the asset.
    :param entity_type: such as ``Lead``.
    :param event: ``create``, ``update``, ``delete`` or ``fieldUpdate.status``.
    :param ids: ids of the records, once for each change.
    :param key: what tells the delivery from others.
    """

    webhook_id: str
    uri: str
    entity_type: str
    event: str
    ids: Sequence[str]
    key: str

    @classmethod
    def of(cls, webhook_id: str, webhook: WebhookSecret, ids: Sequence[str], key: str) -> Changes:
        """Put together what a webhook is for with what it delivered.

        :raises UnusableVariable: the webhook's event or site is none.
        """
        try:
            check_event(webhook.event)
            entity_type, _, event = webhook.event.partition(".")
            uri = asset_uri(webhook.site_url, entity_type)
        except ValueError as error:
            raise UnusableVariable(f"Event or site_url in the Variable of webhook {webhook_id} is none") from error
        return cls(webhook_id, uri, entity_type, event, ids, key)

    def extra(self) -> dict[str, Any]:
        """Return what the asset event says: ids and counts, and nothing of what is in the records."""
        return {
            "entity_type": self.entity_type,
            "event": self.event,
            "ids": list(dict.fromkeys(self.ids)),
            "count": len(self.ids),
            "webhook_id": self.webhook_id,
            "delivery": self.key,
        }


def find_webhook(webhook_id: str) -> WebhookSecret | None:
    """Return what is kept of a webhook, ``None`` if nothing is.

    :param webhook_id: the webhook's id in EspoCRM.
    :raises UnusableVariable: there is a Variable, but with something else in it.
    :raises SQLAlchemyError: the database does not answer.
    """
    from airflow.models import Variable

    name = variable_name(webhook_id)
    text = Variable.get(name, default_var=None, **_of_team(name))
    if text is None:
        # Airflow goes on to its next secrets backend when one fails, and then says that there is no such Variable.
        _ask_database()
        return None
    webhook = WebhookSecret.from_text(text)
    if webhook is None:
        raise UnusableVariable(f"The Variable {name} holds something else than a webhook's secret")
    return webhook


def _of_team(name: str) -> dict[str, Any]:
    """Name the team that a Variable belongs to, as Airflow finds it under no other; nothing where there are no teams.

    What a task of a team's DAG stores belongs to the team (3.2 and later).
    """
    from airflow.configuration import conf
    from airflow.models import Variable

    if "team_name" not in signature(Variable.get).parameters or not conf.getboolean("core", "multi_team"):
        return {}
    team = Variable.get_team_name(name)
    return {} if team is None else {"team_name": team}


def _ask_database() -> None:
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        session.execute(select(1))


def record(changes: Changes, repeat_seconds: int) -> Answer:
    """Record an asset event, as Airflow's own API does; DAGs that are scheduled on the asset are queued with it.

    That a delivery was recorded is known by its event and by nothing else: the two cannot fall apart, whenever a
    process dies, and every API server on the database knows. Equal deliveries at the same time wait for each other at
    the asset.

    :param changes: what to record.
    :param repeat_seconds: for how long an equal delivery counts as a repeat; 0: never.
    :raises SQLAlchemyError: the database does not answer; nothing is recorded, or all of it.
    """
    from airflow.assets.manager import asset_manager
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        asset = _find_asset(session, changes.uri, lock=repeat_seconds > 0)
        if asset is None:
            return Answer.NO_ASSET
        if repeat_seconds > 0 and _is_recorded(session, asset.id, changes.key, repeat_seconds):
            return Answer.REPEAT
        event = asset_manager.register_asset_change(asset=asset, extra=changes.extra(), session=session)
        return Answer.NO_ASSET if event is None else Answer.RECORDED


def _find_asset(session: Session, uri: str, *, lock: bool) -> AssetModel | None:
    """The asset that a DAG names with this URI, whatever its name; Airflow sees to it that there is only one."""
    from airflow.models.asset import AssetActive, AssetModel

    is_active = and_(AssetActive.name == AssetModel.name, AssetActive.uri == AssetModel.uri)
    found = select(AssetModel).join(AssetActive, is_active).where(AssetModel.uri == uri)
    if lock:
        # First of all, so that what is read afterwards is no older than the lock.
        if session.get_bind().dialect.name == "sqlite":
            # It has one lock for all, which a statement that writes takes, whatever it writes.
            same = {"uri": AssetModel.uri, "updated_at": AssetModel.updated_at}
            statement = update(AssetModel).where(AssetModel.uri == uri).values(same)
            session.execute(statement.execution_options(synchronize_session=False))
        found = found.with_for_update(key_share=True, of=AssetModel)
    return session.scalars(found).first()


def _is_recorded(session: Session, asset_id: int, key: str, seconds: int) -> bool:
    from airflow.models.asset import AssetEvent

    since = datetime.now(UTC) - timedelta(seconds=seconds)
    # The database cannot look into extra in one way for all versions of Airflow; there is an index on these two.
    found = select(AssetEvent.extra).where(AssetEvent.asset_id == asset_id, AssetEvent.timestamp >= since)
    return any(isinstance(extra, dict) and extra.get("delivery") == key for extra in session.scalars(found))
