"""Airflow's database fails: what EspoCRM is to send again, and that no delivery is lost or doubled by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from airflow_provider_espo.plugins import webhook_receiver_app
from airflow_provider_espo.sandbox.webhook_sender import outcome_of
from tests.system.receiver import NAME, SITE, Known, Listening, body_of, deliver, signatures


async def test_without_a_database_the_delivery_is_asked_for_again_and_then_recorded(
    client: httpx.AsyncClient,
    webhook: Known,
    listening: Listening,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    told: Callable[[httpx.Response], str],
) -> None:
    body = body_of("a1", name=NAME)
    with monkeypatch.context() as patch:
        without_database(patch, tmp_path)
        response = await deliver(client, webhook, body)
        assert (response.status_code, outcome_of(response.status_code)) == (503, "retry")
        for secret in (NAME, webhook.secret, *signatures(webhook, body)):
            assert secret not in told(response)
    assert listening.events() == []
    assert (await deliver(client, webhook, body)).json()["outcome"] == "recorded"


async def test_a_database_that_fails_while_the_event_is_written_leaves_nothing(
    client: httpx.AsyncClient, webhook: Known, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.orm import Session

    def fail(_session: Session) -> None:
        raise OperationalError("INSERT", {"name": NAME}, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", fail)
        assert (await deliver(client, webhook, body_of("a1"))).status_code == 503
    assert listening.events() == []
    assert not listening.is_dag_queued()
    assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "recorded"


async def test_an_answer_that_got_lost_after_the_event_was_stored_makes_no_second_event(
    client: httpx.AsyncClient, webhook: Known, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.orm import Session

    commit = Session.commit

    def lose_the_answer(session: Session) -> None:
        commit(session)
        raise OperationalError("COMMIT", {}, Exception("connection lost"))

    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", lose_the_answer)
        # Of what the Variable is read with, nothing changes.
        patch.setattr(webhook_receiver_app, "find_webhook", lambda _id: kept_of(webhook))
        assert (await deliver(client, webhook, body_of("a1"))).status_code == 503
    assert (await deliver(client, webhook, body_of("a1"))).json()["outcome"] == "repeat"
    assert len(listening.events()) == 1


def kept_of(webhook: Known) -> Any:
    from airflow_provider_espo.client.webhook_secret import WebhookSecret

    return WebhookSecret(webhook.secret, "Lead.create", "http://127.0.0.1/", SITE)


def without_database(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have Airflow's sessions go to a database that cannot be opened."""
    from airflow import settings
    from sqlalchemy import create_engine
    from sqlalchemy.orm import scoped_session, sessionmaker

    nowhere = sessionmaker(create_engine(f"sqlite:///{folder}/missing/airflow.db"))
    patch.setattr(settings, "NonScopedSession", nowhere)
    patch.setattr(settings, "Session", scoped_session(nowhere))
