from __future__ import annotations

import inspect
import pydoc
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest
import requests_mock
import respx

from airflow_provider_espo.client import methods, operations
from airflow_provider_espo.client.aio import EspoAsyncClient
from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.client.methods import AsyncMethods, BlockingMethods
from airflow_provider_espo.client.operations import listing, records
from airflow_provider_espo.client.sync import EspoClient

CONFIG = ClientConfig(site_url="http://crm.example.com", secret="key", max_retries=0)
pytestmark = pytest.mark.usefixtures("bare_environment")


def methods_of(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


NAMES = sorted(methods_of(BlockingMethods))


def test_both_clients_have_the_same_methods() -> None:
    assert sorted(methods_of(AsyncMethods)) == NAMES
    assert len(NAMES) >= 17
    assert {"get_record", "iter_records", "write_many", "request"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_takes_the_same_arguments_in_both_and_never_the_state(name: str) -> None:
    blocking, awaiting = inspect.signature(getattr(EspoClient, name)), inspect.signature(getattr(EspoAsyncClient, name))
    assert blocking == awaiting
    assert next(iter(blocking.parameters)) == "self"
    assert "state" not in blocking.parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [EspoClient, EspoAsyncClient])
def test_help_shows_the_name_the_text_and_the_arguments(kind: type, name: str) -> None:
    method = getattr(kind, name)
    text = pydoc.plain(pydoc.render_doc(method))
    # Python 3.13 puts each argument of many on a line of its own.
    assert re.search(rf"\b{name}\(\s*self", text)
    assert (method.__name__, method.__qualname__.rpartition(".")[2]) == (name, name)
    assert "Return" in text or ":return:" in text or "Yield" in text
    for argument in list(inspect.signature(method).parameters.values())[1:]:
        assert argument.name in text
        # Some take the arguments of another method and say so.
        explained = f":param {argument.name}:" in text or ":meth:" in text
        assert explained or argument.kind is argument.VAR_KEYWORD, f"{name} does not say what {argument.name} is"


@pytest.mark.parametrize("name", NAMES)
def test_the_kind_of_each_method_is_what_callers_and_tools_expect(name: str) -> None:
    blocking, awaiting = getattr(EspoClient, name), getattr(EspoAsyncClient, name)
    assert not inspect.iscoroutinefunction(blocking)
    if name.startswith("iter_"):
        assert inspect.isasyncgenfunction(awaiting)
    else:
        assert inspect.iscoroutinefunction(awaiting)


def test_the_arguments_are_those_of_the_operation() -> None:
    for name, operation in (("create_record", records.create_record), ("iter_records", listing.iter_records)):
        _state, *arguments = inspect.signature(operation).parameters.values()
        _self, *shown = inspect.signature(getattr(EspoClient, name)).parameters.values()
        assert shown == arguments
        assert getattr(EspoClient, name).__doc__ == operation.__doc__


def test_a_subclass_may_have_a_method_of_its_own() -> None:
    class Own(BlockingMethods):
        def get_record(self, *args: Any, **kwargs: Any) -> Any:
            inherited: Any = super()
            return "own", inherited.get_record

    name, inherited = Own().get_record()
    assert name == "own"
    assert inherited.__name__ == "get_record"


def test_an_operation_that_is_not_there_is_an_error_when_it_is_looked_at() -> None:
    module: Any = vars(methods)["records"]

    class Wrong:
        nothing = methods.blocking(module.no_such_operation)

    with pytest.raises(AttributeError, match="no_such_operation"):
        _ = Wrong.nothing


def test_importing_the_hook_loads_no_operation_until_one_is_used() -> None:
    code = f"""
import sys
import airflow_provider_espo.hooks.espo as espo
loaded = [name for name in sys.modules if name.startswith({operations.__name__!r})]
assert loaded == [], loaded
assert "airflow_provider_espo.client.wire" not in sys.modules
help_text = espo.EspoHook.get_record.__doc__
assert help_text.startswith("Read one record")
assert {operations.__name__ + ".records"!r} in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_argument_is_a_type_error_at_the_call() -> None:
    with EspoClient(CONFIG) as client, pytest.raises(TypeError, match="colour"):
        client.get_record("Lead", "id1", colour="red")  # type: ignore[call-arg]


async def test_the_same_call_gives_the_same_in_both() -> None:
    with requests_mock.Mocker() as mocker:
        mocker.get("http://crm.example.com/api/v1/Lead/id1", json={"id": "id1", "name": "x"})
        mocker.get("http://crm.example.com/api/v1/Lead", json={"total": 1, "list": [{"id": "id1"}]})
        with EspoClient(CONFIG) as client:
            record = client.get_record("Lead", "id1")
            rows = list(client.iter_records("Lead", validate=False))
    async with respx.mock() as router:
        router.get("http://crm.example.com/api/v1/Lead/id1").mock(
            return_value=httpx.Response(200, json={"id": "id1", "name": "x"})
        )
        router.get(url__startswith="http://crm.example.com/api/v1/Lead?").mock(
            return_value=httpx.Response(200, json={"total": 1, "list": [{"id": "id1"}]})
        )
        async with EspoAsyncClient(CONFIG) as aio:
            assert await aio.get_record("Lead", "id1") == record
            assert [row async for row in aio.iter_records("Lead", validate=False)] == rows
    assert record == {"id": "id1", "name": "x"}
    assert rows == [{"id": "id1"}]


async def test_what_stops_many_writes_is_raised_with_the_outcomes_so_far_in_both() -> None:
    rows = [{"id": f"id{number}"} for number in range(2)]
    with requests_mock.Mocker() as mocker:
        mocker.delete(requests_mock.ANY, status_code=401)
        with EspoClient(CONFIG) as client, pytest.raises(EspoError) as caught:
            client.write_many("Lead", rows, operation="delete")
    async with respx.mock() as router:
        router.delete(url__startswith="http://crm.example.com/").mock(return_value=httpx.Response(401))
        async with EspoAsyncClient(CONFIG) as aio:
            with pytest.raises(EspoError) as caught_aio:
                await aio.write_many("Lead", rows, operation="delete")
    assert type(caught.value) is type(caught_aio.value)
    assert [outcome["action"] for outcome in caught.value.outcomes] == ["failed", "failed"]
    assert len(caught_aio.value.outcomes) == 2
