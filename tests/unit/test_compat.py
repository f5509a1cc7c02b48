from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import airflow
import pytest
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoConfigError
from tests.unit.airflows import AirflowNotFoundException, hide_names
from tests.unit.variables import variables_in


@pytest.fixture(autouse=True)
def _fresh_masker() -> Iterator[None]:
    reset_secrets_masker()
    yield
    reset_secrets_masker()


def test_airflow_version_is_the_installed_one() -> None:
    assert compat.airflow_version() == airflow.__version__


def test_a_worker_with_the_task_sdk_alone_names_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(airflow, "__version__")
    # Airflow's core finds lost attributes again by a module-level __getattr__.
    monkeypatch.delattr(airflow, "__getattr__")
    assert compat.airflow_version() == f"sdk-{airflow.sdk.__version__}"


@pytest.mark.parametrize("with_sdk_configuration", [True, False])
def test_default_deferrable_follows_the_configuration(
    monkeypatch: pytest.MonkeyPatch, with_sdk_configuration: bool
) -> None:
    if not with_sdk_configuration:
        hide_names(monkeypatch, "airflow.sdk.configuration", None)
    monkeypatch.delenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", raising=False)
    assert compat.default_deferrable() is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "true")
    assert compat.default_deferrable() is True


@pytest.mark.parametrize("with_sdk_configuration", [True, False])
def test_how_many_tasks_may_be_mapped_follows_the_configuration(
    monkeypatch: pytest.MonkeyPatch, with_sdk_configuration: bool
) -> None:
    if not with_sdk_configuration:
        hide_names(monkeypatch, "airflow.sdk.configuration", None)
    monkeypatch.delenv("AIRFLOW__CORE__MAX_MAP_LENGTH", raising=False)
    assert compat.max_map_length() == 1024
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "17")
    assert compat.max_map_length() == 17


def test_masked_texts_do_not_appear_in_logs() -> None:
    compat.mask(["s3cret-one", "s3cret-two"])
    assert redact("a s3cret-one, a s3cret-two, a plain-three") == "a ***, a ***, a plain-three"


def test_of_an_object_the_values_with_telling_names_are_masked() -> None:
    compat.mask({"password": "s3cret-one", "auth_method": "token"})
    assert redact("s3cret-one token") == "*** token"


async def test_masking_from_an_event_loop() -> None:
    await compat.amask(["s3cret-one"])
    assert redact("s3cret-one") == "***"


async def test_without_amask_secret_the_waiting_is_done_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_names(monkeypatch, "airflow.sdk.log", ["amask_secret"])
    threads: list[str] = []
    real = compat.mask

    def watched(secret: Any) -> None:
        threads.append(threading.current_thread().name)
        real(secret)

    monkeypatch.setattr(compat, "mask", watched)
    await compat.amask(["s3cret-one"])
    assert redact("s3cret-one") == "***"
    assert threads
    assert threads[0] != threading.current_thread().name


class TestConnection:
    @pytest.fixture(params=["sync", "async"])
    def get(self, request: pytest.FixtureRequest) -> Callable[[str], tuple[Any, dict[str, Any]]]:
        if request.param == "sync":
            return compat.get_connection
        return lambda conn_id: asyncio.run(compat.aget_connection(conn_id))

    def test_connection_and_extra_come_together(
        self, get: Callable[[str], tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        value = {"conn_type": "espo", "host": "crm.example.com", "password": "k3y-of-it"}
        extra = {"timeout": 30, "api_key": "s3cret-in-a-wrong-place"}
        monkeypatch.setenv("AIRFLOW_CONN_CRM", json.dumps({**value, "extra": extra}))
        connection, got = get("crm")
        assert connection.host == "crm.example.com"
        assert got == extra
        assert redact("k3y-of-it s3cret-in-a-wrong-place") == "*** ***"

    def test_no_extra_is_an_empty_one(
        self, get: Callable[[str], tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_CRM", "espo://:k3y-of-it@crm.example.com")
        assert get("crm")[1] == {}

    def test_broken_extra_is_not_an_empty_one(
        self, get: Callable[[str], tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_CRM", json.dumps({"conn_type": "espo", "host": "crm", "extra": "{no json"}))
        # Airflow 3.1 itself calls it a connection that is not there.
        with pytest.raises((EspoConfigError, AirflowNotFoundException), match=r"not a JSON object|`crm`"):
            get("crm")

    def test_an_unknown_connection_is_airflows_error(self, get: Callable[[str], tuple[Any, dict[str, Any]]]) -> None:
        with pytest.raises(AirflowNotFoundException, match="no_such_crm"):
            get("no_such_crm")


def test_task_state_store_is_found_where_airflow_gives_one() -> None:
    store = object()
    assert compat.task_state_store({"task_state_store": store}) is store
    assert compat.task_state_store({"ti": object()}) is None


@pytest.mark.parametrize(("with_keys", "names"), [(True, ["espo_a", "espo_b"]), (False, [])])
def test_names_of_variables_are_known_where_airflow_tells_them(with_keys: bool, names: list[str]) -> None:
    with variables_in({"espo_a": "1", "other": "2", "espo_b": "3"}, with_keys=with_keys):
        assert compat.variable_names("espo_") == names
