"""Where an event trigger keeps its place, so that a restart of the triggerer loses nothing.

In Airflow's asset state store (3.3 and later), with every asset that the trigger watches: equal watchers of several
assets are one trigger to Airflow, and an asset may go. Elsewhere in an Airflow variable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_espo import compat


class CursorStore:
    """Keeps the place of one trigger.

    :param class_path: of the trigger.
    :param identity: what is watched; another filter has a place of its own.
    :param asset_state_store: what the triggerer gave the trigger.
    """

    def __init__(self, class_path: str, identity: Mapping[str, Any], asset_state_store: Any) -> None:
        text = json.dumps([class_path, identity], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._key = f"espo_cursor_{digest}"
        self._variable = f"espo_watcher_{digest}"
        self._stores = compat.stores_of_assets(asset_state_store)

    def __str__(self) -> str:
        return f"{len(self._stores)} asset state store(s)" if self._stores else f"the variable {self._variable}"

    async def load(self) -> dict[str, Any] | None:
        """Return what was kept last, ``None`` if nothing was."""
        if not self._stores:
            text = await compat.aget_variable(self._variable)
            return _as_dict(json.loads(text)) if text else None
        kept = [_as_dict(await store.aget(self._key)) for store in self._stores]
        # They differ only where writing them was interrupted: the one that stands further back repeats, and loses
        # nothing. An asset that has none yet came later.
        return min((one for one in kept if one is not None), key=lambda one: int(one["count"]), default=None)

    async def save(self, kept: Mapping[str, Any]) -> None:
        """Keep something, with a ``count`` that grows each time."""
        if not self._stores:
            await compat.aset_variable(self._variable, json.dumps(dict(kept)))
        for store in self._stores:
            await store.aset(self._key, dict(kept))


def _as_dict(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) and isinstance(value.get("count"), int) else None
