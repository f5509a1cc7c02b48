"""What a hook tells Airflow's hook lineage: which entity types were read and written over it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_espo import compat
from airflow_provider_espo.client.asset_uri import asset_uri
from airflow_provider_espo.client.state import shared_state
from airflow_provider_espo.client.touched import Touched, watched

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig

T = TypeVar("T")

log = logging.getLogger(__name__)


class HookLineage:
    """Reports for one hook, each entity type once, whatever the number of requests.

    :param hook: the hook.
    """

    def __init__(self, hook: object) -> None:
        self._hook = hook
        self._told: set[tuple[str, bool]] = set()
        self._lock = threading.Lock()

    def watched(self, operation: Generator[Any, Any, T], config: ClientConfig) -> Generator[Any, Any, T]:
        """Return an operation that does the same and is reported; as it is where nobody collects.

        :param operation: an operation or a stream.
        :param config: settings of the hook's connection.
        """
        collector = compat.hook_lineage_collector()
        return operation if collector is None else watched(operation, partial(self._report, collector, config))

    def _report(self, collector: Any, config: ClientConfig, seen: Iterable[Touched]) -> None:
        try:
            for one in seen:
                if (entity_type := _entity_type(config, one)) is not None:
                    self._tell(collector, config, entity_type, one.writes)
        except Exception:
            # What was asked for is done: it must not look as if it were not.
            log.warning("Hook lineage could not be told what was read and written", exc_info=True)

    def _tell(self, collector: Any, config: ClientConfig, entity_type: str, writes: bool) -> None:
        with self._lock:
            if (entity_type, writes) in self._told:
                return
            self._told.add((entity_type, writes))
        tell = collector.add_output_asset if writes else collector.add_input_asset
        tell(context=self._hook, uri=asset_uri(config.site_url, entity_type))


def _entity_type(config: ClientConfig, one: Touched) -> str | None:
    if one.link is None:
        return one.entity_type
    schema = shared_state(config).schemas.get(one.entity_type)
    link = None if schema is None else schema.links.get(one.link)
    return None if link is None else link.entity_type
