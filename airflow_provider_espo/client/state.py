"""What all clients of one connection share in a process: token, request budget, known schemas."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_espo.client.auth import TokenHolder
from airflow_provider_espo.client.budget import RequestBudget
from airflow_provider_espo.client.retry import RetryPolicy

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig
    from airflow_provider_espo.client.schema import EntitySchema


@dataclass
class ClientState:
    """A connection's settings and what was learnt over it.

    :param config: the settings.
    :param retry: when requests are repeated.
    :param budget: spaces the requests.
    :param token: auth token of a ``token`` connection.
    :param schemas: attributes and links by entity type, as the server described them.
    :param user_id: id of the connection's user, once asked for.
    :param clock: seconds since any moment, for the budget.
    :param wall_clock: seconds since the epoch, for dates that the server gives.
    """

    config: ClientConfig
    retry: RetryPolicy
    budget: RequestBudget
    token: TokenHolder = field(default_factory=TokenHolder)
    schemas: dict[str, EntitySchema] = field(default_factory=dict)
    user_id: str | None = None
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


_states: dict[str, ClientState] = {}
_lock = threading.Lock()


def shared_state(config: ClientConfig) -> ClientState:
    """Return the state of all clients in this process that have the same settings.

    So mapped tasks of one process, triggers of one triggerer and hooks made one after another log in once, learn the
    schema once and keep one budget.
    """
    key = _key(config)
    with _lock:
        if key not in _states:
            _states[key] = new_state(config)
        return _states[key]


def new_state(config: ClientConfig) -> ClientState:
    """Return a state of its own, shared with nobody."""
    return ClientState(
        config=config,
        retry=RetryPolicy(max_retries=config.max_retries, max_server_wait=config.max_server_wait),
        budget=RequestBudget(config.requests_per_second),
    )


def forget_shared_states() -> None:
    """Forget everything learnt (for tests)."""
    with _lock:
        _states.clear()


def _key(config: ClientConfig) -> str:
    # A digest, so that no secret stands in a dict key that a debugger or a heap dump shows.
    facts = [
        (name, sorted(value.items()) if isinstance(value, dict) else value)
        for name, value in sorted(vars(config).items())
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()
