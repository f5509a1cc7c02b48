"""Link and unlink records, list what a record is linked to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.links.espo import EspoRecordLink, EspoTargetListLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.listing import ListingOperator
from airflow_provider_espo.operators.rendered import whole_number

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.hooks.espo import EspoHook


class _LinkOperator(EspoOperator):
    """What linking and unlinking share."""

    operator_extra_links = (EspoRecordLink(), EspoTargetListLink())
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id", "link", "related_ids")

    def __init__(
        self,
        *,
        entity_type: str,
        record_id: str,
        link: str,
        related_ids: str | Sequence[str] | None,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.link = link
        self.related_ids = related_ids
        self.validate = validate

    def record_shown(self) -> tuple[str | None, str | None]:
        """Return the record, unless it is a target list, which has a link of its own."""
        return (None, None) if self.entity_type == "TargetList" else super().record_shown()


class EspoLinkOperator(_LinkOperator):
    """Link records to a record, such as leads to a target list. Safe to retry: those linked stay linked.

    Which records is said by ``related_ids``, or by a filter where the link allows it (those of a target list do).
    EspoCRM would link *every* record if the filter is empty; that is refused here unless ``all_records`` is set.

    By ids EspoCRM links one after the other; an error at one leaves those before it linked. A link that is an attribute
    of the record (``Contact.account``) is set by updating the attribute (``accountId``).

    :param entity_type: entity type of the record, such as ``TargetList``. (templated)
    :param record_id: its id. (templated)
    :param link: name of the link, such as ``leads``. (templated)
    :param related_ids: id or ids of the records to link; nothing is sent for an empty list. (templated)
    :param where: instead of ids: list of items on the related records, see :mod:`airflow_provider_espo.where`; all must
        hold. (templated)
    :param primary_filter: instead of ids, or beside ``where``: one of EspoCRM's filters of the related records' type,
        such as ``actual``. (templated)
    :param all_records: ``True`` to mean every record there is.
    :param max_records: with a filter: count first, and refuse to link more than this. (templated)
    :param validate: refuse a link that the server does not have; with a filter it is always refused.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"linked": n}``: ids that were given, or records that matched.
    :raises EspoInputError: neither ids nor a filter, or both; more records than ``max_records``. Nothing was linked.
    :raises EspoNotFoundError: the record or a related one does not exist.
    :raises EspoForbiddenError: no right, or the link cannot be filled by a filter.
    :raises EspoNothingDoneError: EspoCRM answered that it did nothing.
    """

    template_fields: Sequence[str] = (*_LinkOperator.template_fields, "where", "primary_filter", "max_records")
    template_fields_renderers = {"where": "json"}

    def __init__(
        self,
        *,
        related_ids: str | Sequence[str] | None = None,
        where: Sequence[Mapping[str, Any]] | None = None,
        primary_filter: str | None = None,
        all_records: bool = False,
        max_records: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(related_ids=related_ids, **kwargs)
        self.where = where
        self.primary_filter = primary_filter
        self.all_records = all_records
        self.max_records = max_records
        # Ids of another task that turn out to be none are no reason to go by a filter.
        self._by_ids = related_ids is not None

    def execute(self, context: Context) -> dict[str, Any]:
        """Link the records."""
        with self.hook as hook:
            result = self._by_their_ids(hook) if self._by_ids else self._by_filter(hook)
        self.log.info("%s %s: %d linked by %s", self.entity_type, self.record_id, result["linked"], self.link)
        return result

    def _by_their_ids(self, hook: EspoHook) -> dict[str, Any]:
        if self.where is not None or self.primary_filter or self.all_records or self.max_records is not None:
            raise EspoInputError("Give related_ids or a filter, not both")
        if self.related_ids is None:
            raise EspoInputError("related_ids turned out to be None")
        return hook.link(self.entity_type, self.record_id, self.link, self.related_ids, validate=self.validate)

    def _by_filter(self, hook: EspoHook) -> dict[str, Any]:
        return hook.link_matching(
            self.entity_type,
            self.record_id,
            self.link,
            where=self.where,
            primary_filter=self.primary_filter,
            all_records=self.all_records,
            max_records=whole_number("max_records", self.max_records),
        )


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

    def __init__(self, *, related_ids: str | Sequence[str], **kwargs: Any) -> None:
        super().__init__(related_ids=related_ids, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Unlink the records."""
        if self.related_ids is None:
            raise EspoInputError("related_ids turned out to be None")
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

    operator_extra_links = (EspoRecordLink(),)
    reads = ("link",)
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
