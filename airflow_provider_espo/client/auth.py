"""Headers that prove who sends a request (EspoCRM's sections API key, HMAC, Basic and Espo-Authorization)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_espo.client.config import AuthMethod

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig
    from airflow_provider_espo.client.wire import Request


def b64(text: str | bytes) -> str:
    """Encode as the auth headers want it."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode("ascii")


def hmac_header(api_key: str, secret_key: str, method: str, path: str, digest: str = "raw") -> str:
    """Value of ``X-Hmac-Authorization`` for a request.

    What is signed is ``METHOD /path``: without ``api/v1``, without query string, percent-encoded as sent. The raw
    digest is taken by every EspoCRM since 7.0, the hex form since 8.4.1.
    """
    mac = hmac.new(secret_key.encode(), f"{method} /{path}".encode(), hashlib.sha256)
    signature = mac.hexdigest().encode() if digest == "hex" else mac.digest()
    return b64(api_key.encode() + b":" + signature)


@dataclass(slots=True)
class TokenHolder:
    """The auth token of a ``token`` connection, shared by all that use the connection in a process."""

    token: str | None = field(default=None, repr=False)

    def forget(self, refused: str | None) -> None:
        """Drop a token the server refused, unless somebody has renewed it meanwhile."""
        if self.token == refused:
            self.token = None


def auth_headers(request: Request, config: ClientConfig, token: str | None) -> dict[str, str]:
    """Headers that authenticate a request; never two methods at once, as EspoCRM would choose for itself."""
    if request.proof == "none":
        return {}
    headers = {"X-Another-User": config.act_as} if config.act_as and request.proof == "connection" else {}
    login, secret = config.login or "", config.secret
    match config.auth_method:
        case AuthMethod.API_KEY:
            headers["X-Api-Key"] = secret
        case AuthMethod.HMAC:
            headers["X-Hmac-Authorization"] = hmac_header(
                login, secret, request.method, request.path, config.hmac_digest
            )
        case AuthMethod.BASIC:
            headers["Authorization"] = "Basic " + b64(f"{login}:{secret}")
        case AuthMethod.TOKEN:
            if request.proof == "password":
                headers["Espo-Authorization"] = b64(f"{login}:{secret}")
            else:
                headers["Espo-Authorization"] = b64(f"{login}:{token or ''}")
                # A missing token then fails at once and is not counted as a failed login.
                headers["Espo-Authorization-By-Token"] = "true"
    return headers
