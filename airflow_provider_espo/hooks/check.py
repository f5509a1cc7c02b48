"""The check behind the connection form's *Test* button."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoError, EspoNotFoundError, EspoTimeoutError
from airflow_provider_espo.client.operations.system import server_version, whoami
from airflow_provider_espo.client.state import new_state

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig
    from airflow_provider_espo.client.sync import EspoClient
    from airflow_provider_espo.client.wire import Record

# Airflow ends a test that takes a minute, and this may take four requests: login, user, version, logout.
_TIMEOUT = 10.0


def check_connection(config: ClientConfig) -> str:
    """Ask EspoCRM who one is, soon and without a second try.

    :param config: settings of the connection.
    :return: one sentence: which EspoCRM, as whom, after how long.
    :raises EspoError: says what is wrong and what to do about it.
    """
    from airflow_provider_espo.client.sync import EspoClient

    config.check_files()
    hasty = replace(
        config,
        max_retries=0,
        requests_per_second=None,
        timeout=min(config.timeout, _TIMEOUT),
        connect_timeout=min(config.connect_timeout, _TIMEOUT),
    )
    # A state of its own: what a test learns of unsaved settings must not stay.
    with EspoClient(hasty, new_state(hasty)) as client:
        started = time.monotonic()
        user = _user(client)
        took = time.monotonic() - started
        version = _version(client)
    return (
        f"Connected to EspoCRM {version or '(which does not tell its version)'} at {config.site_url} "
        f"as {user['user_name']} ({user['type']} user), answered in {took * 1000:.0f} ms."
    )


def _user(client: EspoClient) -> Record:
    try:
        user = client.run(whoami(client.state))
    except EspoNotFoundError as error:
        error.hint = f"{client.state.config.site_url} has no EspoCRM API: check host, port and sub-path"
        raise
    except EspoTimeoutError as error:
        if error.outcome_unknown:
            error.hint = "Something took the connection but did not answer: check host and port, and the server's load"
        raise
    if not user["user_name"]:
        raise EspoBadAnswerError("The answer is JSON, but not of EspoCRM", method="GET", path="App/user")
    return user


def _version(client: EspoClient) -> str | None:
    try:
        return client.run(server_version(client.state))
    except EspoError:
        # Who one is was answered: that is a connection, whatever is the matter with this.
        return None
