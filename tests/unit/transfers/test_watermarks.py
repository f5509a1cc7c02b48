"""How far an extraction has come is kept where it is found again, and never goes back."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.extraction import Question
from airflow_provider_espo.client.incremental import Watermark
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.operators.record import EspoListRecordsOperator
from airflow_provider_espo.transfers.watermarks import WatermarkStore, watermark_key
from tests.unit.running import context_of
from tests.unit.transfers.running import AssetStores
from tests.unit.variables import variables_in

ONE, OTHER = Asset("one"), Asset("other")


def context(*, outlets: Any = (), inlets: Any = (), stores: dict[str, Any] | None = None, task_id: str = "task") -> Any:
    task = EspoListRecordsOperator(task_id=task_id, entity_type="Lead", outlets=list(outlets), inlets=list(inlets))
    found = context_of(task)
    if stores is not None:
        found["asset_state_store"] = AssetStores(stores, task)
    return found


def question(entity_type: str = "Lead", **search: Any) -> Question:
    return Question(entity_type=entity_type, search=Search(**search))


# --- where


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        ({"outlets": [ONE, OTHER]}, "one"),
        ({"outlets": [OTHER], "inlets": [ONE]}, "other"),
        ({"inlets": [ONE]}, "one"),
        ({"outlets": [AssetAlias("many"), ONE]}, "one"),
    ],
)
def test_of_several_assets_it_is_the_first_outlet_or_else_inlet(assets: Any, expected: str) -> None:
    stores: dict[str, Any] = {}
    store = WatermarkStore(context(**assets, stores=stores), "key")
    assert store.place == f"asset {expected}"
    store.move(Watermark(value=7), "number")
    assert stores[expected]["key"]["watermark"] == 7
    assert store.read("number") == Watermark(value=7)


@pytest.mark.parametrize("given", [{}, {"outlets": [ONE]}, {"outlets": [AssetAlias("many")], "stores": {}}])
def test_without_an_assets_store_it_is_a_variable(given: Any) -> None:
    kept: dict[str, str] = {}
    with variables_in(kept):
        store = WatermarkStore(context(**given), "key")
        assert store.place == "variable"
        assert store.read("number") is None
        assert store.move(Watermark(value=7, dataset="/data", run="0123456789ab"), "number")
        assert store.read("number") == Watermark(value=7, dataset="/data", run="0123456789ab")
    assert list(kept) == ["key"]


def test_it_never_goes_back() -> None:
    with variables_in({}):
        store = WatermarkStore(context(), "key")
        assert store.move(Watermark(value=7), "number")
        assert not store.move(Watermark(value=6), "number")
        assert store.move(Watermark(value=7, run="0123456789ab"), "number")
        assert store.read("number") == Watermark(value=7, run="0123456789ab")


@pytest.mark.parametrize("kept", ['{"rows": 5}', "[1]", "5", "2026-03-01 00:00:00", "", '"soon"'])
def test_something_else_in_its_place_is_refused_with_what_to_set(kept: str) -> None:
    with variables_in({"key": kept}), pytest.raises(EspoInputError, match=r"kept as key \(variable\)") as refused:
        WatermarkStore(context(), "key").read("modifiedAt")
    assert '{"watermark": "2026-03-01 00:00:00"}' in str(refused.value)


def test_a_moment_is_no_watermark_of_numbers() -> None:
    with (
        variables_in({"key": '{"watermark": "2026-03-01 00:00:00"}'}),
        pytest.raises(EspoInputError, match=r'\{"watermark": 1234\}'),
    ):
        WatermarkStore(context(), "key").read("number")


# --- its name


def test_its_name_tells_dag_and_task_and_the_question() -> None:
    key = watermark_key(context(), question(), "modifiedAt")
    assert key.startswith("espo_watermark__dag__task__")
    others = {
        watermark_key(context(), question("Account"), "modifiedAt"),
        watermark_key(context(), question(primary_filter="actual"), "modifiedAt"),
        watermark_key(context(), question(), "createdAt"),
        watermark_key(context(task_id="other"), question(), "modifiedAt"),
    }
    assert len({key, *others}) == 5


def test_what_is_asked_of_the_records_is_no_matter_for_its_name() -> None:
    assert watermark_key(context(), question(select=["name"]), "modifiedAt") == watermark_key(
        context(), question(select=["status"]), "modifiedAt"
    )


def test_a_name_that_is_too_long_for_a_variable_is_cut_without_mixing() -> None:
    keys = {watermark_key(context(task_id=f"{'t' * 240}{number}"), question(), "modifiedAt") for number in range(3)}
    assert len(keys) == 3
    assert all(len(key) <= 250 for key in keys)
