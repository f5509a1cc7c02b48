"""The file that Airflow's provider registry reads says what the package has."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from airflow_provider_espo.get_provider_info import KINDS, PACKAGE_NAME
from dev.write_registry import FILE, building_blocks

yaml: Any = importlib.import_module("yaml")  # comes with Airflow, without types


@pytest.fixture(scope="module")
def registry() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return loaded


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_lists_every_building_block_with_its_own_words(registry: dict[str, Any], kind: str) -> None:
    listed = {entry["module"]: entry["description"] for entry in registry[kind]}
    assert listed == building_blocks(kind), "run: python -m dev.write_registry"
    assert all(listed.values())


def test_building_blocks_are_found_and_their_base_classes_are_not(registry: dict[str, Any]) -> None:
    names = {entry["module"].rpartition(".")[2] for kind in KINDS for entry in registry[kind]}
    assert names >= {"EspoHook", "EspoAsyncHook", "EspoUpsertRecordOperator", "EspoRecordSensor"}
    assert names >= {"EspoRecordEventTrigger", "EspoStreamEventTrigger"}
    assert not names & {"EspoOperator", "EspoEventTrigger"}


def test_it_is_about_this_package(registry: dict[str, Any]) -> None:
    assert registry["package-name"] == PACKAGE_NAME
    assert registry["docs-url"].startswith("https://")
