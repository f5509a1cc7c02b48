"""Errors of the HTTP libraries in our words, the same for both transports.

The libraries' own texts hold the URL with its query string, and that holds filters with personal data. So an error
is made anew, with no more of the original than what the operating system said.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoConnectionError,
    EspoTimeoutError,
    EspoTLSError,
    EspoTransportError,
)

_NO_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST"})
# In OpenSSL's words for what can only go wrong while TLS is agreed on.
_HANDSHAKE_WORDS = (
    "CERT",
    "HANDSHAKE",
    "PROTOCOL",
    "CIPHER",
    "UNKNOWN_CA",
    "UNRECOGNIZED_NAME",
    "ACCESS_DENIED",
    "DH_",
)
# How the libraries quote a proxy that answered CONNECT with an error.
_PROXY_STATUS = re.compile(r"^(?:Tunnel connection failed: )?([345]\d\d)\b")


def no_connection_in_time() -> EspoTransportError:
    """Return the error for a connection that could not be made in time: nothing was sent."""
    return EspoTimeoutError(
        "No connection within connect_timeout",
        hint="Check host and port, and whether a firewall drops the packets in silence",
    )


def no_answer_in_time() -> EspoTransportError:
    """Return the error for a request that was sent and not answered in time."""
    return EspoTimeoutError("No answer within timeout", outcome_unknown=True)


def no_connection(error: BaseException, what: str = "No connection to the server") -> EspoTransportError:
    """Return the error for a connection that was not made: nothing was sent.

    :param error: what the library raised.
    :param what: what happened, one sentence.
    """
    return _tls_failure(error) or EspoConnectionError(_with_cause(what, error))


def no_proxy(error: BaseException) -> EspoTransportError:
    """Return the error for a proxy that could not be reached or refused: the server was sent nothing.

    :param error: what the library raised.
    """
    refusals = (_PROXY_STATUS.search(str(one)) for one in _chain(error))
    if refusal := next(filter(None, refusals), None):
        return EspoConnectionError(
            f"The proxy refused with status {refusal[1]}",
            hint="Check proxies in the connection: address, user name and password",
        )
    return no_connection(error, "The proxy could not be reached")


def broken(error: BaseException) -> EspoTransportError:
    """Return the error for a connection that broke after the request, or a part of it, was sent.

    :param error: what the library raised.
    """
    what = "The connection broke before the answer was complete"
    return _tls_failure(error) or EspoConnectionError(_with_cause(what, error), outcome_unknown=True)


def no_address() -> EspoTransportError:
    """Return the error for an address, or a proxy's address, that no request can be sent to."""
    return EspoConnectionError(
        "The address cannot be used", hint="Check host, and proxies if there are any, in the connection"
    )


def undecodable(method: str) -> EspoTransportError:
    """Return the error for an answer whose compression is broken.

    :param method: HTTP method of the request.
    """
    return EspoBadAnswerError("The answer's compression is broken", outcome_unknown=method != "GET")


def is_tls_refusal(error: BaseException) -> bool:
    """Whether one side refused the other's certificate or way of TLS."""
    return _tls_failure(error) is not None


def _tls_failure(error: BaseException) -> EspoTransportError | None:
    """Return the error where TLS could not be agreed on: nothing that counts was sent."""
    certificate = find(error, ssl.SSLCertVerificationError)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return EspoTLSError(f"The server's certificate is not trusted ({certificate.verify_message})")
    reason = getattr(find(error, ssl.SSLError), "reason", None)
    if reason in _NO_TLS_REASONS:
        return EspoTLSError(
            "The server does not speak TLS on this port", hint="Write http:// in the host if the site has no TLS"
        )
    if reason and any(word in reason for word in _HANDSHAKE_WORDS):
        return EspoTLSError(f"TLS failed ({reason})")
    # Such as a connection closed in the middle of TLS: that may happen before and after the request.
    return None


def _with_cause(what: str, error: BaseException) -> str:
    cause = _system_reason(error)
    return f"{what}: {cause}" if cause else what


def find(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    """Return the first of these kinds among an error and all it came from."""
    return next((one for one in _chain(error) if isinstance(one, kinds)), None)


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
        if isinstance(one, ssl.SSLError):
            # Its number is OpenSSL's and not the system's.
            return "TLS was cut off"
        if isinstance(one, OSError) and isinstance(one.errno, int) and one.errno in errno.errorcode:
            return os.strerror(one.errno).lower()
    return None
