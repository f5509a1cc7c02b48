"""What a hook tells Airflow's hook lineage: which entity types were read and written over it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_espo import compat
from airflow_provider_espo.client.asset_uri import asset_uri
from airflow_provider_espo.client.state import shared_state
from airflow_provider_espo.client.touched import Touched, watched

if TYPE_CHECKING:
    from airflow_provider_espo.hooks.espo import EspoHook

T = TypeVar("T")


class HookLineage:
    """Reports for one hook, each entity type once, whatever the number of requests.

    :param hook: the hook.
    """

    def __init__(self, hook: EspoHook) -> None:
        self._hook = hook
        self._collector = compat.hook_lineage_collector()
        self._told: set[tuple[str, bool]] = set()
        self._lock = threading.Lock()

    def watched(self, operation: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Return an operation that does the same and is reported; as it is where nobody collects.

        :param operation: an operation or a stream.
        """
        return operation if self._collector is None else watched(operation, self._report)

    def _report(self, seen: Iterable[Touched]) -> None:
        for one in seen:
            entity_type = self._entity_type(one)
            with self._lock:
                if entity_type is None or (entity_type, one.writes) in self._told:
                    continue
                self._told.add((entity_type, one.writes))
            uri = asset_uri(self._hook.config.site_url, entity_type)
            tell = self._collector.add_output_asset if one.writes else self._collector.add_input_asset
            tell(context=self._hook, uri=uri)

    def _entity_type(self, one: Touched) -> str | None:
        if one.link is None:
            return one.entity_type
        schema = shared_state(self._hook.config).schemas.get(one.entity_type)
        link = None if schema is None else schema.links.get(one.link)
        return None if link is None else link.entity_type
