from __future__ import annotations

import base64

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.throttle import LoginThrottle
from tests.unit.sandbox.asking import Asker


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_eleventh_failure_blocks_and_a_minute_later_it_is_over() -> None:
    time = Time()
    throttle = LoginThrottle(clock=time)
    for _ in range(10):
        throttle.record_failure("a")
        assert not throttle.is_blocked("a")
    time.now += 30
    throttle.record_failure("a")
    assert throttle.is_blocked("a")
    assert not throttle.is_blocked("b")
    time.now += 29.9
    assert throttle.is_blocked("a")
    time.now += 0.1
    assert not throttle.is_blocked("a")


def test_switched_off_it_never_blocks() -> None:
    throttle = LoginThrottle(enabled=False)
    for _ in range(100):
        throttle.record_failure("a")
    assert not throttle.is_blocked("a")


def test_blocked_address_is_refused_with_a_good_key_but_not_with_a_token() -> None:
    time = Time()
    sandbox = Sandbox(throttle=LoginThrottle(clock=time))
    credentials = ensure_fixture(sandbox.storage)
    crm = Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    pair = f"sales:{credentials['sales_password']}"
    login = {"X-Api-Key": "", "Espo-Authorization": base64.b64encode(pair.encode()).decode()}
    token = crm.ok("GET", "App/user", headers=login)["token"]
    for _ in range(11):
        assert crm.send("GET", "App/user", headers={"X-Api-Key": "wrong"}).status == 401
    assert crm.send("GET", "App/user").status == 403
    by_token = {
        "Espo-Authorization": base64.b64encode(f"sales:{token}".encode()).decode(),
        "Espo-Authorization-By-Token": "true",
    }
    assert crm.send("GET", "App/user", headers=by_token).status == 200
    time.now += 60
    assert crm.send("GET", "App/user").status == 200
    sandbox.close()
