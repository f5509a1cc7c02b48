"""Post to streams, follow and unfollow records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from airflow_provider_espo.client.errors import EspoForbiddenError, EspoInputError, EspoNothingDoneError
from airflow_provider_espo.client.operations.keys import Found
from airflow_provider_espo.client.operations.listing import list_records
from airflow_provider_espo.client.operations.lost import CLOCK_SKEW, create_once
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.operations.relations import record_ids, send_and_expect_true
from airflow_provider_espo.client.operations.stream import earlier_post
from airflow_provider_espo.client.operations.system import my_user_id
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    record_id_segment,
    record_path,
)

Audience = Literal["self", "all"]


def post_note(
    state: ClientState,
    post: str = "",
    *,
    entity_type: str | None = None,
    record_id: str | None = None,
    user_ids: Sequence[str] | None = None,
    team_ids: Sequence[str] | None = None,
    audience: Audience | None = None,
    attachment_ids: Sequence[str] | None = None,
    mentions: Sequence[str] | None = None,
    internal: bool = False,
    look_for_earlier_since: datetime | None = None,
) -> Operation[Record]:
    """Post to a record's stream, or to people.

    A post whose outcome is unknown is looked up before it is tried again: one of the connection's user since, at the
    same place, with the same text and files, is taken for it.

    :param post: the text, Markdown.
    :param entity_type: with ``record_id``: the record whose stream it goes to.
    :param record_id: id of that record.
    :param user_ids: instead of a record: users it goes to.
    :param team_ids: instead of a record: teams it goes to.
    :param audience: instead of a record: ``self``, or ``all`` for all users.
    :param attachment_ids: ids of uploaded files (for field ``attachments`` of ``Note``).
    :param mentions: user names to mention, whom EspoCRM notifies; ``@name`` is put before a text that lacks it.
    :param internal: not shown in portals; only some entity types have this.
    :param look_for_earlier_since: look for the post of an earlier try since this time first.
    :return: ``{"id", "action"}``, action ``created``.
    :raises EspoInputError: nothing to post, nobody to post to, or a mentioned user that does not exist.
    :raises EspoForbiddenError: no such record, no stream there, or no right to post.
    """
    wanted: dict[str, Any] = {
        "type": "Post",
        "post": _text(post, mentions),
        **_place(entity_type, record_id, user_ids, team_ids, audience),
    }
    if attachment_ids:
        wanted["attachmentsIds"] = record_ids(attachment_ids)
    if internal:
        wanted["isInternal"] = True
    if not wanted["post"].strip() and not attachment_ids:
        raise EspoInputError("There is nothing to post", hint="Give a text or attachment_ids")
    if mentions:
        yield from _check_users(state, mentions)
    author = yield from my_user_id(state)
    path = (
        f"{wanted['parentType']}/{wanted['parentId']}/stream" if "parentId" in wanted else f"User/{author}/stream/own"
    )

    def find(since: datetime) -> Operation[Found | None]:
        note = yield from earlier_post(path, wanted, author, since.astimezone(UTC))
        return None if note is None else Found(note)

    if look_for_earlier_since is not None:
        earlier = yield from find(look_for_earlier_since - CLOCK_SKEW)
        if earlier is not None:
            return {"id": earlier.id, "action": "created"}
    outgoing = build_request("POST", "Note", json=wanted)
    try:
        note, _ = yield from create_once(state, outgoing, find)
    except EspoForbiddenError as error:
        error.hint = (
            "There is no such record, its entity type has no stream (or no internal notes), or the user may not read it"
        )
        raise
    return {"id": str(note["id"]), "action": "created"}


def follow(
    state: ClientState, entity_type: str, record_id: str, *, user_ids: Sequence[str] | None = None
) -> Operation[Record]:
    """Follow a record, or make users follow it. May be tried again.

    EspoCRM answers ``true`` also where it does nothing: for API users as followers, and where the connection's user may
    not manage followers. So the followers are read afterwards.

    :param entity_type: such as ``Case``.
    :param record_id: its id.
    :param user_ids: users that are to follow it; the connection's user itself by default.
    :return: ``{"followed": n}``.
    :raises EspoNotFoundError: no such record or user.
    :raises EspoNothingDoneError: some of the users do not follow it now.
    """
    return {"followed": (yield from _set_following(state, entity_type, record_id, user_ids, follow=True))}


def unfollow(
    state: ClientState, entity_type: str, record_id: str, *, user_ids: Sequence[str] | None = None
) -> Operation[Record]:
    """Unfollow a record, or make users not follow it any more. May be tried again.

    Takes the arguments of :meth:`follow`.

    :return: ``{"unfollowed": n}``.
    :raises EspoNothingDoneError: some of the users still follow it.
    """
    return {"unfollowed": (yield from _set_following(state, entity_type, record_id, user_ids, follow=False))}


def _set_following(
    state: ClientState, entity_type: str, record_id: str, user_ids: Sequence[str] | None, *, follow: bool
) -> Operation[int]:
    """Have users follow a record or not, and return how many."""
    path = record_path(entity_type, record_id_segment(record_id))
    if user_ids is None:
        yield from _expect_true("PUT" if follow else "DELETE", f"{path}/subscription", None)
        return 1
    ids = record_ids(user_ids)
    if ids:
        yield from _expect_true("POST" if follow else "DELETE", f"{path}/followers", {"ids": ids})
        there = yield from _followers(state, path)
        wrong = sorted(one for one in set(ids) if (one in there) is not follow)
        _raise_for(wrong, path, "do not follow the record" if follow else "still follow the record")
    return len(ids)


def _place(
    entity_type: str | None,
    record_id: str | None,
    user_ids: Sequence[str] | None,
    team_ids: Sequence[str] | None,
    audience: str | None,
) -> dict[str, Any]:
    """Where a post goes, in EspoCRM's attributes. Without any it would be seen by nobody."""
    record = entity_type is not None or record_id is not None
    if sum((record, bool(user_ids), bool(team_ids), audience is not None)) != 1:
        raise EspoInputError(
            "A post goes to one place",
            hint="Give entity_type and record_id, or user_ids, or team_ids, or audience='self' or 'all'",
        )
    if record:
        record_path(entity_type, record_id_segment(record_id))
        return {"parentType": entity_type, "parentId": record_id}
    if user_ids:
        return {"targetType": "users", "usersIds": record_ids(user_ids)}
    if team_ids:
        return {"targetType": "teams", "teamsIds": record_ids(team_ids)}
    if audience not in get_args(Audience):
        raise EspoInputError(f"audience is {audience!r}", hint=f"Give one of {', '.join(get_args(Audience))}")
    return {"targetType": audience}


