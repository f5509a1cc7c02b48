"""A DAG file is parsed all the time: what it imports must not drag in what only a running task needs.

How many milliseconds it takes is measured by ``benchmarks/import_time.py``; here is what must not be loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_provider_espo.get_provider_info import python_modules

MODULES = [name for kind in ("hooks", "operators", "sensors", "transfers") for name in python_modules(kind)]

# Other providers and plugins of an installation may load anything with airflow.sdk; only what comes after counts.
CODE = """
import importlib, json, sys
import airflow.sdk
airflow.sdk.BaseOperator, airflow.sdk.BaseSensorOperator, airflow.sdk.BaseHook, airflow.sdk.DAG
for name in sys.argv[2].split(","):
    sys.modules.pop(name, None)
before = set(sys.modules)
for name in sys.argv[1].split(","):
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(
    modules: list[str], *, forget: tuple[str, ...] = ("httpx", "requests", "airflow.triggers.base")
) -> list[str]:
    """Names of the modules that importing these loads, once ``airflow.sdk`` is there.

    :param forget: modules to drop first, so that one that Airflow had loaded is seen if it is imported again.
    """
    result = subprocess.run(
        [sys.executable, "-c", CODE, ",".join(modules), ",".join(forget)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    return loaded_by(MODULES)


@pytest.mark.parametrize(
    "name",
    [
        "requests",
        "httpx",
        "aiohttp",
        "pandas",
        "pyarrow",
        "msgspec",
        "sqlalchemy",
        "starlette",
        "uvicorn",
        "airflow.triggers",
        "airflow_provider_espo.client.sync",
        "airflow_provider_espo.client.aio",
        "airflow_provider_espo.client.operations",
        "airflow_provider_espo.client.dataset",
        "airflow_provider_espo.client.extraction",
        "airflow_provider_espo.triggers",
        "airflow_provider_espo.sandbox",
        "airflow_provider_espo.testing",
    ],
)
def test_a_dag_file_does_not_load_it(loaded: list[str], name: str) -> None:
    assert [module for module in loaded if module == name or module.startswith(f"{name}.")] == []


def test_nothing_beyond_the_standard_library_and_airflow_is_loaded(loaded: list[str]) -> None:
    ours = {"airflow", "airflow_provider_espo"}
    assert {name.split(".")[0] for name in loaded} - ours - set(sys.stdlib_module_names) == set()


def test_every_kind_of_module_is_looked_at() -> None:
    assert {name.split(".")[1] for name in MODULES} >= {"hooks", "operators", "sensors", "transfers"}


def test_the_check_sees_what_it_looks_for() -> None:
    assert "httpx" in loaded_by(["httpx"])
    assert "airflow.triggers.base" in loaded_by(["airflow.triggers.base"])
    assert "airflow_provider_espo.client.sync" in loaded_by(["airflow_provider_espo.client.sync"])
