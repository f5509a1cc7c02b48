"""Who a request comes from: every way to log in that EspoCRM knows, with its order of precedence."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.errors import ApiError

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Request
    from airflow_provider_espo.sandbox.storage import Storage
    from airflow_provider_espo.sandbox.throttle import LoginThrottle
    from airflow_provider_espo.sandbox.user_directory import UserDirectory
    from airflow_provider_espo.sandbox.users import CurrentUser

PASSWORD_USER_TYPES = ("regular", "admin", "super-admin")
SECRET_COOKIE = "auth-token-secret"  # noqa: S105 - the name of a cookie


class AuthError(ApiError):
    """A login that failed. The answer never says why.

    :param challenge: whether nothing was offered, so that a browser should ask
    """

    def __init__(self, status: int = 401, reason: str | None = None, *, challenge: bool = False) -> None:
        super().__init__(status, reason)
        self.challenge = challenge


@dataclass(frozen=True)
class Login:
    """A successful login.

    :param token: auth token, if the login was by ``Espo-Authorization``
    :param new_secret: value for the cookie that belongs to a token that was made now
    """

    user: CurrentUser
    token: str | None = None
    new_secret: str | None = None


@dataclass(frozen=True)
class _Pair:
    """User name and password (or token)."""

    name: str
    password: str
    from_espo_header: bool
    by_token: bool = False


def hash_password(password: str, salt: str | None = None) -> str:
    """A password as it is stored: salt and digest. Quick on purpose: each request with Basic checks one."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.sha256((salt + password).encode()).hexdigest()}"


def is_password(password: str, stored: str) -> bool:
    """Whether a password is the stored one."""
    return hmac.compare_digest(hash_password(password, stored.partition(":")[0]), stored)


class Authenticator:
    """Logs requests in.

    :param throttle: refuses addresses with many failures
    """

    def __init__(self, storage: Storage, directory: UserDirectory, throttle: LoginThrottle) -> None:
        self._storage = storage
        self._directory = directory
        self._throttle = throttle

    def login(self, request: Request) -> Login:
        """Find out who sent a request.

        :raises AuthError: 401 without a reason; 403 while the address is blocked; 400 for a broken
            ``Espo-Authorization``
        """
        pair = _espo_pair(request)
        key, signature = request.header("x-api-key"), request.header("x-hmac-authorization")
        has_api_key = pair is None and (key is not None or signature is not None)
        if pair is None and not has_api_key:
            pair = _basic_pair(request) or _cookie_pair(request)
        if pair is None and not has_api_key:
            raise AuthError(challenge=True)
        by_token = pair is not None and pair.by_token
        if not by_token and self._throttle.is_blocked(request.client):
            raise AuthError(403)
        if pair is not None:
            login = self._login_by_pair(request, pair)
        else:
            login = self._login_by_key(key) if key is not None else self._login_by_hmac(request, signature or "")
        if login is not None:
            login = self._as_another_user(request, login)
        if login is None:
            if not by_token:
                self._throttle.record_failure(request.client)
            raise AuthError
        return login

    def destroy_token(self, token: str) -> bool:
        """End a token. False if there is no such token."""
        return self._storage.execute('UPDATE "AuthToken" SET "isActive" = 0 WHERE token = ?', [token]) > 0

    # --- ways ---

    def _user(self, column: str, value: str) -> dict[str, Any] | None:
        return self._storage.row(
            f'SELECT id, type, "authMethod", "isActive" FROM "User" WHERE "{column}" = ? AND deleted = 0',
            [value],
        )

    def _login_by_key(self, key: str) -> Login | None:
        user = self._user("apiKey", key) if key else None
        if user is None or user["type"] != "api" or user["authMethod"] != "ApiKey" or not user["isActive"]:
            return None
        return Login(self._directory.get(user["id"]))

    def _login_by_hmac(self, request: Request, signature: str) -> Login | None:
        key, colon, digest = php.base64_decode(signature).partition(b":")
        user = self._user("apiKey", key.decode("latin-1")) if colon and key else None
        if user is None or user["type"] != "api" or user["authMethod"] != "Hmac" or not user["isActive"]:
            return None
        secret = self._storage.value('SELECT value FROM "Secret" WHERE name = ?', [f"secretKey:{user['id']}"])
        signed = f"{request.method} {request.path}".encode()
        expected = hmac.new(str(secret).encode(), signed, hashlib.sha256)
        if digest not in (expected.digest(), expected.hexdigest().encode()):
            return None
        return Login(self._directory.get(user["id"]))

    def _login_by_pair(self, request: Request, pair: _Pair) -> Login | None:
        token = self._storage.row('SELECT * FROM "AuthToken" WHERE token = ? AND "isActive" = 1', [pair.password])
        if token is not None:
            return self._login_by_token(request, pair, token)
        if pair.by_token or not pair.password:
            return None
        user = self._user("userName", pair.name)
        if user is None or user["type"] not in PASSWORD_USER_TYPES or not user["isActive"]:
            return None
        stored = self._storage.value('SELECT value FROM "Secret" WHERE name = ?', [f"password:{user['id']}"])
        if stored is None or not is_password(pair.password, stored):
            return None
        current = self._directory.get(user["id"])
        return self._issue_token(request, current) if pair.from_espo_header else Login(current)

    def _login_by_token(self, request: Request, pair: _Pair, token: dict[str, Any]) -> Login | None:
        if token["secret"] and request.cookies.get(SECRET_COOKIE) != token["secret"]:
            return None
        user = self._storage.row(
            'SELECT "userName", "isActive" FROM "User" WHERE id = ? AND deleted = 0', [token["userId"]]
        )
        if user is None or not user["isActive"] or (pair.name and user["userName"].lower() != pair.name.lower()):
            return None
        return Login(self._directory.get(token["userId"]), token["token"] if pair.from_espo_header else None)

    def _issue_token(self, request: Request, user: CurrentUser) -> Login:
        token = secrets.token_hex(16)
        secret = secrets.token_hex(16) if request.flag("espo-authorization-create-token-secret") else None
        values = {"token": token, "userId": user.id, "secret": secret, "isActive": 1, "createdAt": self._storage.now()}
        self._storage.insert("AuthToken", values)
        return Login(user, token, secret)

    def _as_another_user(self, request: Request, login: Login) -> Login | None:
        name = request.header("x-another-user")
        if name is None:
            return login
        user = self._user("userName", name)
        if not login.user.is_admin or user is None or user["type"] != "regular" or not user["isActive"]:
            return None
        return Login(self._directory.get(user["id"]), login.token, login.new_secret)


def _decode_pair(text: str) -> tuple[str, str] | None:
    name, colon, password = php.base64_decode(text).decode("utf-8", "replace").partition(":")
    return (name, password) if colon else None


def _espo_pair(request: Request) -> _Pair | None:
    header = request.header("espo-authorization")
    if header is None:
        return None
    decoded = _decode_pair(header)
    if decoded is None:
        raise AuthError(400, "Auth: Bad authorization string provided.")
    return _Pair(*decoded, from_espo_header=True, by_token=request.flag("espo-authorization-by-token"))


def _basic_pair(request: Request) -> _Pair | None:
    scheme, _, value = (request.header("authorization") or "").partition(" ")
    decoded = _decode_pair(value.strip()) if scheme.lower() == "basic" else None
    return None if decoded is None else _Pair(*decoded, from_espo_header=False)


def _cookie_pair(request: Request) -> _Pair | None:
    token = request.cookies.get("auth-token")
    return _Pair("", token, from_espo_header=False, by_token=True) if token else None
