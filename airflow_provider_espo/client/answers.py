"""From an answer to the error it means (EspoCRM's ``ErrorOutput`` and what proxies in front of it send)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_espo.client.config import AuthMethod
from airflow_provider_espo.client.errors import (
    EspoAuthenticationError,
    EspoBadAnswerError,
    EspoBadRequestError,
    EspoConflictError,
    EspoDuplicateError,
    EspoError,
    EspoForbiddenError,
    EspoLoginThrottledError,
    EspoMaintenanceError,
    EspoNotFoundError,
    EspoRateLimitError,
    EspoSecondFactorError,
    EspoServerError,
    EspoValidationError,
    EspoVersionConflictError,
)
from airflow_provider_espo.client.wire import Request, Response

_VALIDATION_REASON = re.compile(r"field: (?P<field>\w+), type: (?P<rule>\w+)")

_AUTH_HINTS = {
    AuthMethod.API_KEY: (
        "The API key is unknown, or its user is inactive or has another authentication method than API Key "
        "(an HMAC user's key needs auth_method hmac)"
    ),
    AuthMethod.HMAC: (
        "Login must be the API key and password the secret key of an active API user with the method HMAC"
    ),
    AuthMethod.BASIC: "User name or password is wrong, or the user is inactive or an API user (those use api_key)",
    AuthMethod.TOKEN: "User name or password is wrong, or the user is inactive or an API user (those use api_key)",
}
_OTHER_4XX_HINTS = {
    405: "EspoCRM has no such route",
    413: "The body is larger than the web server takes",
    414: "The filter makes the URL longer than the web server takes: split long lists of values",
    415: "The web server refused the content type",
}


def error_from(request: Request, response: Response, auth_method: AuthMethod) -> EspoError | None:
    """Return the error an answer means, ``None`` for a success. Redirects are not errors here."""
    status = response.status
    if status < 300:
        return _page_instead_of_api(request, response) if _is_page(response) else None
    if status < 400:
        return None
    facts: dict[str, Any] = {
        "status": status,
        "reason": response.reason,
        "method": request.method,
        "path": request.path,
    }
    if status >= 500:
        return _server_error(response, facts)
    if _is_page(response) and response.reason is None and status in (400, 403, 404, 405):
        return _page_instead_of_api(request, response)
    body = _body(response)
    match status:
        case 400:
            return _bad_request(response, body, facts)
        case 401:
            return _unauthenticated(response, auth_method, facts)
        case 403:
            return _forbidden(body, facts)
        case 404:
            return EspoNotFoundError("Not found", **facts)
        case 409:
            return _conflict(body, facts)
        case 429:
            return EspoRateLimitError("Too many requests", retry_after=retry_after(response), **facts)
        case _:
            hint = _OTHER_4XX_HINTS.get(status)
            return EspoBadRequestError(f"The server refused the request with status {status}", hint=hint, **facts)


def retry_after(response: Response, now: datetime | None = None) -> float | None:
    """Seconds that ``Retry-After`` asks to wait, given as seconds or as a date."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _is_page(response: Response) -> bool:
    # Without a body it is none: EspoCRM itself labels its empty 401 and 403 as HTML.
    start = response.content[:200].lstrip()
    return bool(start) and not response.is_json and ("html" in response.headers.get("content-type", "") or start[:1] == b"<")


def _page_instead_of_api(request: Request, response: Response) -> EspoBadAnswerError:
    return EspoBadAnswerError(
        "An HTML page came instead of an answer of EspoCRM's API",
        status=response.status,
        method=request.method,
        path=request.path,
    )


def _body(response: Response) -> Any:
    """Body of an error: often empty, sometimes not JSON although it says so."""
    try:
        return response.json()
    except ValueError:
        return None


def _translation(body: Any) -> Mapping[str, Any]:
    value = body.get("messageTranslation") if isinstance(body, dict) else None
    return value if isinstance(value, dict) else {}


def _bad_request(response: Response, body: Any, facts: dict[str, Any]) -> EspoError:
    translation = _translation(body)
    data = translation.get("data")
    in_reason = _VALIDATION_REASON.search(response.reason or "")
    if translation.get("label") == "validationFailure" and isinstance(data, dict):
        field, rule = data.get("field"), data.get("type")
    elif in_reason:
        field, rule = in_reason["field"], in_reason["rule"]
    else:
        return EspoBadRequestError("The server cannot make sense of the request", **facts)
    # EspoCRM's reason says no more than this sentence.
    facts["reason"] = None
    return EspoValidationError(
        f"Field {field!r} was refused: {rule}",
        field=str(field),
        rule=str(rule),
        hint=_validation_hint(str(rule)),
        **facts,
    )


def _validation_hint(rule: str) -> str | None:
    return {
        "required": "The field must have a value",
        "valid": "The value does not fit the field's type or options; phone numbers must be international, as +14155552671",
        "maxLength": "The text is longer than the field takes",
        "pattern": "The text has characters that the field does not take",
    }.get(rule)


def _unauthenticated(response: Response, auth_method: AuthMethod, facts: dict[str, Any]) -> EspoError:
    if response.reason == "second-step-required":
        return EspoSecondFactorError("The user has two-factor authentication", **facts)
    return EspoAuthenticationError(
        f"EspoCRM did not accept the credentials (method {auth_method.value})",
        hint=_AUTH_HINTS[auth_method],
        **facts,
    )


def _forbidden(body: Any, facts: dict[str, Any]) -> EspoError:
    label = _translation(body).get("label")
    if label == "cannotRelateNonExisting":
        return EspoForbiddenError(
            "A record to be linked does not exist",
            hint="Check the ids in the link attributes (such as accountId or teamsIds)",
            **facts,
        )
    if facts["reason"] is None and body is None:
        return EspoLoginThrottledError("EspoCRM refused without a reason", **facts)
    what = f"The user may not do this ({label})" if label else "The user may not do this"
    return EspoForbiddenError(what, **facts)


def _conflict(body: Any, facts: dict[str, Any]) -> EspoError:
    if facts["reason"] == "duplicate":
        records = [item for item in body if isinstance(item, dict)] if isinstance(body, list) else []
        ids = ", ".join(str(record.get("id")) for record in records)
        facts["reason"] = None
        return EspoDuplicateError(
            f"EspoCRM found records with the same name or e-mail address: {ids}", records=records, **facts
        )
    if facts["reason"] == "modified" and isinstance(body, dict):
        facts["reason"] = None
        return EspoVersionConflictError(
            f"The record was changed meanwhile and is at version {body.get('versionNumber')} now",
            current_values=body.get("values"),
            current_version=body.get("versionNumber"),
            hint="Read it again and decide anew",
            **facts,
        )
    label = _translation(body).get("label")
    return EspoConflictError(f"Conflict ({label})" if label else "Conflict", **facts)


def _server_error(response: Response, facts: dict[str, Any]) -> EspoError:
    if facts["status"] == 503:
        if "maintenance" in (facts["reason"] or "").lower():
            return EspoMaintenanceError("EspoCRM is in maintenance mode", **facts)
        # Nobody was there to take the request: it was not carried out.
        return EspoServerError("The server is not available", **facts)
    hint = "Look into EspoCRM's log (data/logs) of this moment" if facts["status"] == 500 else None
    return EspoServerError("The server failed", outcome_unknown=True, hint=hint, **facts)
