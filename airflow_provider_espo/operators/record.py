"""Create, read, update, upsert, delete and list records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.links.espo import EspoListLink, EspoRecordLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.listing import ListingOperator
from airflow_provider_espo.operators.tries import one_try

if TYPE_CHECKING:
    from airflow.sdk import Context


class EspoCreateRecordOperator(EspoOperator):
    """Create a record.

    EspoCRM looks for duplicates of leads, contacts and accounts (same name *or* same e-mail address) and refuses to
    create one; ``on_duplicate`` says what to do then.

    Safe to retry: a retry first looks for a record that the connection's user created since the first try with the same
    values in all of ``attributes``, and takes it for its own. A cleared task creates anew.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param attributes: values by attribute name; dates and times may be ``datetime`` objects or ISO texts with an
        offset. (templated)
    :param on_duplicate: ``fail``: raise. ``skip``: leave the found record. ``update``: write what differs to the found
        record. ``force``: create all the same. ``skip`` and ``update`` want exactly one found record that agrees on
        ``match_by``, so that a namesake is never touched, and raise otherwise. (templated)
    :param match_by: attributes that must be equal for ``skip`` and ``update``. (templated)
    :param validate: refuse attributes that the server does not have, before anything is written.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action"}``, action ``created``, ``skipped``, ``updated`` or ``unchanged``.
    :raises EspoDuplicateError: duplicates were found and none may be taken.
    :raises EspoValidationError: EspoCRM refused a value.
    :raises EspoUnknownNameError: the server has no such attribute.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "attributes", "on_duplicate", "match_by")
    template_fields_renderers = {"attributes": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        attributes: Mapping[str, Any],
        on_duplicate: Literal["fail", "skip", "update", "force"] = "fail",
        match_by: Sequence[str] = ("emailAddress",),
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.attributes = attributes
        self.on_duplicate = on_duplicate
        self.match_by = match_by
        self.validate = validate

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the record."""
        with self.hook as hook, one_try(context, "create") as since:
            result = hook.create_record(
                self.entity_type,
                self.attributes,
                on_duplicate=self.on_duplicate,
                match_by=self.match_by,
                validate=self.validate,
                look_for_earlier_since=since,
            )
        self.log.info("%s %s: %s", self.entity_type, result["id"], result["action"])
        return result


class EspoGetRecordOperator(EspoOperator):
    """Read one record.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param record_id: its id. (templated)
    :param select: attributes to return; all by default. ``id`` always comes along. (templated)
    :param validate: refuse ``select`` names that the server does not have.
    :param espo_conn_id: Airflow connection. (templated)
    :return: the record, attribute by attribute.
    :raises EspoNotFoundError: no such record, or it was deleted, or is hidden from the user.
    """

    operator_extra_links = (EspoRecordLink(),)
    reads = ("entity_type",)
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id", "select")

    def __init__(
        self,
        *,
        entity_type: str,
        record_id: str,
        select: Sequence[str] | None = None,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.select = select
        self.validate = validate

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the record."""
        with self.hook as hook:
            return hook.get_record(self.entity_type, self.record_id, select=self.select, validate=self.validate)


class EspoUpdateRecordOperator(EspoOperator):
    """Update a record; only what differs is sent, and nothing where nothing does.

    EspoCRM moves ``modifiedAt``, adds a version and fires webhooks for every update, even an empty one; therefore the
    record is read first. Safe to retry.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param record_id: its id. (templated)
    :param attributes: new values by attribute name; others stay, ``None`` clears. (templated)
    :param version_number: the record's ``versionNumber`` the values were decided on. If the record has another version
        by now and one of the attributes was changed, nothing is written. (templated)
    :param only_changes: ``False`` sends all attributes without reading first.
    :param validate: refuse attributes that the server does not have, before anything is written.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action"}``, action ``updated`` or ``unchanged``.
    :raises EspoNotFoundError: no such record.
    :raises EspoVersionConflictError: the record was changed since ``version_number``; has its current values.
    :raises EspoValidationError: EspoCRM refused a value.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id", "attributes", "version_number")
    template_fields_renderers = {"attributes": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        record_id: str,
        attributes: Mapping[str, Any],
        version_number: int | None = None,
        only_changes: bool = True,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.attributes = attributes
        self.version_number = version_number
        self.only_changes = only_changes
        self.validate = validate

    def execute(self, context: Context) -> dict[str, Any]:
        """Update the record."""
        with self.hook as hook:
            result = hook.update_record(
                self.entity_type,
                self.record_id,
                self.attributes,
                version_number=self.version_number,
                only_changes=self.only_changes,
                validate=self.validate,
            )
        self.log.info("%s %s: %s", self.entity_type, result["id"], result["action"])
        return result


class EspoUpsertRecordOperator(EspoOperator):
    """Update the one record that has the same key, or create it.

    Only what differs is sent, and nothing where nothing does. A namesake does not stop it: the key decides. Safe to
    retry at any point.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param attributes: values by attribute name, the key's among them. (templated)
    :param match_by: attributes that make the key, such as ``["emailAddress"]``; letter case does not count. (templated)
    :param validate: refuse attributes that the server does not have, before anything is written.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action"}``, action ``created``, ``updated`` or ``unchanged``.
    :raises EspoAmbiguousMatchError: more than one record has the key; none was touched.
    :raises EspoValidationError: EspoCRM refused a value.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "attributes", "match_by")
    template_fields_renderers = {"attributes": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        attributes: Mapping[str, Any],
        match_by: Sequence[str],
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.attributes = attributes
        self.match_by = match_by
        self.validate = validate

    def execute(self, context: Context) -> dict[str, Any]:
        """Upsert the record."""
        with self.hook as hook:
            result = hook.upsert_record(
                self.entity_type, self.attributes, match_by=self.match_by, validate=self.validate
            )
        self.log.info("%s %s: %s", self.entity_type, result["id"], result["action"])
        return result


class EspoDeleteRecordOperator(EspoOperator):
    """Delete a record. One that is not there (any more) is a success, so it is safe to retry.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param record_id: its id. (templated)
    :param missing_ok: ``False`` makes a missing record an error.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action"}``, action ``deleted`` or ``missing``.
    :raises EspoNotFoundError: no such record and not ``missing_ok``.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id")

    def __init__(self, *, entity_type: str, record_id: str, missing_ok: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.missing_ok = missing_ok

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the record."""
        with self.hook as hook:
            result = hook.delete_record(self.entity_type, self.record_id, missing_ok=self.missing_ok)
        self.log.info("%s %s: %s", self.entity_type, result["id"], result["action"])
        return result

    def record_shown(self) -> tuple[str | None, str | None]:
        """Return the record that could not be deleted; of one that is gone there is nothing to open."""
        return super().record_shown() if self.facts is None else (None, None)


class EspoListRecordsOperator(ListingOperator):
    """Return the records that match, for a downstream task.

    Made for small results: what it returns goes through XCom. More than ``max_xcom_rows`` is refused, with nothing
    pushed. For many records call ``EspoHook.iter_records`` in a task and write them to a file as they come.

    By default ordered by ``id``: every record that is there throughout comes exactly once. So it is by ``createdAt``,
    ``modifiedAt`` and ``number``; by other attributes one can be missed when others are deleted meanwhile.

    :param entity_type: entity type, such as ``Lead``. (templated)
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param select: attributes to return; all by default. ``id`` always comes along. (templated)
    :param order_by: attribute to order by, ``id`` by default. (templated)
    :param order: ``asc`` (default) or ``desc``. (templated)
    :param limit: records at most. (templated)
    :param max_xcom_rows: records that may go through XCom.
    :param validate: refuse ``select`` and ``order_by`` names that the server does not have.
    :param espo_conn_id: Airflow connection. (templated)
    :return: list of records.
    :raises EspoInputError: more than ``max_xcom_rows`` match.
    """

    operator_extra_links = (EspoListLink(),)
    reads = ("entity_type",)
    template_fields: Sequence[str] = ("entity_type", *ListingOperator.template_fields)

    def __init__(self, *, entity_type: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the records."""
        with self.hook as hook:
            records = self.bounded(hook.list_records(self.entity_type, **self.options()))
        self.log.info("%d records of %s", len(records), self.entity_type)
        return records
