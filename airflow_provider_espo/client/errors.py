"""Typed errors: what happened, on which call, and what to do about it.

Every error may be shown in a log. So its text holds the status, EspoCRM's reason, the method and the path, and
never a query string, a body, a header or an attribute's value: those can hold secrets and personal data. Found
records and current values travel as attributes for code to use and stay out of ``str`` and ``repr``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class EspoError(Exception):
    """Base of all errors of this provider.

    :param message: what happened, one sentence.
    :param status: HTTP status of the answer, ``None`` where there was none.
    :param reason: EspoCRM's ``X-Status-Reason``, where sent.
    :param method: HTTP method of the request.
    :param path: path of the request below ``api/v1``, without query string.
    :param hint: what the reader can do about it.
    """

    #: A hint for errors of this kind when the place that raises it knows no better one.
    default_hint: ClassVar[str | None] = None

    #: Whether the server may have carried out what was asked.
    outcome_unknown: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        reason: str | None = None,
        method: str | None = None,
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        # Only ``message`` is in ``args``: an exception is pickled as ``cls(*args)`` plus its ``__dict__``.
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.method = method
        self.path = path
        self.hint = hint or self.default_hint
        #: Where many records were written and this stopped it: the outcomes so far.
        self.outcomes: Sequence[Mapping[str, Any]] = ()

    def __str__(self) -> str:
        parts = [self.message.rstrip(".") or type(self).__name__]
        if self.method and self.path is not None:
            parts[0] += f" ({self.method} {self.path}"
            parts[0] += f", status {self.status})" if self.status else ")"
        if self.reason and self.reason not in self.message:
            parts.append(f"EspoCRM says: {self.reason.rstrip('.')}")
        if self.hint:
            parts.append(self.hint.rstrip("."))
        text = ". ".join(parts)
        return text if text.endswith("?") else f"{text}."

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"


class EspoInputError(EspoError, ValueError):
    """What was asked cannot be sent: found before anything went to the server."""


class EspoConfigError(EspoInputError):
    """The Airflow connection is incomplete or contradicts itself."""


class EspoUnknownNameError(EspoInputError):
    """An attribute, link or entity type that the server does not have, or not for this user.

    EspoCRM drops unknown names in silence, therefore they are refused before anything is written.
    """


class EspoTransportError(EspoError):
    """No usable answer came back.

    :param outcome_unknown: whether the server may have carried the request out.
    """

    def __init__(self, message: str = "", *, outcome_unknown: bool = False, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.outcome_unknown = outcome_unknown


class EspoConnectionError(EspoTransportError):
    """The server could not be reached, or the connection broke."""

    default_hint = "Check host and port of the connection and the way from this worker to the server"


class EspoTLSError(EspoConnectionError):
    """The server's certificate is not trusted, or TLS could not be agreed on."""

    default_hint = "Give the CA in the connection's ca_file; verify=false only for a test server of your own"


class EspoTimeoutError(EspoTransportError):
    """No answer in time."""

    default_hint = "Ask for less at once (select, page_size), or raise timeout in the connection"


class EspoBadAnswerError(EspoTransportError):
    """The answer is not what EspoCRM's API gives, such as an HTML page or a foreign redirect."""

    default_hint = "Check that the connection's host is the site URL of EspoCRM, including a sub-path if it has one"


class EspoApiError(EspoError):
    """EspoCRM answered with an error status, or with a body that means that nothing was done."""


class EspoBadRequestError(EspoApiError):
    """400: the request does not make sense to the server."""


