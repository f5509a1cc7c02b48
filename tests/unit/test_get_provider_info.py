from __future__ import annotations

import importlib
import json
import logging
import pkgutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import pytest
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
from jsonschema import Draft7Validator
from structlog.testing import capture_logs

import airflow_provider_espo
from airflow_provider_espo.get_provider_info import get_provider_info


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("airflow").joinpath(name).read_text())
    return loaded


def test_it_fits_the_schema_that_airflow_checks_at_run_time() -> None:
    Draft7Validator(schema("provider_info.schema.json")).validate(get_provider_info())


@pytest.mark.parametrize("part", sorted(get_provider_info()))
def test_each_part_fits_the_stricter_schema_of_airflows_own_providers(part: str) -> None:
    whole = schema("provider.yaml.schema.json")
    validator = Draft7Validator({**whole["properties"][part], "definitions": whole.get("definitions", {})})
    validator.validate(get_provider_info()[part])


def test_it_is_what_the_entry_point_gives() -> None:
    (entry_point,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.module.startswith("airflow_provider_espo")
    ]
    assert entry_point.load()() == get_provider_info()


def test_every_call_gives_a_dictionary_of_its_own() -> None:
    # Airflow adds keys to what it gets.
    get_provider_info()["connection-types"].clear()
    assert get_provider_info()["connection-types"]


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_the_listed_modules_are_those_of_the_package(kind: str) -> None:
    bases: Mapping[str, type] = {
        "hooks": BaseHook,
        "operators": BaseOperator,
        "sensors": BaseSensorOperator,
        "triggers": BaseTrigger,
    }
    package = importlib.import_module(f"airflow_provider_espo.{kind}")
    existing = set()
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        own = [value for value in vars(module).values() if getattr(value, "__module__", "") == found.name]
        if any(isinstance(it, type) and issubclass(it, bases[kind]) and it.__name__.startswith("Espo") for it in own):
            existing.add(found.name)
    existing -= {f"{package.__name__}.base", "airflow_provider_espo.triggers.events"}
    listed = [name for group in get_provider_info().get(kind, []) for name in group["python-modules"]]
    assert listed == sorted(existing)


def test_the_listed_transfers_are_those_of_the_package() -> None:
    listed = get_provider_info()["transfers"]
    assert {one["python-module"] for one in listed} == {
        f"airflow_provider_espo.transfers.{name}" for name in ("object_storage", "partitions", "sql", "to_espo")
    }
    for one in listed:
        importlib.import_module(one["python-module"])
        ends = {one["source-integration-name"], one["target-integration-name"]}
        assert "EspoCRM" in ends
        # Integrations of providers that come with Airflow.
        assert ends - {"EspoCRM"} <= {"Common IO", "Common SQL"}


def test_modules_belong_to_an_integration_that_is_described() -> None:
    info = get_provider_info()
    described = {integration["integration-name"] for integration in info["integrations"]}
    for kind in ("hooks", "operators", "sensors", "triggers"):
        assert {group["integration-name"] for group in info.get(kind, [])} <= described


def test_asking_for_it_imports_neither_airflow_nor_any_building_block() -> None:
    code = (
        "import sys\n"
        "from airflow_provider_espo.get_provider_info import get_provider_info\n"
        "get_provider_info()\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('airflow', 'requests', 'httpx', 'msgspec')\n"
        "       or m.startswith(('airflow_provider_espo.hooks', 'airflow_provider_espo.operators'))])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


class TestProvidersManager:
    """What Airflow makes of it."""

    @pytest.fixture
    def manager(self, caplog: pytest.LogCaptureFixture) -> Any:
        from airflow.providers_manager import ProvidersManager

        manager: Any = ProvidersManager  # its methods have no types
        manager = manager()
        manager._cleanup()
        # Airflow 3.1 has its form service put mocks into their place, and leaves them there: a form that is made later
        # in the same process, of mocks without the service, is refused with its hook.
        forms = ("wtforms", "flask_babel", "flask_appbuilder")
        there = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in forms}
        with caplog.at_level(logging.WARNING):
            yield manager
        for name in [name for name in sys.modules if name.partition(".")[0] in forms and name not in there]:
            del sys.modules[name]
        ours = [record.getMessage() for record in caplog.records if "espo" in record.getMessage().lower()]
        assert ours == []

    def test_the_provider_is_found_under_its_distribution_name(self, manager: Any) -> None:
        provider = manager.providers["airflow-provider-espo"]
        assert provider.version == airflow_provider_espo.__version__
        # Airflow before 3.3 leaves the space in that stands before it in the package's metadata.
        assert provider.data["documentation-url"].strip().startswith("https://")

    def test_the_hook_loads_without_a_word_and_can_test_connections(self) -> None:
        runtime: Any
        try:
            from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime as runtime
        except ImportError:  # before Airflow 3.2 one manager knew it all
            from airflow.providers_manager import ProvidersManager as runtime
        runtime()._cleanup()
        with capture_logs() as logged:
            hook = runtime().hooks["espo"]
        assert [entry for entry in logged if "espo" in str(entry).lower()] == []
        assert hook is not None
        assert hook.hook_class_name == "airflow_provider_espo.hooks.espo.EspoHook"
        assert (hook.connection_type, hook.hook_name) == ("espo", "EspoCRM")
        assert hook.connection_id_attribute_name == "espo_conn_id"
        assert hook.connection_testable

    @staticmethod
    def form() -> Any:
        """The connection form as Airflow gives it to the browser."""
        from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

        (meta,) = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "espo"]
        return meta

    # Airflow 3.2 warns of what its own form service does.
    @pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
    def test_the_form_is_there(self, manager: Any) -> None:
        meta = self.form()
        assert meta.hook_name == "EspoCRM"
        assert meta.standard_fields is not None
        assert meta.standard_fields.host is not None
        assert meta.standard_fields.host.title == "Site URL"
        extra: Any = meta.extra_fields
        assert extra["auth_method"]["schema"]["enum"] == ["api_key", "hmac", "basic", "token"]
        assert extra["auth_method"]["value"] == "api_key"
        assert extra["verify"]["value"] is True

    @pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
    def test_secrets_of_the_form_are_sensitive(self, manager: Any) -> None:
        fields = self.form().extra_fields
        hidden = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
        assert hidden == {"headers", "proxies"}

    def test_every_dotted_name_can_be_imported(self, manager: Any) -> None:
        info = get_provider_info()
        for kind in ("hooks", "operators", "sensors", "triggers"):
            for group in info.get(kind, []):
                for module in group["python-modules"]:
                    importlib.import_module(module)
        for kind in ("notifications", "extra-links"):
            for name in info.get(kind, []):
                pkgutil.resolve_name(name)
        for uri in info["asset-uris"]:
            for key in ("handler", "factory", "to_openlineage_converter"):
                assert callable(pkgutil.resolve_name(uri[key]))
        for connection_type in info["connection-types"]:
            pkgutil.resolve_name(connection_type["hook-class-name"])
