"""What operators that return records have in common: which records, what of them, and how many XCom bears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.rendered import MAX_XCOM_ROWS, refuse_too_many, rows_to_ask_for

if TYPE_CHECKING:
    from airflow_provider_espo.client.operations.listing import ListOptions


class ListingOperator(EspoOperator):
    """Base of operators that return records.

    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold.
    :param primary_filter: one of EspoCRM's filters, such as ``actual``.
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``.
    :param text_filter: text to search for, as in EspoCRM's search box.
    :param select: attributes to return; all by default.
    :param order_by: attribute to order by, ``id`` by default.
    :param order: ``asc`` (default) or ``desc``.
    :param limit: records at most.
    :param max_xcom_rows: records that may go through XCom.
    :param validate: refuse names that the server does not have.
    """

    template_fields: Sequence[str] = (
        "espo_conn_id",
        "where",
        "primary_filter",
        "bool_filters",
        "text_filter",
        "select",
        "order_by",
        "order",
        "limit",
    )
    template_fields_renderers = {"where": "json"}

    def __init__(
        self,
        *,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        bool_filters: Sequence[str] | None = None,
        text_filter: str | None = None,
        select: Sequence[str] | None = None,
        order_by: str | None = None,
        order: str | None = None,
        limit: int | None = None,
        max_xcom_rows: int = MAX_XCOM_ROWS,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.where = where
        self.primary_filter = primary_filter
        self.bool_filters = bool_filters
        self.text_filter = text_filter
        self.select = select
        self.order_by = order_by
        self.order = order
        self.limit = limit
        self.max_xcom_rows = max_xcom_rows
        self.validate = validate

    def options(self) -> ListOptions:
        """Return what to ask the hook for: as many records as may be returned, and one more to know of too many.

        :raises EspoInputError: the limit is not a whole number.
        """
        return {
            "where": self.where,
            "primary_filter": self.primary_filter,
            "bool_filters": self.bool_filters,
            "text_filter": self.text_filter,
            "select": self.select,
            "order_by": self.order_by,
            "order": self.order,
            "limit": rows_to_ask_for(self.limit, self.max_xcom_rows),
            "validate": self.validate,
        }

    def bounded(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the records if XCom bears them.

        :param records: what the hook returned.
        :raises EspoInputError: there are more than ``max_xcom_rows``.
        """
        refuse_too_many(records, self.max_xcom_rows)
        return records
