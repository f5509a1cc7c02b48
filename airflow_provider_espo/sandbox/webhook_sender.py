"""Sends webhooks: signed, in the form of a real server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

#: What became of a delivery: taken, to be tried again later, given up, or the receiver wants no more of them.
Outcome = Literal["delivered", "retry", "failed", "gone"]
#: Answers after which a real server tries again. All other refusals (400, 429, 502, ...) are final.
RETRIED_STATUSES = frozenset({401, 403, 404, 405, 408, 500, 503})
GONE = 410
USER_AGENT = "GuzzleHttp/7"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request that a webhook makes."""

    webhook_id: str
    url: str
    secret_key: str
    body: bytes

    def headers(self) -> dict[str, str]:
        """Headers beside ``Host`` and ``Content-Length``."""
        mac = hmac.new(self.secret_key.encode(), self.body, hashlib.sha256)
        return {
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Signature": signature(self.webhook_id, mac.hexdigest().encode()),
            "X-Signature": signature(self.webhook_id, mac.digest()),
        }


def signature(webhook_id: str, digest: bytes) -> str:
    """Value of a signature header.

    :param digest: hexadecimal for ``Signature``, raw for ``X-Signature``
    """
    return base64.b64encode(f"{webhook_id}:".encode() + digest).decode()


def send(delivery: Delivery, timeout: float, *, retry_unreachable: bool = False) -> Outcome:
    """Make the request. Redirections are not followed; they count as taken.

    :param timeout: seconds for connecting, and for each wait for the answer
    :param retry_unreachable: whether a connection that fails is tried again, as before EspoCRM 10
    """
    parts = urlsplit(delivery.url)
    host, path = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    try:
        if parts.scheme.lower() == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        try:
            connection.putrequest("POST", path, skip_accept_encoding=True)
            for name, value in delivery.headers().items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(delivery.body)))
            connection.endheaders(delivery.body)
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
    except TimeoutError:
        return "retry"
    except (OSError, http.client.HTTPException, ValueError):
        return "retry" if retry_unreachable else "failed"
    return outcome_of(response.status)


def outcome_of(status: int) -> Outcome:
    """What an answer means."""
    if 200 <= status < 400:
        return "delivered"
    if status == GONE:
        return "gone"
    return "retry" if status in RETRIED_STATUSES else "failed"
