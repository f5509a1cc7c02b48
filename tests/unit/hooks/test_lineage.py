"""What hooks tell Airflow's hook lineage, when they are called in a task of one's own."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_espo import compat
from airflow_provider_espo.exceptions import EspoApiError
from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from tests.unit.crm import API_KEY
from tests.unit.sandbox_crm import SandboxCrm

try:
    lineage: Any = importlib.import_module("airflow.sdk.lineage")
except ImportError:  # Airflow 3.1
    lineage = importlib.import_module("airflow.lineage.hook")

SITE = "espo://crm.example.com"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A collector that somebody reads."""
    collector = lineage.HookLineageCollector()
    monkeypatch.setattr(compat, "hook_lineage_collector", lambda: collector)
    return collector


def read_and_written(collector: Any) -> tuple[set[str], set[str]]:
    found = collector.collected_assets
    inputs, outputs = ({one.asset.uri.removeprefix(f"{SITE}/") for one in it} for it in (found.inputs, found.outputs))
    return inputs, outputs


def test_what_is_read_and_what_is_written_is_told_each_once(sandbox_crm: SandboxCrm, collector: Any) -> None:
    with EspoHook() as hook:
        made = hook.write_many("Lead", [{"lastName": "A"}, {"lastName": "B"}], operation="create")
        assert [one["action"] for one in made] == ["created", "created"]
        assert len(list(hook.iter_records("Account"))) == 0
        hook.update_record("Lead", str(made[0]["id"]), {"status": "Dead"})
    assert read_and_written(collector) == ({"Account"}, {"Lead"})
    assert [one.count for one in collector.collected_assets.outputs] == [1]


def test_related_records_are_told_by_their_own_type(sandbox_crm: SandboxCrm, collector: Any) -> None:
    account = sandbox_crm.asker.create("Account", name="ACME")["id"]
    with EspoHook() as hook:
        hook.list_related("Account", account, "contacts")
    assert read_and_written(collector) == ({"Contact"}, set())


def test_what_belongs_to_the_connection_is_not_told(sandbox_crm: SandboxCrm, collector: Any) -> None:
    with EspoHook() as hook:
        hook.whoami()
        hook.metadata("entityDefs.Lead")
    assert read_and_written(collector) == (set(), set())


def test_openlineage_makes_datasets_of_what_a_hook_told(
    sandbox_crm: SandboxCrm, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager: Any = pytest.importorskip("airflow.providers.openlineage.extractors.manager")
    # OpenLineage's provider gets Airflow's collector, if there is one already, and adds what an older one lacks.
    from airflow.providers.common.compat import sdk

    monkeypatch.setattr(sdk, "get_hook_lineage_collector", lambda: collector, raising=False)
    monkeypatch.setattr(manager, "_is_hook_lineage_collector_created", lambda: True, raising=False)
    with EspoHook() as hook:
        hook.list_records("Account")
        hook.create_record("Lead", {"lastName": "A"})
    found = manager.ExtractorManager().get_hook_lineage()
    assert [(one.namespace, one.name) for one in found.inputs] == [(SITE, "Account")]
    assert [(one.namespace, one.name) for one in found.outputs] == [(SITE, "Lead")]


def test_no_value_of_a_record_and_no_secret_is_told(sandbox_crm: SandboxCrm, collector: Any) -> None:
    with EspoHook() as hook:
        hook.create_record("Lead", {"lastName": "Wisniewska"})
        told = repr(collector.collected_assets)
        assert "Wisniewska" not in told
        assert sandbox_crm.credentials["api_key"] not in told
        assert API_KEY.encode() not in pickle.dumps(hook)


@pytest.fixture
def _in_a_task() -> Iterator[None]:
    """As while a task is at work."""
    execution: Any = importlib.import_module("airflow.sdk.execution_time.context")
    with execution.set_current_context({}):
        yield


@pytest.mark.usefixtures("_in_a_task")
def test_where_nobody_reads_it_nothing_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lineage.NoOpCollector)
    assert compat.hook_lineage_collector() is None


@pytest.fixture
def read_by_somebody(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Airflow's collector where a plugin reads it."""
    collector = lineage.HookLineageCollector()
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    return collector


@pytest.mark.usefixtures("_in_a_task")
async def test_in_a_task_that_is_a_coroutine_the_asynchronous_hook_tells_the_same(
    sandbox_crm: SandboxCrm, read_by_somebody: Any
) -> None:
    async with EspoAsyncHook() as hook:
        await hook.create_record("Lead", {"lastName": "A"})
        assert [one async for one in hook.iter_records("Account")] == []
        assert len(await hook.write_many("Case", [{"name": "A"}], operation="create")) == 1
    assert read_and_written(read_by_somebody) == ({"Account"}, {"Lead", "Case"})


async def test_a_triggerer_collects_nothing(
    sandbox_crm: SandboxCrm, read_by_somebody: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = importlib.import_module("airflow.sdk.execution_time.task_runner")
    async with EspoAsyncHook() as hook:
        await hook.get_async_conn()
        # It talks to Airflow as a worker does, lives long, and nobody would ever read what it collects.
        monkeypatch.setattr(runner, "SUPERVISOR_COMMS", object(), raising=False)
        await hook.list_records("Lead")
    assert read_and_written(read_by_somebody) == (set(), set())


def test_a_request_does_not_fail_over_its_lineage(
    sandbox_crm: SandboxCrm, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "add_input_asset", lambda **_: 1 / 0)
    with EspoHook() as hook:
        assert hook.list_records("Account") == []
        # An entity type that is none, which EspoCRM refuses.
        with pytest.raises(EspoApiError):
            hook.request("POST", "MassAction", json={"entityType": "two words", "action": "delete"})


def test_a_script_that_is_no_task_does_not_load_airflows_plugins() -> None:
    code = (
        "import sys, airflow.sdk\n"
        "from airflow_provider_espo import compat\n"
        "print(compat.hook_lineage_collector(), 'airflow_provider_espo.plugins.webhook_receiver' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "None False"
