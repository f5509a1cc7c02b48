"""From an answer to the error it means (EspoCRM's ``ErrorOutput`` and what proxies in front of it send)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
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
from airflow_provider_espo.client.moments import from_http
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
_REFUSED_BY_PAGE_HINT = (
    "It is not EspoCRM that answers so. Check that the connection's host is the site URL of EspoCRM, including a "
    "sub-path if it has one, and whether a proxy or firewall in front of it refuses the request"
)
_NO_TYPE_HINT = "Check the entity type's spelling (Lead, not Leads; custom types begin with C)"
_NO_RECORD_HINT = "A record may be deleted, or hidden from the connection's user by its roles"
_NO_REASON_HINT = "Check the roles of the connection's user in EspoCRM; some requests are for administrators only"
_OTHER_4XX_HINTS = {
    405: "EspoCRM has no such route for this method",
    407: "The proxy wants a user name and password: give them in the connection's proxies",
    413: "The body is larger than the web server takes",
    414: "The filter makes the URL longer than the web server takes: split long lists of values",
    415: "The web server refused the content type",
}


def error_from(request: Request, response: Response, auth_method: AuthMethod) -> EspoError | None:
    """Return the error an answer means, ``None`` for a success. Redirects are not errors here."""
    status = response.status
    if status < 400:
        return _page_instead_of_api(request, response) if status < 300 and _is_page(response) else None
    facts: dict[str, Any] = {
        "status": status,
        "reason": response.reason,
        "method": request.method,
        "path": request.path,
    }
    if status >= 500:
        return _server_error(response, facts)
    if status == 401:
        return _unauthenticated(response, auth_method, facts)
    # Every other refusal of EspoCRM's own has the reason header, if only an empty one, and none is a page.
    if _is_page(response) and not response.has_reason_header and status in (400, 403, 404, 405):
        return _page_instead_of_api(request, response)
    return _BY_STATUS.get(status, _refused)(response, _body(response), facts)


def retry_after(response: Response, now: datetime | None = None) -> float | None:
    """Seconds that ``Retry-After`` asks to wait, given as seconds or as a date."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    moment = from_http(value)
    if moment is None:
        return None
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _is_page(response: Response) -> bool:
    # Without a body it is none: EspoCRM itself labels its empty 401 and 403 as HTML.
    start = response.content[:200].lstrip()
    return (
        bool(start)
        and not response.is_json
        and ("html" in response.headers.get("content-type", "").lower() or start[:1] == b"<")
    )


def _page_instead_of_api(request: Request, response: Response) -> EspoBadAnswerError:
    refused = response.status >= 400
    return EspoBadAnswerError(
        "An HTML page came instead of an answer of EspoCRM's API",
        status=response.status,
        method=request.method,
        path=request.path,
        hint=_REFUSED_BY_PAGE_HINT if refused else None,
        # A page with status 200 may be PHP's warnings in front of the real answer.
        outcome_unknown=not refused and request.method != "GET",
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
    field, rule = _refused_field(response, body)
    if field is None or rule is None:
        return EspoBadRequestError("The server cannot make sense of the request", **facts)
    return EspoValidationError(
        f"Field {field!r} was refused (rule {rule})", field=field, rule=rule, hint=_validation_hint(rule), **facts
    )


def _refused_field(response: Response, body: Any) -> tuple[str | None, str | None]:
    """Field and rule of a validation failure: in the body since 7.2, in the reason's text since 7.2.4."""
    translation = _translation(body)
    data = translation.get("data")
    if translation.get("label") == "validationFailure" and isinstance(data, dict):
        field, rule = data.get("field"), data.get("type")
        if isinstance(field, str) and isinstance(rule, str):
            return field, rule
    in_reason = _VALIDATION_REASON.search(response.reason or "")
    return (in_reason["field"], in_reason["rule"]) if in_reason else (None, None)


def _validation_hint(rule: str) -> str | None:
    return {
        "required": "The field must have a value",
        "valid": "The value does not fit the field's type or options; phone numbers must be international, "
        "as +14155552671",
        "maxLength": "The text is longer than the field takes",
        "pattern": "The text has characters that the field does not take",
        "emailAddress": "This is not an e-mail address",
    }.get(rule)


def _unauthenticated(response: Response, auth_method: AuthMethod, facts: dict[str, Any]) -> EspoError:
    if response.reason == "second-step-required":
        return EspoSecondFactorError("The user has two-factor authentication", **facts)
    if _is_page(response):
        return EspoAuthenticationError(
            "Something in front of EspoCRM wants credentials of its own",
            hint="EspoCRM's own refusal has no page with it: look at the web server or proxy before it",
            **facts,
        )
    return EspoAuthenticationError(
        f"EspoCRM did not accept the credentials (method {auth_method.value})",
        hint=_AUTH_HINTS[auth_method],
        **facts,
    )


def _forbidden(response: Response, body: Any, facts: dict[str, Any]) -> EspoError:
    label = _translation(body).get("label")
    if label == "cannotRelateNonExisting":
        return EspoForbiddenError(
            "A record to be linked does not exist",
            hint="Check the ids in the link attributes (such as accountId or teamsIds)",
            **facts,
        )
    # A refusal for want of rights has the reason header, if only an empty one. The throttle and the address list
    # refuse before EspoCRM knows the user, and then there is neither header nor body.
    if not response.has_reason_header and not response.is_json and not response.content.strip():
        return EspoLoginThrottledError("EspoCRM refused before it looked at the request", **facts)
    if label:
        return EspoForbiddenError(f"The user may not do this ({label})", **facts)
    hint = None if facts["reason"] else _NO_REASON_HINT
    return EspoForbiddenError("The user may not do this", hint=hint, **facts)


def _not_found(response: Response, _body: Any, facts: dict[str, Any]) -> EspoError:
    if response.has_reason_header:
        hint = _NO_TYPE_HINT if (facts["reason"] or "").startswith("Controller ") else _NO_RECORD_HINT
        return EspoNotFoundError("Not found", hint=hint, **facts)
    return EspoNotFoundError(
        "EspoCRM has no such route",
        hint="Check the path, and that the connection's host is the site URL of EspoCRM",
        **facts,
    )


def _conflict(_response: Response, body: Any, facts: dict[str, Any]) -> EspoError:
    if facts["reason"] == "duplicate":
        records = [item for item in body if isinstance(item, dict)] if isinstance(body, list) else []
        ids = ", ".join(str(record.get("id")) for record in records)
        return EspoDuplicateError(
            f"EspoCRM found records with the same name or e-mail address: {ids}", records=records, **facts
        )
    if facts["reason"] == "modified":
        facts_now = body if isinstance(body, dict) else {}
        values, version = facts_now.get("values"), facts_now.get("versionNumber")
        return EspoVersionConflictError(
            "The record was changed meanwhile" + (f" and is at version {version} now" if version is not None else ""),
            # PHP writes an object without any key as a list.
            current_values=values if isinstance(values, dict) else None,
            current_version=version,
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


def _too_many(response: Response, _body: Any, facts: dict[str, Any]) -> EspoError:
    return EspoRateLimitError("Too many requests", retry_after=retry_after(response), **facts)


def _refused(response: Response, _body: Any, facts: dict[str, Any]) -> EspoError:
    hint = _OTHER_4XX_HINTS.get(response.status)
    return EspoBadRequestError(f"The server refused the request with status {response.status}", hint=hint, **facts)


_BY_STATUS: Mapping[int, Callable[[Response, Any, dict[str, Any]], EspoError]] = {
    400: _bad_request,
    403: _forbidden,
    404: _not_found,
    409: _conflict,
    429: _too_many,
}
