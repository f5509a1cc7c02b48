from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from airflow_provider_espo.client import state as state_module
from airflow_provider_espo.client.config import AuthMethod, ClientConfig
from airflow_provider_espo.client.state import forget_shared_states, new_state, shared_state

CONFIG = ClientConfig(
    site_url="https://crm.example.com",
    secret="MARKER",
    proxies={"https": "http://u:MARKER@proxy"},
    headers={"X-A": "MARKER"},
)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    forget_shared_states()
    yield
    forget_shared_states()


def test_clients_with_equal_settings_share_what_they_learn() -> None:
    one = shared_state(CONFIG)
    other = shared_state(replace(CONFIG, headers={"X-A": "MARKER"}))
    assert one is other
    assert one.budget is other.budget


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "other"}, {"site_url": "https://other.example.com"}, {"auth_method": AuthMethod.BASIC},
        {"login": "x"},
        {"act_as": "sales"}, {"portal_id": "p"}, {"requests_per_second": 1.0}, {"max_retries": 0}, {"headers": {}},
        {"proxies": {}}, {"verify": False}, {"timeout": 1.0},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_other_settings_share_nothing(changes: dict[str, object]) -> None:
    assert shared_state(replace(CONFIG, **changes)) is not shared_state(CONFIG)  # type: ignore[arg-type]


def test_the_order_in_which_headers_were_given_does_not_matter() -> None:
    first = replace(CONFIG, headers={"A": "1", "B": "2"})
    second = replace(CONFIG, headers={"B": "2", "A": "1"})
    assert shared_state(first) is shared_state(second)


def test_a_new_state_is_shared_with_nobody() -> None:
    assert new_state(CONFIG) is not new_state(CONFIG)
    assert new_state(CONFIG) is not shared_state(CONFIG)


def test_settings_reach_the_retries_and_the_budget() -> None:
    state = new_state(replace(CONFIG, max_retries=7, requests_per_second=2.0))
    assert state.retry.max_retries == 7
    assert [state.budget.reserve(0.0) for _ in range(2)] == [0, 0.5]


def test_no_secret_stands_in_the_keys_or_the_repr() -> None:
    state = shared_state(CONFIG)
    assert "MARKER" not in repr(list(state_module._states)) + repr(state)


def test_threads_that_come_at_once_get_one_state() -> None:
    found = []
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        found.append(shared_state(CONFIG))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(state) for state in found}) == 1
