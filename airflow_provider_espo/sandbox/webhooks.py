"""Delivers webhooks: changes of records that were queued, a while later and in batches.

A *run* (on a real server a scheduled job, every five minutes) turns queued events into items of single webhooks and
delivers what is due: for each webhook one request with a list of changes. It takes only so many events and webhooks
at a time; the rest waits for the next run. A delivery that fails is tried again some minutes later, as often as the
settings say. One thread does the runs (see :meth:`Webhooks.start`); without it nothing is delivered until
:meth:`Webhooks.run` is called.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.internal_addresses import is_refused
from airflow_provider_espo.sandbox.webhook_bodies import encoded
from airflow_provider_espo.sandbox.webhook_events import WebhookEvents
from airflow_provider_espo.sandbox.webhook_sender import Delivery, Outcome, send

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_espo.sandbox.serialize import Serializer
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.user_directory import UserDirectory

log = logging.getLogger(__name__)

PENDING, SUCCESS, FAILED = "Pending", "Success", "Failed"
DEFAULT_DELAY = 2.0
#: Seconds between two looks for what waits for its next attempt; the CRM's clock may be one that jumps.
LOOK_EVERY = 0.05


class Webhooks:
    """The webhooks of a sandbox.

    :param delay: seconds between a change and the run that delivers it, and between two runs
    """

    def __init__(
        self,
        storage: Storage,
        serializer: Serializer,
        directory: UserDirectory,
        delay: float = DEFAULT_DELAY,
    ) -> None:
        self._storage = storage
        self._directory = directory
        self._delay = delay
        self._running = threading.Lock()
        self._wake = threading.Event()
        #: Queues what is to be delivered.
        self.events = WebhookEvents(storage, serializer, self._wake.set)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self) -> int:
        """One run: share events out to webhooks, then deliver what is due.

        :return: how many requests were made
        """
        with self._running:
            self._share_out()
            sql = (
                'SELECT "webhookId" FROM "WebhookQueueItem" WHERE status = ? AND "processAt" <= ?'
                ' GROUP BY "webhookId" ORDER BY MIN(number) LIMIT ?'
            )
            limit = self._storage.settings.webhook_run_size
            due = self._storage.column(sql, [PENDING, self._now(), limit])
            return sum(self._deliver(webhook_id) for webhook_id in due if not self._stopping.is_set())

    def waiting(self) -> int:
        """How many events and items are not delivered and not given up."""
        events = self._storage.value('SELECT COUNT(*) FROM "WebhookEventQueueItem"')
        items = self._storage.value('SELECT COUNT(*) FROM "WebhookQueueItem" WHERE status = ?', [PENDING])
        return int(events) + int(items)

    def _share_out(self) -> None:
        limit = self._storage.settings.webhook_run_size
        with self._storage.transaction():
            for event in self._storage.rows('SELECT * FROM "WebhookEventQueueItem" ORDER BY number LIMIT ?', [limit]):
                sql = 'SELECT * FROM "Webhook" WHERE event = ? AND "isActive" = 1 AND deleted = 0 ORDER BY id'
                for webhook in self._storage.rows(sql, [event["event"]]):
                    if webhook["skipOwn"] and webhook["userId"] == event["userId"]:
                        continue
                    item = {
                        "webhookId": webhook["id"],
                        "targetId": event["targetId"],
                        "data": event["data"],
                        "status": PENDING,
                        "attempts": 0,
                        "processAt": self._now(),
                    }
                    self._storage.insert("WebhookQueueItem", item)
                self._storage.execute('DELETE FROM "WebhookEventQueueItem" WHERE number = ?', [event["number"]])

    def _deliver(self, webhook_id: str) -> int:
        settings = self._storage.settings
        items = self._storage.rows(
            'SELECT * FROM "WebhookQueueItem" WHERE "webhookId" = ? AND status = ? AND "processAt" <= ?'
            " ORDER BY number LIMIT ?",
            [webhook_id, PENDING, self._now(), settings.webhook_batch_size],
        )
        webhook = self._storage.row('SELECT * FROM "Webhook" WHERE id = ? AND deleted = 0', [webhook_id])
        if webhook is None or not webhook["isActive"] or not self._has_owner(webhook):
            self._end(items, FAILED)
            return 0
        readable = [item for item in items if self._may_know(webhook, item)]
        self._end([item for item in items if item not in readable], FAILED)
        if not readable:
            return 0
        if is_refused(webhook["url"], settings):
            self._end(readable, FAILED)
            return 0
        body = encoded([self._cut(webhook, json.loads(item["data"])) for item in readable])
        delivery = Delivery(webhook_id, webhook["url"], webhook["secretKey"], body)
        outcome = send(delivery, settings.webhook_timeout, retry_unreachable=settings.webhook_retry_unreachable)
        log.debug("webhook %s: %d changes %s", webhook_id, len(readable), outcome)
        self._settle(webhook_id, readable, outcome)
        return 1

    def _settle(self, webhook_id: str, items: Sequence[Mapping[str, Any]], outcome: Outcome) -> None:
        match outcome:
            case "delivered":
                self._end(items, SUCCESS)
            case "failed":
                self._end(items, FAILED)
            case "gone":
                with self._storage.transaction():
                    self._storage.update("Webhook", webhook_id, {"deleted": 1})
                    sql = 'UPDATE "WebhookQueueItem" SET status = ? WHERE "webhookId" = ? AND status = ?'
                    self._storage.execute(sql, [FAILED, webhook_id, PENDING])
                self.events.forget()
            case "retry":
                self._put_off(items)

    def _put_off(self, items: Sequence[Mapping[str, Any]]) -> None:
        settings = self._storage.settings
        with self._storage.transaction():
            for item in items:
                attempts = item["attempts"] + 1
                is_last = attempts >= settings.webhook_max_attempts
                sql = 'UPDATE "WebhookQueueItem" SET attempts = ?, status = ?, "processAt" = ? WHERE number = ?'
                at = self._now() + settings.webhook_retry_after
                self._storage.execute(sql, [attempts, FAILED if is_last else PENDING, at, item["number"]])

    def _end(self, items: Sequence[Mapping[str, Any]], status: str) -> None:
        with self._storage.transaction():
            for item in items:
                sql = 'UPDATE "WebhookQueueItem" SET status = ?, attempts = attempts + 1 WHERE number = ?'
                self._storage.execute(sql, [status, item["number"]])

    # --- what the owner may know; webhooks of administrators have none, and may know all ---

    def _has_owner(self, webhook: Mapping[str, Any]) -> bool:
        if webhook["userId"] is None:
            return True
        sql = 'SELECT 1 FROM "User" WHERE id = ? AND "isActive" = 1 AND deleted = 0'
        return self._storage.value(sql, [webhook["userId"]]) is not None

    def _may_know(self, webhook: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
        if webhook["userId"] is None:
            return True
        user = self._directory.get(webhook["userId"])
        entity_def = self._storage.definitions[webhook["entityType"]]
        return acl.may_on(self._storage, user, entity_def, item["targetId"], "read")

    def _cut(self, webhook: Mapping[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Without attributes that the owner may not read."""
        if webhook["userId"] is None:
            return data
        entity_def = self._storage.definitions[webhook["entityType"]]
        hidden = acl.forbidden_fields(self._directory.get(webhook["userId"]), entity_def, "read")
        attributes = entity_def.attributes
        return {n: v for n, v in data.items() if n not in attributes or attributes[n].field not in hidden}

    # --- the thread ---

    def start(self) -> None:
        """Let a thread do the runs."""
        # A database file may have brought items along.
        self._wake.set()
        self._thread = threading.Thread(target=self._work, name="espo-sandbox-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the request that is under way. What waits stays in the database."""
        self._stopping.set()
        self._wake.set()
        # It is not alive if the sandbox was interrupted just as it was to start.
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while True:
            self._wake.wait()
            if self._stopping.wait(max(self._delay, LOOK_EVERY)):
                return
            self._wake.clear()
            try:
                self.run()
            except Exception:
                log.exception("a run of the webhooks failed")
            if self.waiting():
                self._wake.set()

    def _now(self) -> float:
        return self._storage.clock().timestamp()
