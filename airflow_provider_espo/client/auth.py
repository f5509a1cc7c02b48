"""Headers that prove who sends a request (EspoCRM's sections API key, HMAC, Basic and Espo-Authorization)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from airflow_provider_espo.client.config import AuthMethod

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig
    from airflow_provider_espo.client.errors import EspoError
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


class TokenHolder:
    """The auth token of a ``token`` connection, shared by all that use the connection in a process."""

    def __init__(self) -> None:
        self.token: str | None = None
        #: Logins that the server refused so far, and how it refused the last one.
        self.refusals = 0
        self.refusal: EspoError | None = None
        self._lock = threading.Lock()
        self._logging_in = False
        # Weak, so that a client that nobody closed does not keep the token alive for good.
        self._users: WeakSet[object] = WeakSet()

    def forget(self, refused: str | None) -> None:
        """Drop a token the server refused, unless somebody has renewed it meanwhile."""
        with self._lock:
            if self.token == refused:
                self.token = None

    def may_log_in(self) -> bool:
        """Whether the caller is the one to log in now; if so it must call :meth:`login_over` afterwards.

        Several logins at once would leave tokens behind, and with a wrong password soon be throttled.
        """
        with self._lock:
            if self._logging_in:
                return False
            self._logging_in = True
            return True

    def login_over(self, token: str | None, refusal: EspoError | None = None) -> None:
        """End a login.

        :param token: the new token, ``None`` if the login failed.
        :param refusal: the error, if the server refused it: who waited for it need not ask once more.
        """
        with self._lock:
            self._logging_in = False
            if token is not None:
                self.token = token
            if refusal is not None:
                self.refusals += 1
                self.refusal = refusal

    def join(self, user: object) -> None:
        """Note that ``user`` works with the token."""
        with self._lock:
            self._users.add(user)

    def leave(self, user: object) -> bool:
        """Note that ``user`` does so no more.

        :return: whether there is a token that nobody else uses now.
        """
        with self._lock:
            self._users.discard(user)
            return self.token is not None and not self._users


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
