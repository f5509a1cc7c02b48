"""What an incremental extraction asks the server before it begins: does the attribute do, and what time is it there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from airflow_provider_espo.client.errors import EspoBadRequestError, EspoError, EspoForbiddenError, EspoInputError
from airflow_provider_espo.client.extraction import Question
from airflow_provider_espo.client.incremental import CLOCKS_DIFFER, Value
from airflow_provider_espo.client.moments import from_http, utc_text
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Response, build_request, expect_object, record_path

#: How far our own clock may be ahead of the server's, where the server does not tell the time.
CLOCK_MARGIN: Final = timedelta(seconds=CLOCKS_DIFFER)


def check_attribute(schema: EntitySchema, by: str) -> None:
    """Refuse an attribute that tells nothing of changes, as far as the metadata says.

    :param schema: of the entity type.
    :param by: the attribute.
    :raises EspoInputError: the entity type does not have it, or has something else under its name.
    """
    wanted = "autoincrement" if by == "number" else "datetime"
    if schema.fields.get(by) != wanted:
        has = f"has a {by} that is no {wanted}" if by in schema.fields else f"has no {by} that this user may read"
        raise EspoInputError(
            f"{schema.entity_type} {has}, so that it cannot be extracted by it",
            hint="Look at the entity type's fields and the user's role, or extract it whole",
        )


def upper_bound(state: ClientState, question: Question, by: str) -> Operation[Value]:
    """Ask for the value at which a window ends that begins to be read now.

    One small request, which also shows that EspoCRM orders by the attribute, and shows it.

    :param question: what is extracted.
    :param by: the attribute.
    :return: the server's time; for ``number`` the first that is not given yet.
    :raises EspoInputError: EspoCRM does not order by the attribute or does not show it.
    """
    search = question.search.with_(select=["id", by], order_by=by, order="desc", max_size=1)
    outgoing = build_request(
        "GET", record_path(question.entity_type), query=search.to_query(), headers={"X-No-Total": "true"}
    )
    try:
        response = yield outgoing
    except (EspoForbiddenError, EspoBadRequestError) as error:
        raise _not_sortable(question, by, error) from None
    rows = expect_object(outgoing, response).get("list")
    newest = rows[0].get(by) if isinstance(rows, list) and rows and isinstance(rows[0], dict) else None
    if isinstance(rows, list) and rows and newest is None:
        raise EspoInputError(
            f"EspoCRM does not show {by} of {question.entity_type}, so that it cannot be extracted by it",
            hint="The role of the connection's user may hide it",
        )
    if by == "number":
        return newest + 1 if isinstance(newest, int) else 0
    return utc_text(server_time(response, datetime.fromtimestamp(state.wall_clock(), UTC)))


def server_time(response: Response, now: datetime) -> datetime:
    """Return what the server's clock showed when it answered.

    :param response: the answer.
    :param now: our own time, used with a margin where the answer does not say.
    """
    said = from_http(response.headers.get("date", ""))
    return now - CLOCK_MARGIN if said is None else said


def _not_sortable(question: Question, by: str, error: EspoError) -> EspoError:
    why = f" ({error.reason})" if error.reason else ""
    return EspoInputError(
        f"EspoCRM does not order {question.entity_type} by {by}{why}, so that it cannot be extracted by it",
        hint="The role of the connection's user may hide the attribute or the entity type",
    )