def _text(post: object, mentions: Sequence[str] | None) -> str:
    if not isinstance(post, str):
        raise EspoInputError(f"post is a {type(post).__name__} and not a text")
    if isinstance(mentions, str):
        raise EspoInputError("mentions is a list of user names, not a text")
    words = post.split()
    missing = [f"@{name.removeprefix('@')}" for name in mentions or () if f"@{name.removeprefix('@')}" not in words]
    return " ".join([*missing, post]) if missing else post


def _check_users(state: ClientState, mentions: Sequence[str]) -> Operation[None]:
    """EspoCRM takes a mention of nobody for plain text."""
    names = [name.removeprefix("@") for name in mentions]
    where = [{"type": "in", "attribute": "userName", "value": names}]
    found = yield from list_records(state, "User", where=where, select=["userName"], validate=False)
    known = {str(user.get("userName")).lower() for user in found}
    if unknown := [name for name in names if name.lower() not in known]:
        raise EspoInputError(f"No user {', '.join(unknown)} to mention, or hidden from the connection's user")


def _expect_true(method: str, path: str, body: Any) -> Operation[None]:
    # To follow twice is to follow once, so this may be repeated.
    extra = {} if body is None else {"json": body}
    yield from send_and_expect_true(build_request(method, path, repeatable=True, **extra))


def _followers(state: ClientState, path: str) -> Operation[set[str]]:
    pager = pager_for(Search(select=["id"]), state.config.page_size)
    found: set[str] = set()
    while (page := (yield from next_page(pager, f"{path}/followers"))) is not None:
        found |= {str(user["id"]) for user in page}
    return found


def _raise_for(user_ids: Sequence[str], path: str, what: str) -> None:
    if user_ids:
        raise EspoNothingDoneError(
            f"EspoCRM answered true, but users {', '.join(user_ids)} {what}",
            status=200,
            path=f"{path}/followers",
            method="GET",
            hint="API users cannot be followers, and the connection's user needs the right to manage followers",
        )
