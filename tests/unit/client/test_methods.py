"""Operations as methods: named, documented, the same on both kinds of client, and imported when they are needed."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_espo.client import methods, operations
from airflow_provider_espo.client.methods import AsyncMethods, BlockingMethods
from airflow_provider_espo.client.operations import bulk, listing, records


def names(of: type[Any]) -> list[str]:
    return sorted(name for name in vars(of) if not name.startswith("_"))


def test_both_kinds_of_client_have_the_same_methods() -> None:
    assert names(BlockingMethods) == names(AsyncMethods)


@pytest.mark.parametrize("name", names(BlockingMethods))
def test_a_method_is_named_documented_and_called_as_its_operation(name: str) -> None:
    for kind in (BlockingMethods, AsyncMethods):
        method = getattr(kind, name)
        assert method.__name__ == name
        assert method.__doc__
        assert next(iter(inspect.signature(method).parameters)) == "self"
    assert inspect.signature(getattr(BlockingMethods, name)) == inspect.signature(getattr(AsyncMethods, name))


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        (BlockingMethods.get_record, records.get_record),
        (BlockingMethods.iter_records, listing.iter_records),
        (BlockingMethods.write_many, bulk.write_many),
    ],
)
def test_arguments_are_the_operations_without_the_state(method: Any, operation: Any) -> None:
    _state, *arguments = inspect.signature(operation).parameters.values()
    _itself, *taken = inspect.signature(method).parameters.values()
    assert taken == arguments
    assert method.__doc__ == operation.__doc__


def test_methods_are_of_the_kind_that_callers_await_or_iterate() -> None:
    assert inspect.iscoroutinefunction(AsyncMethods.get_record)
    assert inspect.iscoroutinefunction(AsyncMethods.write_many)
    assert inspect.isasyncgenfunction(AsyncMethods.iter_records)


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
