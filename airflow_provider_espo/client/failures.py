"""Errors of the HTTP libraries in our words, the same for both transports.

The libraries' own texts hold the URL with its query string, and that holds filters with personal data. So an error
is made anew, with no more of the original than what the operating system said.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator

from airflow_provider_espo.client.errors import (
    EspoConnectionError,
    EspoTimeoutError,
    EspoTLSError,
    EspoTransportError,
)


def no_connection_in_time() -> EspoTransportError:
    """The connection could not be made in time: nothing was sent."""
    return EspoTimeoutError(
        "No connection within connect_timeout",
        hint="Check host and port, and whether a firewall drops the packets in silence",
    )


def no_answer_in_time() -> EspoTransportError:
    """The request was sent and no answer came in time."""
    return EspoTimeoutError("No answer within timeout", outcome_unknown=True)


def no_connection(error: BaseException, what: str = "No connection to the server") -> EspoTransportError:
    """No connection was made: nothing was sent."""
    if _find(error, ssl.SSLError):
        return untrusted(error)
    cause = _system_reason(error)
    return EspoConnectionError(f"{what}: {cause}" if cause else what)


def broken(error: BaseException) -> EspoTransportError:
    """The connection broke after the request, or a part of it, was sent."""
    if _find(error, ssl.SSLCertVerificationError):
        return untrusted(error)
    cause = _system_reason(error)
    what = "The connection broke before the answer was complete"
    return EspoConnectionError(f"{what}: {cause}" if cause else what, outcome_unknown=True)


def untrusted(error: BaseException) -> EspoTransportError:
    """TLS failed: nothing was sent."""
    certificate = _find(error, ssl.SSLCertVerificationError)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return EspoTLSError(f"The server's certificate is not trusted ({certificate.verify_message})")
    inner = _find(error, ssl.SSLError)
    reason = getattr(inner, "reason", None)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return EspoTLSError(
            "The server does not speak TLS on this port", hint="Write http:// in the host if the site has no TLS"
        )
    return EspoTLSError(f"TLS failed ({reason})" if reason else "TLS failed")


def _find(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    return next((one for one in _chain(error) if isinstance(one, kind)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all it came from, however the library links them."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _system_reason(error: BaseException) -> str | None:
    for one in _chain(error):
        if isinstance(one, socket.gaierror):
            return "the host name is not known"
        if isinstance(one, OSError) and isinstance(one.errno, int) and one.errno in errno.errorcode:
            return os.strerror(one.errno).lower()
    return None
