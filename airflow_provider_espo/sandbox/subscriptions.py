"""Who follows which record, and who has put a star on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.storage import Storage

FOLLOWED = "Subscription"
STARRED = "StarSubscription"


def add(storage: Storage, table: str, entity_type: str, record_id: str, user_id: str) -> bool:
    """Subscribe a user to a record; a second time changes nothing.

    :param table: :data:`FOLLOWED` or :data:`STARRED`
    :return: whether it is new
    """
    sql = f'INSERT OR IGNORE INTO "{table}" ("entityId", "entityType", "userId") VALUES (?, ?, ?)'  # noqa: S608
    return bool(storage.execute(sql, [record_id, entity_type, user_id]))


def remove(storage: Storage, table: str, entity_type: str, record_id: str, user_id: str) -> bool:
    """End a user's subscription to a record.

    :return: whether there was one
    """
    sql = f'DELETE FROM "{table}" WHERE "entityId" = ? AND "entityType" = ? AND "userId" = ?'  # noqa: S608
    return bool(storage.execute(sql, [record_id, entity_type, user_id]))


def user_ids(storage: Storage, table: str, entity_type: str, record_id: str) -> list[str]:
    """Users who have subscribed to a record, API users too."""
    sql = f'SELECT "userId" FROM "{table}" WHERE "entityId" = ? AND "entityType" = ?'  # noqa: S608
    return storage.column(sql, [record_id, entity_type])


def follow(storage: Storage, entity_type: str, record_id: str, user_id: str) -> bool:
    """Let a user follow a record; the caller checks rights.

    :return: whether the user did not follow it before
    """
    return add(storage, FOLLOWED, entity_type, record_id, user_id)


def unfollow(storage: Storage, entity_type: str, record_id: str, user_id: str) -> bool:
    """Let a user no longer follow a record.

    :return: whether the user followed it before
    """
    return remove(storage, FOLLOWED, entity_type, record_id, user_id)
