"""The CRM registers a webhook, delivers to the receiver over the network, and the event is what the DAG gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_espo.client.state import forget_shared_states
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.plugins.webhook_receiver_settings import ReceiverSettings
from airflow_provider_espo.sandbox.server import SandboxServer
from airflow_provider_espo.sandbox.settings import Settings
from tests.system.conftest import Crm
from tests.system.receiver import Listening, serving
from tests.unit.sandbox.asking import Asker

Run = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A sandbox that may deliver to this machine, and does so when it is told to."""
    settings = Settings(webhooks_internal=True, webhook_retry_after=0)
    with SandboxServer(webhook_delay=3600, settings=settings) as one:
        yield one
    forget_shared_states()


@pytest.fixture
def crm(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    connection = {"conn_type": "espo", "host": server.url, "password": server.credentials["api_key"]}
    monkeypatch.setenv("AIRFLOW_CONN_ESPO_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("ESPO_SITE_URL", server.url)
    with EspoHook() as hook:
        yield Crm(hook, server.sandbox)


@pytest.fixture
def sales(server: SandboxServer) -> Asker:
    """Somebody else than the connection's user, of whom the webhook does not tell."""
    return Asker(server.sandbox, dict(server.credentials), {}).as_user("sales")


@pytest.fixture
def receiver(airflow_database: None) -> Iterator[str]:
    with serving(ReceiverSettings(enabled=True)) as url:
        yield f"{url}/espo/webhooks"


@pytest.fixture
def listening(crm: Crm) -> Listening:
    site = crm.hook.config.site_url
    return Listening("on_webhook", f"espo://{site.partition('://')[2]}/Lead", site)


@pytest.fixture
def run_with_events(run_dag: Run, listening: Listening, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the DAG with the asset's events, as the scheduler does."""
    from airflow.models import dagrun

    get_or_create = dagrun.get_or_create_dagrun

    def with_events(*args: Any, session: Any, **kwargs: Any) -> Any:
        from airflow.models.asset import AssetEvent, AssetModel
        from sqlalchemy import select

        run = get_or_create(*args, session=session, **kwargs)
        of_the_asset = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        events = session.scalars(of_the_asset.where(AssetModel.uri == listening.uri)).all()
        run.consumed_asset_events.extend(events)
        session.commit()
        return run

    @contextmanager
    def patched() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(dagrun, "get_or_create_dagrun", with_events)
            yield

    def run(**params: Any) -> Any:
        with patched():
            return run_dag("on_webhook", **params)

    return run


def test_new_leads_in_the_crm_are_taken_up_by_the_dag(
    crm: Crm,
    server: SandboxServer,
    sales: Asker,
    receiver: str,
    listening: Listening,
    run_dag: Run,
    run_with_events: Run,
    result_of: Callable[..., Any],
) -> None:
    first = run_dag("on_webhook", url=receiver)
    assert str(first.state) == "success"
    assert result_of(first, "register")["action"] == "created"
    assert result_of(first, "take_up") == {"told": 0, "assigned": 0, "gone": 0}

    own = crm.hook.create_record("Lead", {"lastName": "Own"}, on_duplicate="force")["id"]
    ids = [sales.create("Lead", lastName=name)["id"] for name in ("Nowak", "Wójcik", "Kowalczyk")]
    assert server.sandbox.webhooks.run() == 1
    [event] = listening.events()
    assert (event["event"], event["ids"], event["count"]) == ("create", ids, 3)
    assert server.sandbox.webhooks.waiting() == 0

    crm.hook.update_record("Lead", ids[1], {"status": "In Process"})
    crm.hook.delete_record("Lead", ids[2])
    second = run_with_events(url=receiver)
    assert str(second.state) == "success"
    assert result_of(second, "register")["action"] == "unchanged"
    assert result_of(second, "take_up") == {"told": 3, "assigned": 1, "gone": 1}
    statuses = {one: crm.hook.get_record("Lead", one)["status"] for one in [own, *ids[:2]]}
    assert list(statuses.values()) == ["New", "Assigned", "In Process"]


def test_a_delivery_is_tried_again_until_airflow_knows_the_key(
    server: SandboxServer,
    sales: Asker,
    receiver: str,
    listening: Listening,
    run_dag: Run,
    result_of: Callable[..., Any],
) -> None:
    from airflow.models import Variable

    name = result_of(run_dag("on_webhook", url=receiver), "register")["secret_variable"]
    kept = Variable.get(name)
    Variable.delete(name)
    lead = sales.create("Lead", lastName="Nowak")["id"]
    assert server.sandbox.webhooks.run() == 1
    assert listening.events() == []
    assert server.sandbox.webhooks.waiting() == 1

    Variable.set(name, kept)
    assert server.sandbox.webhooks.run() == 1
    assert [event["ids"] for event in listening.events()] == [[lead]]
    assert server.sandbox.webhooks.waiting() == 0
