"""The sandbox as the CRM of a life: every request is two points, and meanwhile other people change records."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.kill.lives import Life
from tests.unit.crm import Reply, Sent
from tests.unit.sandbox_crm import SandboxCrm

FORMAT = "%Y-%m-%d %H:%M:%S"
ENTITY_TYPE = "Lead"
_STATUSES = ("New", "Assigned", "In Process")


class LivingCrm(SandboxCrm):
    """A CRM whose answers are points of the task's life.

    :param skew: how far its clock is ahead of ours.
    """

    def __init__(self, skew: timedelta = timedelta()) -> None:
        self.ahead = skew
        super().__init__()
        self.life = Life()
        self._numbers = 0
        self._one_at_a_time = threading.RLock()
        self.before = self._arrives
        self.after = self._goes_out

    @property
    def now(self) -> datetime:
        """The CRM's time."""
        return datetime.now(UTC) + self.ahead

    @now.setter
    def now(self, value: datetime) -> None:
        """It goes on by itself."""

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(seconds=seconds)
        self.sandbox.jobs.run_due()

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer a request, with the time as every web server does."""
        date = format_datetime(self.now.replace(microsecond=0), usegmt=True)
        with self._one_at_a_time:
            reply = super().answer(method, url, headers, body)
        return Reply(reply.status, reply.body, {"Date": date, **reply.headers})

    def _arrives(self, sent: Sent) -> None:
        self.life.point(f"{sent.method} {sent.path} >")

    def _goes_out(self, sent: Sent) -> None:
        self.life.point(f"{sent.method} {sent.path} <")

    # --- what other people do ---

    def add(self, count: int, *, moments: Sequence[str] = ()) -> list[str]:
        """Create records.

        :param moments: when each was created and changed; now by default.
        """
        ids = []
        with self.sandbox.storage.transaction():
            for number in range(count):
                self._numbers += 1
                moment = moments[number] if moments else self.now.strftime(FORMAT)
                record_id = self.sandbox.storage.new_id()
                values = {"id": record_id, "deleted": 0, "firstName": "Zoë", "lastName": f'L"{self._numbers},\n'}
                values |= {"createdAt": moment, "modifiedAt": moment, "status": _STATUSES[self._numbers % 3]}
                self.sandbox.storage.insert(ENTITY_TYPE, values)
                ids.append(record_id)
        return ids

    def change(self, record_id: str, *, moment: str | None = None) -> None:
        """Change a record.

        :param moment: what its time of change becomes; now by default. An earlier one is a transaction that was
            committed late.
        """
        self._numbers += 1
        values = {"modifiedAt": moment or self.now.strftime(FORMAT), "accountName": f"Company {self._numbers}"}
        self.sandbox.storage.update(ENTITY_TYPE, record_id, values)

    def remove(self, record_id: str) -> None:
        """Delete a record, as EspoCRM does it: the row stays, and its time of change."""
        self.sandbox.storage.update(ENTITY_TYPE, record_id, {"deleted": 1})

    def rows(self, columns: Iterable[str] = ("modifiedAt", "lastName", "accountName")) -> dict[str, dict[str, Any]]:
        """Return all records that are there, by id."""
        names = ", ".join(f'"{name}"' for name in ("id", *columns))
        found = self.sandbox.storage.rows(f'SELECT {names} FROM "{ENTITY_TYPE}" WHERE deleted = 0')
        return {row["id"]: row for row in found}

    def unrest(self, chance: random.Random, *, late: float = 0) -> str:
        """Let somebody do something.

        :param late: how many seconds late a transaction may be committed.
        :return: what it was.
        """
        ids = sorted(self.rows(()))
        what = chance.choice(("add", "change", "change", "remove"))
        moment = (self.now - timedelta(seconds=chance.uniform(0, late))).strftime(FORMAT)
        if what == "add" or not ids:
            self.add(1, moments=[moment])
        elif what == "change":
            self.change(chance.choice(ids), moment=moment)
        else:
            self.remove(chance.choice(ids))
        return what