class EspoValidationError(EspoBadRequestError):
    """400: a field's value was refused. EspoCRM names the first failing field only.

    :param field: the field.
    :param rule: the rule it broke, such as ``required``, ``maxLength`` or ``valid``.
    """

    def __init__(self, message: str = "", *, field: str | None = None, rule: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.field = field
        self.rule = rule


class EspoAuthenticationError(EspoApiError):
    """401: the credentials were not accepted."""


class EspoSecondFactorError(EspoAuthenticationError):
    """401: the user has two-factor authentication, which no unattended task can answer."""

    default_hint = "Use an API user (api_key or hmac): those have no second factor"


class EspoForbiddenError(EspoApiError):
    """403: the user may not do this."""

    default_hint = "Check the roles of the connection's user in EspoCRM"


class EspoLoginThrottledError(EspoForbiddenError):
    """403 without a reason: EspoCRM's throttle of failed logins, or its address whitelist.

    :param retry_after: seconds after which another try makes sense.
    """

    default_hint = (
        "EspoCRM sends this after more than 10 failed logins from one address in 60 seconds, also to valid keys, "
        "and when the address is not whitelisted: look for another task with a wrong key, wait a minute"
    )
    retry_after: float = 60.0


class EspoNotFoundError(EspoApiError):
    """404: no such record, link or route, or it is hidden from this user."""


class EspoConflictError(EspoApiError):
    """409: the server's state does not allow this, such as a locked record."""


class EspoDuplicateError(EspoConflictError):
    """409 ``duplicate``: EspoCRM found records with the same name or e-mail address.

    :param records: the found records, as the server sent them.
    """

    def __init__(self, message: str = "", *, records: Sequence[Mapping[str, Any]] = (), **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.records = tuple(records)

    @property
    def record_ids(self) -> list[str]:
        """Ids of the found records."""
        return [str(record["id"]) for record in self.records if "id" in record]


class EspoVersionConflictError(EspoConflictError):
    """409 ``modified``: the record was changed since the version that was read.

    :param current_values: values on the server now of the attributes that were to be written.
    :param current_version: the record's ``versionNumber`` now.
    """

    def __init__(
        self,
        message: str = "",
        *,
        current_values: Mapping[str, Any] | None = None,
        current_version: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(message, **kwargs)
        self.current_values = dict(current_values or {})
        self.current_version = current_version


class EspoRateLimitError(EspoApiError):
    """429: a proxy in front of EspoCRM limits requests (EspoCRM itself does not).

    :param retry_after: seconds to wait, where the answer said so.
    """

    default_hint = "Set requests_per_second in the connection, or an Airflow pool over the tasks that use it"

    def __init__(self, message: str = "", *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class EspoServerError(EspoApiError):
    """5xx: the server failed.

    :param outcome_unknown: whether the server may have carried the request out.
    """

    def __init__(self, message: str = "", *, outcome_unknown: bool = False, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.outcome_unknown = outcome_unknown


class EspoMaintenanceError(EspoServerError):
    """503: EspoCRM is in maintenance mode; only administrators get in."""

    default_hint = "Try again when the maintenance is over"


class EspoNothingDoneError(EspoApiError):
    """The server answered 200 but did nothing, such as ``false`` from a link request."""


class EspoAmbiguousMatchError(EspoError):
    """More than one record has the given key, so none was touched.

    :param record_ids: ids of the records that have it (the first few).
    """

    default_hint = "Merge the records in EspoCRM, or give more attributes in match_by"

    def __init__(self, message: str = "", *, record_ids: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.record_ids = list(record_ids)


class EspoJobError(EspoError):
    """A background job of EspoCRM failed, did not end in time, or its fate is not known.

    :param job_id: id of the job, where known.
    :param kind: ``mass_action``, ``export`` or ``import``.
    :param job_status: the job's last known status, in EspoCRM's words.
    """

    def __init__(
        self,
        message: str = "",
        *,
        job_id: str | None = None,
        kind: str | None = None,
        job_status: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(message, **kwargs)
        self.job_id = job_id
        self.kind = kind
        self.job_status = job_status


class EspoShortfallError(EspoError):
    """Fewer records were written than should have been: by a mass action, or by a bulk write with too many failures.

    A mass action skips in silence what the user may not change, what is locked, and what a value is not valid for.

    :param count: records that were changed.
    :param expected: records that should have been.
    :param record_ids: ids of those that were not, where known.
    """

    def __init__(
        self,
        message: str = "",
        *,
        count: int | None = None,
        expected: int | None = None,
        record_ids: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(message, **kwargs)
        self.count = count
        self.expected = expected
        self.record_ids = list(record_ids)


class EspoPreflightError(EspoError):
    """The server lacks what a DAG needs, or the user may not use it.

    :param problems: what is missing, a sentence each.
    """

    def __init__(self, message: str = "", *, problems: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.problems = list(problems)


class EspoStorageError(EspoError):
    """A file could not be read or written: the disk is full, the object store is away, or rights are missing.

    What was there before stays as it was. Whatever was in the way, another try goes on when it is gone.

    :param file: the file's name.
    """

    def __init__(self, message: str = "", *, file: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.file = file
