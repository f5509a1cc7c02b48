"""Who am I, which version is it, what does the server know, and any request that has no operation of its own."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping
from typing import Any

from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoInputError, EspoNotFoundError
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    NO_BODY,
    Operation,
    Record,
    build_request,
    check_headers,
    expect_json,
    expect_object,
    free_path,
    http_method,
)
from airflow_provider_espo.client.wording import a_kind

#: Beginnings of the names of headers that say who sends a request.
_OUR_HEADERS = ("x-api-key", "x-hmac-authorization", "authorization", "espo-authorization", "x-another-user", "cookie")

#: Filters that are no text: EspoCRM takes them as PHP's arrays (``where[0][type]``) or inside of ``searchParams``.
_FILTERS = frozenset({"where", "whereGroup"})


def request(
    state: ClientState,
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    json: Any = NO_BODY,
    headers: Mapping[str, str] | None = None,
    repeatable: bool | None = None,
) -> Operation[Any]:
    """Send any request to EspoCRM's API and return the answer's JSON.

    Time-outs, retries and errors are those of all other methods.

    :param method: HTTP method.
    :param path: path below ``api/v1``, such as ``Lead/action/convert``.
    :param query: query parameters. Text goes as it is; everything else (booleans, numbers, lists, objects) as JSON,
        which is what ``searchParams`` takes.
    :param json: body.
    :param headers: more headers; not those that authenticate.
    :param repeatable: whether the request may be sent twice when it is not known whether the first one was carried
        out. By default ``True`` for all methods but ``POST``.
    :return: decoded JSON, ``None`` for an empty body.
    :raises EspoError: see :mod:`airflow_provider_espo.exceptions`.
    """
    verb = http_method(method)
    _check_headers(headers)
    outgoing = build_request(
        verb,
        free_path(path),
        query=_query_pairs(query),
        json=json,
        headers=headers,
        repeatable=repeatable,
    )
    return expect_json(outgoing, (yield outgoing))


def whoami(state: ClientState) -> Operation[Record]:
    """Return who the connection's user is.

    :return: ``{"id", "user_name", "type", "name"}``; type is ``api``, ``regular``, ``admin`` …
    """
    outgoing = build_request("GET", "App/user")
    answer = expect_object(outgoing, (yield outgoing))
    user = answer.get("user")
    if not isinstance(user, dict):
        user = {}
    state.user_id = str(user["id"]) if user.get("id") else None
    return {
        "id": user.get("id"),
        "user_name": user.get("userName"),
        "type": user.get("type"),
        "name": user.get("name"),
    }


def my_user_id(state: ClientState) -> Operation[str]:
    """Return the id of the connection's user, asked for once in a process.

    :raises EspoBadAnswerError: the server does not say.
    """
    if state.user_id is None:
        yield from whoami(state)
    if state.user_id is None:
        raise EspoBadAnswerError("The answer does not say who the connection's user is", method="GET", path="App/user")
    return state.user_id


def server_version(state: ClientState) -> Operation[str | None]:
    """Return EspoCRM's version such as ``10.0.0``; ``None`` before 8.1, which does not tell."""
    outgoing = build_request("GET", "App/about")
    try:
        answer = expect_object(outgoing, (yield outgoing))
    except EspoNotFoundError:
        return None
    version = answer.get("version")
    return str(version) if version else None


def settings(state: ClientState) -> Operation[Record]:
    """Return the settings the user may see, such as ``timeZone``, ``currencyList`` and ``recordListMaxSizeLimit``."""
    outgoing = build_request("GET", "Settings")
    return expect_object(outgoing, (yield outgoing))


def metadata(state: ClientState, key: str | None = None) -> Operation[Any]:
    """Return EspoCRM's metadata.

    :param key: dotted path such as ``entityDefs.Lead.fields.status.options`` (EspoCRM 8.2 and later); without it
        everything the user may see, some megabytes.
    :return: the value; ``None`` for a key that does not exist or is hidden from the user.
    """
    outgoing = build_request("GET", "Metadata", query=(("key", key),) if key else ())
    response = yield outgoing
    try:
        return response.json()
    except ValueError:
        # A text value comes bare, without the quotes that JSON asks for.
        return response.content.decode(errors="replace")


def _check_headers(headers: Mapping[str, str] | None) -> None:
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise EspoInputError(f"headers is {a_kind(headers)} and not a dict")
    check_headers(headers)
    if taken := sorted(name for name in headers if name.lower().startswith(_OUR_HEADERS)):
        raise EspoInputError(
            f"Header {', '.join(taken)} is the connection's business",
            hint="Set auth_method, login and password in the connection",
        )


def _query_pairs(query: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    if query is None:
        return ()
    if not isinstance(query, Mapping) or not all(isinstance(name, str) and name for name in query):
        raise EspoInputError("query is not a dict of parameter names and values")
    if filters := sorted(_FILTERS & query.keys()):
        raise EspoInputError(
            f"EspoCRM ignores a {filters[0]} that is one query parameter and would return every record",
            hint="Use list_records, or give it with all other parameters inside of searchParams",
        )
    return tuple((name, value if isinstance(value, str) else _json_text(name, value)) for name, value in query.items())


def _json_text(name: str, value: Any) -> str:
    """Encode a query value as JSON, which keeps its type."""
    try:
        return json_module.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise EspoInputError(
            f"The query parameter {name!r} is not JSON",
            hint="Give only text, numbers, booleans, null, lists and dicts with text keys",
        ) from None
