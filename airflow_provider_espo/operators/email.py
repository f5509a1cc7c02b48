"""Send e-mails through EspoCRM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.links.espo import EspoRecordLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.durable import JobMemory

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.hooks.espo import EspoHook


class EspoSendEmailOperator(EspoOperator):
    """Send an e-mail through EspoCRM, once over all tries.

    It is stored as draft first, and the draft is sent. A retry knows the draft of an earlier try by its id, which is
    kept in Airflow's task state store (3.3 and later); otherwise it looks for an e-mail that the connection's user
    created since the first try, with the same values. What was sent is not sent again, a draft is sent now, and one of
    which it is not known whether it was sent is an error that says so. A cleared task sends anew.

    :param to: recipient or recipients. (templated)
    :param subject: subject. (templated)
    :param body: text, HTML unless ``is_html`` is ``False``. (templated)
    :param from_address: sender. EspoCRM needs one, and a mail account that may send for it.
        (templated)
    :param cc: recipients of a copy. (templated)
    :param bcc: recipients of a blind copy. (templated)
    :param is_html: whether ``body`` is HTML.
    :param entity_type: with ``record_id``: the record it belongs to, in whose history it appears. (templated)
    :param record_id: id of that record. (templated)
    :param attachment_ids: ids of uploaded files (for field ``attachments`` of ``Email``). (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action"}``, action ``sent``.
    :raises EspoInputError: no recipient or no subject.
    :raises EspoServerError: it could not be sent.
    :raises EspoApiError: it is not known whether it was sent.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("Email",)
    result_has_parts = True
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "to",
        "subject",
        "body",
        "from_address",
        "cc",
        "bcc",
        "entity_type",
        "record_id",
        "attachment_ids",
    )
    template_ext: Sequence[str] = (".html",)
    template_fields_renderers = {"body": "html"}

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        subject: str,
        body: str = "",
        from_address: str | None = None,
        cc: str | Sequence[str] | None = None,
        bcc: str | Sequence[str] | None = None,
        is_html: bool = True,
        entity_type: str | None = None,
        record_id: str | None = None,
        attachment_ids: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.subject = subject
        self.body = body
        self.from_address = from_address
        self.cc = cc
        self.bcc = bcc
        self.is_html = is_html
        self.entity_type = entity_type
        self.record_id = record_id
        self.attachment_ids = attachment_ids

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the e-mail."""
        memory = JobMemory(context, "email")
        with self.hook as hook:
            just_made = False
            if memory.job_id is None:
                draft = self._draft(hook, memory)
                memory.submitted(draft["id"])
                just_made = draft["action"] == "created"
            result = hook.send_draft(str(memory.job_id), just_made=just_made)
        self.log.info("Email %s: %s", result["id"], result["action"])
        return result

    def record_shown(self) -> tuple[str | None, str | None]:
        """Return the e-mail itself, and not the record that it belongs to."""
        return "Email", (self.facts or {}).get("id")

    def _draft(self, hook: EspoHook, memory: JobMemory) -> dict[str, Any]:
        earlier = memory.since
        if earlier is None:
            memory.begin()
        try:
            return hook.draft_email(
                to=self.to,
                subject=self.subject,
                body=self.body,
                from_address=self.from_address,
                cc=self.cc,
                bcc=self.bcc,
                is_html=self.is_html,
                entity_type=self.entity_type,
                record_id=self.record_id,
                attachment_ids=self.attachment_ids,
                look_for_earlier_since=earlier,
            )
        except EspoError as error:
            if earlier is None and not error.outcome_unknown:
                # Otherwise a retry would take an equal e-mail of another task for its own.
                memory.forget()
            raise
