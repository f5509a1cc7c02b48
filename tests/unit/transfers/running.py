"""Runs of transfer tasks as Airflow makes them: stores and Variables outlive them, everything else is new."""

from __future__ import annotations

import copy
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.bases.operator import BaseOperator, ExecutorSafeguard

from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.reading import Dataset, open_dataset, verify_file
from airflow_provider_espo.client.state import forget_shared_states
from tests.unit.running import DAG_RUN_STARTED, Store, TaskInstance, context_of
from tests.unit.variables import variables_in

RETRIES = 2


class AssetStores:
    """Airflow's stores of assets, as a task sees them: of its own inlets and outlets."""

    def __init__(self, stores: dict[str, Store], task: BaseOperator) -> None:
        self._names = {asset.name for asset in [*task.inlets, *task.outlets] if isinstance(asset, Asset)}
        self._stores = stores

    def __getitem__(self, asset: Asset) -> Store:
        if not isinstance(asset, Asset):
            raise TypeError("not an asset")
        if asset.name not in self._names:
            raise KeyError(asset.name)
        return self._stores.setdefault(asset.name, Store())


class Runs:
    """Runs tasks.

    :param has_asset_stores: whether Airflow has stores for assets (3.3 and later).
    """

    def __init__(self, *, has_asset_stores: bool = True) -> None:
        self.variables: dict[str, str] = {}
        self.assets: dict[str, Store] = {}
        self.has_asset_stores = has_asset_stores

    def __call__(
        self,
        task: BaseOperator,
        run_id: str = "run",
        *,
        try_number: int = 1,
        clears: int = 0,
        map_index: int = -1,
        began: datetime = DAG_RUN_STARTED,
        params: dict[str, Any] | None = None,
    ) -> Any:
        """Run a try of a task, in a process that knows nothing of others, and return its result."""
        forget_shared_states()
        task = copy.deepcopy(task)
        instance = TaskInstance(try_number=try_number, max_tries=RETRIES + clears * (RETRIES + 1))
        instance.run_id = run_id
        instance.map_index = map_index  # type: ignore[attr-defined]
        context = context_of(task, ti=instance, params=params)
        context["run_id"] = run_id
        context["dag_run"].start_date = began
        if self.has_asset_stores and (task.inlets or task.outlets):
            context["asset_state_store"] = AssetStores(self.assets, task)
        task.render_template_fields(context)
        token = ExecutorSafeguard.tracker.set(task)
        try:
            with variables_in(self.variables):
                return task.execute(context)
        finally:
            ExecutorSafeguard.tracker.reset(token)


def dataset(path: Path | str) -> Dataset:
    """Open what a task has written, and hold it against its manifest."""
    found = open_dataset(Folder(str(path)))
    assert found.manifest is not None
    for file in found.manifest.all_files:
        verify_file(found.folder, file)
    return found


def ids_in(path: Path | str) -> list[str]:
    """Return the ids of a dataset's records, in order."""
    return [row["id"] for row in dataset(path).rows()]


def files_in(path: Path | str) -> dict[str, bytes]:
    """Return everything in a folder, hidden files too."""
    path = Path(path)
    return {one.name: one.read_bytes() for one in sorted(path.iterdir())} if path.exists() else {}
