"""Assets of EspoCRM: ``espo://host/EntityType`` stands for all records of an entity type.

Airflow imports this module whenever a DAG file makes an asset, whosever: it loads next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from airflow_provider_espo.client import asset_uri as addresses

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetWatcher

asset_uri = addresses.asset_uri


def espo_asset(
    entity_type: str,
    *,
    host: str,
    name: str | None = None,
    group: str | None = None,
    extra: Mapping[str, Any] | None = None,
    watchers: list[AssetWatcher] | None = None,
) -> Asset:
    """Return the asset that stands for an entity type of an EspoCRM, for ``outlets``, ``inlets`` and ``schedule``.

    :param entity_type: such as ``Lead``.
    :param host: host name or URL of the site, as in the connection; written out, as a DAG file should not read
        connections.
    :param name: name of the asset in Airflow; by default its URI.
    :param group: group of the asset in Airflow; by default Airflow's own.
    :param extra: what Airflow keeps beside the asset.
    :param watchers: watchers that record events on it.
    :raises ValueError: not such a site or entity type.
    """
    from airflow.sdk import Asset

    uri = asset_uri(host, entity_type)
    given: dict[str, Any] = {"group": group, "extra": None if extra is None else dict(extra), "watchers": watchers}
    return Asset(name=name or uri, uri=uri, **{key: value for key, value in given.items() if value is not None})


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the one form of an asset's URI; Airflow asks for it whenever an asset is made.

    :param uri: the URI that was given.
    :raises ValueError: it names no host or no entity type.
    """
    return addresses.normalized(uri)


def create_asset(*, host: str, entity_type: str, extra: dict[str, Any] | None = None) -> Asset:
    """Return an asset, for Airflow's hook lineage (``scheme="espo"``).

    :param host: host name or URL of the site.
    :param entity_type: such as ``Lead``.
    :param extra: what Airflow keeps beside the asset.
    :raises ValueError: not such a site or entity type.
    """
    return espo_asset(entity_type, host=host, extra=extra)


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Any:
    """Return an asset as a dataset of OpenLineage; Airflow's provider for it asks.

    :param asset: an asset with such a URI.
    :param lineage_context: what reported the asset; makes no difference.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    namespace, name = addresses.namespace_and_name(asset.uri)
    return Dataset(namespace=namespace, name=name)
