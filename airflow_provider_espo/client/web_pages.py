"""Addresses of pages in EspoCRM's user interface, for people to click on. No secret is ever in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_espo.client.wire import entity_type_segment, name_segment, record_id_segment

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig


def record_page(config: ClientConfig, entity_type: str, record_id: str) -> str:
    """Return the address of a record.

    :param config: settings of the connection.
    :param entity_type: such as ``Lead``.
    :param record_id: its id.
    :raises EspoInputError: one of them is not such a name or id.
    """
    return _page(config, f"{entity_type_segment(entity_type)}/view/{record_id_segment(record_id)}")


def list_page(config: ClientConfig, entity_type: str, primary_filter: str | None = None) -> str:
    """Return the address of the list of an entity type's records.

    A filter of EspoCRM's own is all that the address of a list can say; EspoCRM before 8.2 shows the whole list.

    :param config: settings of the connection.
    :param entity_type: such as ``Lead``.
    :param primary_filter: such as ``actual``.
    :raises EspoInputError: one of them is not such a name.
    """
    page = entity_type_segment(entity_type)
    return _page(
        config, f"{page}/list/primaryFilter={name_segment(primary_filter, 'filter')}" if primary_filter else page
    )


def jobs_page(config: ClientConfig) -> str:
    """Return the address of the administrators' list of background jobs.

    :param config: settings of the connection.
    """
    return _page(config, "Admin/jobs")


def _page(config: ClientConfig, fragment: str) -> str:
    portal = f"/portal/{config.portal_id}" if config.portal_id else ""
    return f"{config.web_url or config.site_url}{portal}/#{fragment}"
