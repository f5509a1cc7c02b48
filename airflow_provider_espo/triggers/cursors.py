"""Where an event trigger keeps its place, so that a restart of the triggerer loses nothing.

In Airflow's asset state store (3.3 and later), with every asset that the trigger watches: equal watchers of several
assets are one trigger to Airflow, and an asset may go. Elsewhere in Airflow variables.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_espo import compat

log = logging.getLogger(__name__)


class CursorStore:
    """Keeps the place of one trigger.

    :param class_path: of the trigger.
    :param identity: what is watched; another filter has a place of its own.
    :param arguments: all there are. Variables are not of an asset: triggers that differ in nothing but how often they
        look would overwrite each other's place there.
    :param asset_state_store: what the triggerer gave the trigger.
    """

    def __init__(
        self,
        class_path: str,
        identity: Mapping[str, Any],
        arguments: Mapping[str, Any],
        asset_state_store: Any,
    ) -> None:
        digest = _digest([class_path, identity])
        #: Tells places apart, also in the log.
        self.key = f"espo_cursor_{digest}"
        self._variable = f"espo_watcher_{digest}"
        self._own_variable = f"{self._variable}_{_digest(arguments)[:8]}"
        self._stores = compat.stores_of_assets(asset_state_store)

    def __str__(self) -> str:
        if not self._stores:
            return f"the variable {self._own_variable}"
        return f"{self.key} in the state of {len(self._stores)} asset(s)"

    async def load(self) -> dict[str, Any] | None:
        """Return what was kept last, ``None`` if nothing was."""
        if not self._stores:
            text = await compat.aget_variable(self._own_variable)
            if not text and (text := await compat.aget_variable(self._variable)):
                # A trigger whose interval was changed goes on where it stood with the other one. From here on it has a
                # place of its own.
                await compat.aset_variable(self._own_variable, text)
            return _as_dict(json.loads(text)) if text else None
        kept = [_as_dict(await store.aget(self.key)) for store in self._stores]
        # They differ only where writing them was interrupted: the one that stands further back repeats, and loses
        # nothing. An asset that has none yet came later.
        return min((one for one in kept if one is not None), key=lambda one: int(one["count"]), default=None)

    async def save(self, kept: Mapping[str, Any]) -> None:
        """Keep something, with a ``count`` that grows each time.

        :raises Exception: it could not be kept anywhere.
        """
        if not self._stores:
            for variable in (self._own_variable, self._variable):
                await compat.aset_variable(variable, json.dumps(dict(kept)))
        failed: list[Exception] = []
        for store in self._stores:
            try:
                await store.aset(self.key, dict(kept))
            except Exception as error:  # an asset that is gone must not keep the others from it
                log.warning("%s could not be stored with one of %d assets: %s", self.key, len(self._stores), error)
                failed.append(error)
        if failed and len(failed) == len(self._stores):
            raise failed[0]


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _as_dict(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) and isinstance(value.get("count"), int) else None
