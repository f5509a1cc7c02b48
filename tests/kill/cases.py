"""Cases over a CRM in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kill.crm import LivingCrm
from tests.kill.driver import Case
from tests.kill.lives import Life


class CrmCase(Case):
    """Tasks over a CRM of their own.

    :param chance: decides everything.
    :param folder: for files.
    """

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.crm = self.new_crm()
        #: With one at a time a seed gives the very same history.
        self.workers = chance.choice((1, 1, 3))
        #: How likely somebody does something at a point of a task, and how many seconds late it may be committed.
        self.restless = 0.0
        self.late = 0.0

    def new_crm(self) -> Any:
        """Return the CRM: a :class:`LivingCrm` or a :class:`ServedCrm`."""
        return LivingCrm()

    def lives(self, life: Life) -> None:
        self.crm.life = life

    def meanwhile(self, chance: random.Random) -> None:
        if chance.random() < self.restless:
            self.crm.unrest(chance, late=self.late)

    def between_tries(self, chance: random.Random) -> None:
        self.crm.pass_time(chance.choice((0, 1, 400)))
        for _ in range(chance.randint(0, 4) if self.restless else 0):
            self.crm.unrest(chance, late=self.late)

    @contextmanager
    def set_up(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch, self.crm.serving():
            for name, value in self.connections().items():
                patch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))
            yield

    def connections(self) -> dict[str, dict[str, Any]]:
        """Return the Airflow connections that the tasks need, by id."""
        fields = {"conn_type": "espo", "host": self.crm.url, "password": self.crm.credentials["api_key"]}
        return {"espo_default": {**fields, "extra": {"max_workers": self.workers}}}
