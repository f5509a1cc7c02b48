"""What outlives a process beside the CRM: a folder or an object store, and what Airflow keeps."""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Asset, BaseOperator, Variable
from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_espo.client.state import forget_shared_states
from tests.kill.lives import Killed, Life, led
from tests.unit.running import Store, TaskInstance, context_of

#: Retries that a task has here: it may be killed a few times.
RETRIES = 5


class Kept(Store):
    """One of Airflow's stores: values are JSON, outlive the process, and are stored at once or never.

    :param path: where they are kept.
    :param life: the try that stores.
    """

    def __init__(self, path: Path, life: Life) -> None:
        super().__init__(json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})
        self._path = path
        self._life = life

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        """Store a value; the answer may be lost."""
        assert value is not None, "Airflow stores no None"
        text = json.dumps(value, allow_nan=False)
        self._change(f"set {key}", lambda: self.__setitem__(key, json.loads(text)))

    def delete(self, key: str) -> None:
        """Forget a value; the answer may be lost."""
        self._change(f"delete {key}", lambda: self.pop(key, None))

    def _change(self, name: str, change: Callable[[], object]) -> None:
        where = self._path.stem
        self._life.point(f"{where} {name} >")
        change()
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self), encoding="utf-8")
        new.replace(self._path)
        self._life.point(f"{where} {name} <")


class AssetStores:
    """Airflow's asset state stores, one for each of a task's assets."""

    def __init__(self, folder: Path, life: Life, assets: list[Any]) -> None:
        self._stores = {
            asset.name: Kept(folder / f"asset-{quote(asset.name, safe='')}.json", life)
            for asset in assets
            if isinstance(asset, Asset)
        }

    def __getitem__(self, asset: Asset) -> Kept:
        return self._stores[asset.name]


class World:
    """What outlives a process.

    :param folder: for all of it.
    :param stores: whether Airflow has state stores (3.3 and later).
    """

    def __init__(self, folder: Path, *, stores: bool = True) -> None:
        self.out = folder / "out"
        #: Of databases. They look after themselves: what a dead process had not committed is gone.
        self.databases = folder / "databases"
        self._kept = folder / "airflow"
        self.stores = stores
        for part in (*self.folders, self._kept):
            part.mkdir(parents=True, exist_ok=True)
        # All tries belong to a DAG run that began once.
        began = self._kept / "began"
        if not began.exists():
            began.write_text((datetime.now(UTC) - timedelta(minutes=1)).isoformat(), encoding="utf-8")
        self._began = datetime.fromisoformat(began.read_text(encoding="utf-8"))

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that tasks work in."""
        return (self.out, self.databases)

    def watermarks(self) -> str:
        """Return what the assets' stores and the variables hold, as text."""
        kept = [*self._kept.glob("asset-*.json"), *self._kept.glob("variables.json")]
        return "\n".join(path.read_text(encoding="utf-8") for path in kept)

    def life(self, task: BaseOperator, life: Life, *, run_id: str = "run", number: int = 1, **ti: Any) -> Any:
        """Lead a life: one try of a task, as a process which knows only what is kept.

        :param number: of the try.
        :param ti: more that the task instance has, such as ``map_index``.
        :return: the task's result.
        :raises Killed: it died.
        """
        forget_shared_states()
        instance = TaskInstance(try_number=number, max_tries=RETRIES)
        instance.run_id = run_id
        for name, value in ti.items():
            setattr(instance, name, value)
        # As a worker does it.
        task = copy.copy(task)
        # A store belongs to a task instance, the variables and the assets' stores to all.
        own = f"task-{task.task_id}-{run_id}-{ti.get('map_index', -1)}.json"
        context: Any = context_of(task, ti=instance, store=Kept(self._kept / own, life) if self.stores else None)
        context["dag_run"].start_date = self._began
        context["dag_run"].run_id = run_id
        context["run_id"] = run_id
        if self.stores and (task.inlets or task.outlets):
            context["asset_state_store"] = AssetStores(self._kept, life, [*task.inlets, *task.outlets])
        task.render_template_fields(context)
        token = ExecutorSafeguard.tracker.set(task)
        try:
            with led(life), self._variables(life):
                try:
                    return task.execute(context)
                except Killed:
                    pass
                # What lies about in memory is gone, too, while it still cannot touch anything.
                del task, context
                gc.collect()
        finally:
            ExecutorSafeguard.tracker.reset(token)
        raise Killed

    @contextmanager
    def _variables(self, life: Life) -> Iterator[None]:
        variables = Kept(self._kept / "variables.json", life)

        def get(key: str, default: Any = None, deserialize_json: bool = False) -> Any:
            value = variables.get(key)
            if value is None:
                return default
            return json.loads(value) if deserialize_json else value

        def put(key: str, value: Any, description: str | None = None, serialize_json: bool = False) -> None:
            variables.set(key, json.dumps(value) if serialize_json else str(value))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Variable, "get", get)
            patch.setattr(Variable, "set", put)
            patch.setattr(Variable, "delete", variables.delete)
            yield
