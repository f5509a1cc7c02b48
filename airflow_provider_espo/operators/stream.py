"""Read streams, post to them, follow records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.links.espo import EspoRecordLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.rendered import MAX_XCOM_ROWS, refuse_too_many, rows_to_ask_for, whole_number
from airflow_provider_espo.operators.tries import one_try

if TYPE_CHECKING:
    from airflow.sdk import Context


class EspoListStreamOperator(EspoOperator):
    """Return the notes of a stream: of a record, of all the user may read, or of what the user follows.

    :param entity_type: with ``record_id``: the record whose stream is meant. (templated)
    :param record_id: id of that record. (templated)
    :param stream: without a record: ``global`` (default; EspoCRM 8.2 and later, needs the scope in the user's role) or
        ``own``. (templated)
    :param after_number: notes with a higher number only. (templated)
    :param note_types: types, such as ``["Post", "Update"]``. (templated)
    :param parent_types: entity types of the records the notes are about. (templated)
    :param created_by: id of the author. (templated)
    :param text: text that the post contains. (templated)
    :param where: more conditions on attributes of Note, see :mod:`airflow_provider_espo.where`. (templated)
    :param limit: notes at most, the newest ones. (templated)
    :param max_xcom_rows: notes that may go through XCom.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"notes", "note_ids", "last_number"}``, in the order of the numbers; ``last_number`` is ``after_number``,
        or 0, where there is no note.
    :raises EspoForbiddenError: the user's role has no access to the stream.
    :raises EspoInputError: more than ``max_xcom_rows`` notes, or a negative number.
    """

    operator_extra_links = (EspoRecordLink(),)
    reads = ("Note",)
    result_has_parts = True
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "entity_type",
        "record_id",
        "stream",
        "after_number",
        "note_types",
        "parent_types",
        "created_by",
        "text",
        "where",
        "limit",
    )
    template_fields_renderers = {"where": "json"}

    def __init__(
        self,
        *,
        entity_type: str | None = None,
        record_id: str | None = None,
        stream: Literal["global", "own"] | None = None,
        after_number: int | None = None,
        note_types: Sequence[str] | None = None,
        parent_types: Sequence[str] | None = None,
        created_by: str | None = None,
        text: str | None = None,
        where: Sequence[Mapping[str, Any]] | None = None,
        limit: int | None = None,
        max_xcom_rows: int = MAX_XCOM_ROWS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.stream = stream
        self.after_number = after_number
        self.note_types = note_types
        self.parent_types = parent_types
        self.created_by = created_by
        self.text = text
        self.where = where
        self.limit = limit
        self.max_xcom_rows = max_xcom_rows

    def execute(self, context: Context) -> dict[str, Any]:
        """List the notes."""
        after = whole_number("after_number", self.after_number)
        with self.hook as hook:
            notes = hook.list_notes(
                entity_type=self.entity_type,
                record_id=self.record_id,
                stream=self.stream,
                after_number=after,
                note_types=self.note_types,
                parent_types=self.parent_types,
                created_by=self.created_by,
                text=self.text,
                where=self.where,
                limit=rows_to_ask_for(self.limit, self.max_xcom_rows),
            )
        refuse_too_many(notes, self.max_xcom_rows)
        self.log.info("%d notes", len(notes))
        return {
            "notes": notes,
            "note_ids": [note["id"] for note in notes],
            "last_number": max((int(note["number"]) for note in notes), default=after or 0),
        }


class EspoPostToStreamOperator(EspoOperator):
    """Post to a record's stream, or to people.

    Safe to retry: a retry first looks for a post of the connection's user since the first try, at the same place, with
    the same text and files, and takes it for its own. A cleared task posts anew.

    :param post: the text, Markdown. (templated)
    :param entity_type: with ``record_id``: the record whose stream it goes to. (templated)
    :param record_id: id of that record. (templated)
    :param user_ids: instead of a record: users it goes to. (templated)
    :param team_ids: instead of a record: teams it goes to. (templated)
    :param audience: instead of a record: ``self``, or ``all`` for all users. (templated)
    :param attachment_ids: ids of uploaded files (for field ``attachments`` of ``Note``). (templated)
    :param mentions: user names to mention; ``@name`` is put before the text where it is not in it. (templated)
    :param internal: not shown in portals; only some entity types have this.
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action"}``, action ``created``.
    :raises EspoInputError: nothing to post, no place or two, or a mentioned user that does not exist.
    :raises EspoForbiddenError: no such record, no stream there, or no right to post.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("Note",)
    result_has_parts = True
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "post",
        "entity_type",
        "record_id",
        "user_ids",
        "team_ids",
        "audience",
        "attachment_ids",
        "mentions",
    )

    def __init__(
        self,
        *,
        post: str = "",
        entity_type: str | None = None,
        record_id: str | None = None,
        user_ids: Sequence[str] | None = None,
        team_ids: Sequence[str] | None = None,
        audience: Literal["self", "all"] | None = None,
        attachment_ids: Sequence[str] | None = None,
        mentions: Sequence[str] | None = None,
        internal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.post = post
        self.entity_type = entity_type
        self.record_id = record_id
        self.user_ids = user_ids
        self.team_ids = team_ids
        self.audience = audience
        self.attachment_ids = attachment_ids
        self.mentions = mentions
        self.internal = internal

    def execute(self, context: Context) -> dict[str, Any]:
        """Post."""
        with self.hook as hook, one_try(context, "post") as since:
            result = hook.post_note(
                self.post,
                entity_type=self.entity_type,
                record_id=self.record_id,
                user_ids=self.user_ids,
                team_ids=self.team_ids,
                audience=self.audience,
                attachment_ids=self.attachment_ids,
                mentions=self.mentions,
                internal=self.internal,
                look_for_earlier_since=since,
            )
        self.log.info("Note %s: %s", result["id"], result["action"])
        return result

    def record_shown(self) -> tuple[str | None, str | None]:
        """Return the record whose stream it went to; a post to people is shown itself."""
        if self.record_id:
            return self.entity_type, self.record_id
        return "Note", (self.facts or {}).get("id")


class _FollowOperator(EspoOperator):
    """What following and unfollowing share."""

    operator_extra_links = (EspoRecordLink(),)
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id", "user_ids")

    def __init__(
        self, *, entity_type: str, record_id: str, user_ids: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.user_ids = user_ids


class EspoFollowOperator(_FollowOperator):
    """Follow a record, or make users follow it. Safe to retry.

    EspoCRM answers ``true`` also where it does nothing: for API users as followers, and where the connection's user may
    not manage followers. So the followers are read afterwards, and that is an error here.

    :param entity_type: entity type, such as ``Case``. (templated)
    :param record_id: its id. (templated)
    :param user_ids: users that are to follow it; the connection's user itself by default. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"followed": n}``.
    :raises EspoNotFoundError: no such record or user.
    :raises EspoNothingDoneError: some of the users do not follow it now.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Follow the record."""
        with self.hook as hook:
            return hook.follow(self.entity_type, self.record_id, user_ids=self.user_ids)


class EspoUnfollowOperator(_FollowOperator):
    """Unfollow a record, or make users not follow it any more. Safe to retry.

    :param entity_type: entity type, such as ``Case``. (templated)
    :param record_id: its id. (templated)
    :param user_ids: users that are not to follow it; the connection's user itself by default. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"unfollowed": n}``.
    :raises EspoNotFoundError: no such record or user.
    :raises EspoNothingDoneError: some of the users still follow it.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Unfollow the record."""
        with self.hook as hook:
            return hook.unfollow(self.entity_type, self.record_id, user_ids=self.user_ids)
