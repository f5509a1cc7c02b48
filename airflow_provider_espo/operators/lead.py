"""Convert leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.links.espo import EspoRecordLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.tries import one_try

if TYPE_CHECKING:
    from airflow.sdk import Context


class EspoConvertLeadOperator(EspoOperator):
    """Convert a lead into an account, a contact and an opportunity; many leads by mapping over ``lead_id``.

    EspoCRM's conversion is neither all-or-nothing nor guarded against a second run. Here required attributes and rights
    are checked before anything is written, and a try after a failure half-way uses the account and the contact that are
    there instead of making second ones: what was created is noted on the lead (``createdAccountId`` and the like) as
    soon as it is found. It is found as a record that the connection's user created since the first try, with the same
    values, and that is no other lead's. Within one try nothing is sent twice: give the task ``retries``. What a cleared
    task created before counts only if the lead names it.

    :param lead_id: id of the lead. (templated)
    :param records: what to create, by entity type (``Account``, ``Contact``, ``Opportunity``): attributes to set,
        ``{}`` for EspoCRM's suggestion as it is. By default a contact, and an account if the lead has a company.
        (templated)
    :param use_suggestion: begin with the attributes that EspoCRM takes from the lead. To ask for them copies the
        lead's attachments, each time.
    :param on_duplicate: when EspoCRM finds records with the same name or e-mail address: ``fail`` raises,
        ``use_existing`` takes the one that agrees on ``match_by``, ``force`` creates all the same. (templated)
    :param on_converted: for a lead that is converted already: ``skip`` returns what it was converted into, ``fail``
        raises. (templated)
    :param match_by: attributes that have to agree for ``use_existing``, by entity type; by default the account's and
        opportunity's name and the contact's e-mail address. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"lead_id", "account_id", "contact_id", "opportunity_id", "action", "not_carried_over"}``, action
        ``converted`` or ``skipped``. The last is a list of activities and documents of the lead that the user may not
        change, where a retry had to do what EspoCRM does otherwise; empty as a rule.
    :raises EspoInputError: a required attribute is missing, or a type cannot be converted into; nothing was changed.
    :raises EspoForbiddenError: the user may not create one of the types; nothing was changed.
    :raises EspoDuplicateError: duplicates were found and none may be used.
    :raises EspoAmbiguousMatchError: it is not clear which record an earlier try created.
    :raises EspoConflictError: the lead is converted already and ``on_converted`` is ``fail``.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("Lead",)
    may_write = ("Account", "Contact", "Opportunity")
    result_has_parts = True
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "lead_id",
        "records",
        "on_duplicate",
        "on_converted",
        "match_by",
    )
    template_fields_renderers = {"records": "json"}

    def __init__(
        self,
        *,
        lead_id: str,
        records: Mapping[str, Mapping[str, Any] | None] | None = None,
        use_suggestion: bool = True,
        on_duplicate: Literal["fail", "use_existing", "force"] = "fail",
        on_converted: Literal["skip", "fail"] = "skip",
        match_by: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lead_id = lead_id
        self.records = records
        self.use_suggestion = use_suggestion
        self.on_duplicate = on_duplicate
        self.on_converted = on_converted
        self.match_by = match_by

    def execute(self, context: Context) -> dict[str, Any]:
        """Convert the lead."""
        with self.hook as hook, one_try(context, "convert") as since:
            result = hook.convert_lead(
                self.lead_id,
                records=self.records,
                use_suggestion=self.use_suggestion,
                on_duplicate=self.on_duplicate,
                on_converted=self.on_converted,
                match_by=self.match_by,
                look_for_earlier_since=since,
            )
        self.log.info("Lead %s: %s", result["lead_id"], result["action"])
        if result["not_carried_over"]:
            self.log.warning(
                "EspoCRM did not let this user change what hangs on the lead: %s", ", ".join(result["not_carried_over"])
            )
        return result

    def record_shown(self) -> tuple[str | None, str | None]:
        """Return the lead, which names what it was converted into."""
        return "Lead", self.lead_id

    def records_written(self) -> dict[str, dict[str, int]]:
        """Return what was written: the lead, and what it was converted into."""
        written = super().records_written()
        for entity_type in self.may_write:
            if (self.facts or {}).get(f"{entity_type.lower()}_id"):
                written[entity_type] = {"count": written["Lead"]["count"]}
        return written
