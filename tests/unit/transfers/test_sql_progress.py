"""A load that died is made good by the next try, which reads what was not committed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.state import forget_shared_states
from tests.unit.running import Store, run_task
from tests.unit.sandbox_crm import Killed, SandboxCrm
from tests.unit.transfers.changes import leads
from tests.unit.transfers.databases import Database
from tests.unit.transfers.loading import load

pytestmark = pytest.mark.usefixtures("noted_at_once")


@pytest.mark.parametrize("mode", ["upsert", "replace"])
@pytest.mark.parametrize("has_store", [True, False])
def test_a_try_that_died_anywhere_is_made_good_by_the_next(
    sandbox_crm: SandboxCrm, database: Database, mode: str, has_store: bool
) -> None:
    made = leads(sandbox_crm, 21)
    run_task(load(mode=mode))
    requests = len(sandbox_crm.sent)
    for number in range(1, requests):
        database.clear()
        store = Store() if has_store else None
        forget_shared_states()
        sandbox_crm.kill_at(number, carried_out=number % 2 == 0)
        with pytest.raises(Killed):
            run_task(load(mode=mode), store=store)
        sandbox_crm.live()
        forget_shared_states()
        result = run_task(load(mode=mode), store=store)
        assert database.ids() == made, number
        assert result["records"] == 21, number


def test_a_retry_reads_only_what_was_not_committed(sandbox_crm: SandboxCrm, database: Database) -> None:
    leads(sandbox_crm, 40)
    store = Store()
    arguments: dict[str, Any] = {"parts": 1, "page_size": 5, "batch_rows": 5}
    run_task(load(**arguments))
    pages = len(sandbox_crm.calls("GET", "Lead"))
    sandbox_crm.sent.clear()
    sandbox_crm.kill_at(7, carried_out=False)
    with pytest.raises(Killed):
        run_task(load(**arguments), store=store)
    sandbox_crm.live()
    read = len(sandbox_crm.calls("GET", "Lead"))
    sandbox_crm.sent.clear()
    run_task(load(**arguments), store=store)
    # One page at most comes twice, the one that was not answered.
    assert len(sandbox_crm.calls("GET", "Lead")) <= pages - read + 1


def test_what_an_earlier_try_did_for_another_table_is_no_use(sandbox_crm: SandboxCrm, database: Database) -> None:
    made = leads(sandbox_crm, 9)
    store = Store()
    run_task(load(), store=store)
    run_task(load(table="others"), store=store)
    assert database.ids("others") == made


def test_a_table_that_was_removed_between_two_tries_is_loaded_from_the_beginning(
    sandbox_crm: SandboxCrm, database: Database
) -> None:
    made = leads(sandbox_crm, 9)
    store = Store()
    run_task(load(), store=store)
    database.clear()
    run_task(load(), store=store)
    assert database.ids() == made
