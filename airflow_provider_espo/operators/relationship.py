"""Link and unlink records, list what a record is linked to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.listing import ListingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class _LinkOperator(EspoOperator):
    """What linking and unlinking share."""

    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id", "link", "related_ids")

    def __init__(
        self,
        *,
        entity_type: str,
        record_id: str,
        link: str,
        related_ids: str | Sequence[str],
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.link = link
        self.related_ids = related_ids
        self.validate = validate


class EspoLinkOperator(_LinkOperator):
    """Link records to a record, such as leads to a target list. Safe to retry: those linked stay linked.

    EspoCRM links one id after the other; an error at one leaves those before it linked. A link that is an attribute
    of the record (``Contact.account``) is set by updating the attribute (``accountId``).

    :param entity_type: entity type of the record, such as ``TargetList``. (templated)
    :param record_id: its id. (templated)
    :param link: name of the link, such as ``leads``. (templated)
    :param related_ids: id or ids of the records to link; nothing is sent for an empty list. (templated)
    :param validate: refuse a link that the server does not have.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"linked": n}``.
    :raises EspoNotFoundError: the record or a related one does not exist.
    :raises EspoNothingDoneError: EspoCRM answered that it did nothing.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Link the records."""
        with self.hook as hook:
            result = hook.link(self.entity_type, self.record_id, self.link, self.related_ids, validate=self.validate)
        self.log.info("%s %s: %d linked by %s", self.entity_type, self.record_id, result["linked"], self.link)
        return result


class EspoUnlinkOperator(_LinkOperator):
    """Unlink records from a record. Safe to retry: those not linked are no error.

    :param entity_type: entity type of the record, such as ``TargetList``. (templated)
    :param record_id: its id. (templated)
    :param link: name of the link, such as ``leads``. (templated)
    :param related_ids: id or ids of the records to unlink; nothing is sent for an empty list. (templated)
    :param validate: refuse a link that the server does not have.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"unlinked": n}``, the number of ids given.
    :raises EspoNotFoundError: the record or a related one does not exist.
    :raises EspoNothingDoneError: EspoCRM answered that it did nothing.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Unlink the records."""
        with self.hook as hook:
            result = hook.unlink(self.entity_type, self.record_id, self.link, self.related_ids, validate=self.validate)
        self.log.info("%s %s: %d unlinked by %s", self.entity_type, self.record_id, result["unlinked"], self.link)
        return result


class EspoListRelatedOperator(ListingOperator):
    """Return the records at the other end of a link, such as an account's contacts.

    Made for small results, as ``EspoListRecordsOperator`` is.

    :param entity_type: entity type of the record, such as ``Account``. (templated)
    :param record_id: its id. (templated)
    :param link: name of the link, such as ``contacts``. (templated)
    :param where: list of items on the related records, see :mod:`airflow_provider_espo.where`. (templated)
    :param primary_filter: one of EspoCRM's filters of the related records' type, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param select: attributes to return; all by default. ``id`` always comes along. (templated)
    :param order_by: attribute to order by, ``id`` by default. (templated)
    :param order: ``asc`` (default) or ``desc``. (templated)
    :param limit: records at most. (templated)
    :param max_xcom_rows: records that may go through XCom.
    :param validate: refuse a link and names that the server does not have.
    :param espo_conn_id: Airflow connection. (templated)
    :return: list of records.
    :raises EspoNotFoundError: no such record.
    :raises EspoInputError: more than ``max_xcom_rows`` match.
    """

    template_fields: Sequence[str] = ("entity_type", "record_id", "link", *ListingOperator.template_fields)

    def __init__(self, *, entity_type: str, record_id: str, link: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.link = link

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the related records."""
        with self.hook as hook:
            records = self.bounded(hook.list_related(self.entity_type, self.record_id, self.link, **self.options()))
        self.log.info("%d records by %s of %s %s", len(records), self.link, self.entity_type, self.record_id)
        return records
