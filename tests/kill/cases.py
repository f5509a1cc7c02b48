"""Cases over a CRM in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kill.crm import LivingCrm
from tests.kill.driver import Case
from tests.kill.lives import Life
from tests.unit.crm import Crm, answering


class CrmCase(Case):
    """Tasks over a CRM of their own.

    :param chance: decides everything.
    :param folder: for files.
    """

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.crm = LivingCrm()
        #: With one at a time a seed gives the very same history.
        self.workers = chance.choice((1, 1, 3))
        #: How likely somebody does something at a point of a task, and how many seconds late it may be committed.
        self.restless = 0.0
        self.late = 0.0

    def lives(self, life: Life) -> None:
        self.crm.life = life

    def meanwhile(self, chance: random.Random) -> None:
        if chance.random() < self.restless:
            self.crm.unrest(chance, late=self.late)

    @contextmanager
    def set_up(self) -> Iterator[None]:
        fields = {"conn_type": "espo", "host": Crm.url, "password": self.crm.credentials["api_key"]}
        connection = json.dumps({**fields, "extra": {"max_workers": self.workers}})
        with pytest.MonkeyPatch.context() as patch, answering(self.crm):
            patch.setenv("AIRFLOW_CONN_ESPO_DEFAULT", connection)
            try:
                yield
            finally:
                self.crm.sandbox.close()
