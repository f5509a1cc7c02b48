"""Settings of a client: where the server is, as whom to talk to it, and how patiently.

They come from an Airflow connection, but nothing here needs Airflow: :meth:`ClientConfig.from_connection`
takes the connection's plain fields. All that is wrong with them is found there, before a request is sent.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from airflow_provider_espo.client.config_values import (
    NumberRange,
    is_empty,
    nearest,
    read_bool,
    read_choice,
    read_headers,
    read_proxies,
    read_text,
    refuse,
)
from airflow_provider_espo.client.site_url import build_site_url, read_web_url

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The most records EspoCRM gives in one answer, unless its administrator raised the bound.
MAX_PAGE_SIZE = 200

#: Airflow once kept a connection type's extra fields under such names; connections from then still work.
_OLD_PREFIX = "extra__espo__"

_API_KEY_TEXT = re.compile(r"[!-~]+")
_PORTAL_ID = re.compile(r"[A-Za-z0-9_-]+")
_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|password|passwd|credential|signature|session", re.IGNORECASE)
# Short values of harmless headers ("https", "1") are left alone: masking them would garble all logs.
_LONG_HEADER_VALUE = 8


class AuthMethod(StrEnum):
    """How the client proves who it is."""

    API_KEY = "api_key"
    HMAC = "hmac"
    BASIC = "basic"
    TOKEN = "token"  # noqa: S105 - the name of a method


class HmacDigest(StrEnum):
    """Form of the HMAC signature: raw bytes (any EspoCRM) or hex digits (8.4.1 and later)."""

    RAW = "raw"
    HEX = "hex"


#: The settings that are numbers, with their defaults and bounds.
NUMBERS: Mapping[str, NumberRange] = {
    "timeout": NumberRange(60.0, 0, above_minimum=True, unit="seconds"),
    "connect_timeout": NumberRange(10.0, 0, above_minimum=True, unit="seconds"),
    "max_retries": NumberRange(4, 0, 20, whole=True),
    "max_workers": NumberRange(4, 1, 32, whole=True),
    "page_size": NumberRange(MAX_PAGE_SIZE, 1, MAX_PAGE_SIZE, whole=True),
    "requests_per_second": NumberRange(None, 0, above_minimum=True),
}

#: Every extra that a connection may hold.
EXTRA_NAMES: tuple[str, ...] = (
    "auth_method",
    "verify",
    "ca_file",
    "client_cert",
    "client_key",
    *NUMBERS,
    "proxies",
    "headers",
    "portal_id",
    "hmac_digest",
    "act_as",
    "web_url",
)


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """Everything a client needs to know about one connection.

    :param site_url: ``scheme://host[:port][/sub/path]``, without a slash at the end.
    :param auth_method: how to prove who one is.
    :param login: user name (``basic``, ``token``) or API key (``hmac``).
    :param secret: API key (``api_key``), secret key (``hmac``) or password.
    :param verify: whether the server's certificate is checked.
    :param ca_file: file with the certificates of the CAs to trust, instead of the usual ones.
    :param client_cert: file with the client's certificate (PEM), for servers that ask for one.
    :param client_key: file with its key, where the key is not in ``client_cert``.
    :param timeout: seconds to wait for more of an answer.
    :param connect_timeout: seconds to wait for the connection.
    :param max_retries: how often a request is sent again after a failure that may pass.
    :param max_workers: how many requests may be under way at the same time.
    :param page_size: records asked for in one request, up to 200.
    :param requests_per_second: most requests per second in one process, ``None`` for no bound.
    :param proxies: proxy URLs by ``http``, ``https`` or ``all``.
    :param headers: headers to send with every request.
    :param portal_id: id of the portal to work in, for users of a portal.
    :param hmac_digest: form of the HMAC signature.
    :param act_as: user name on whose behalf an administrator works.
    :param web_url: where people open EspoCRM, if that is not ``site_url``; no request goes there.
    :param max_server_wait: longest wait in seconds that a server may ask for before a request is sent again.
    :param user_agent: ``User-Agent`` of all requests.
    :param unknown_extras: names in the connection's extra that mean nothing here.
    """

    site_url: str
    auth_method: AuthMethod = AuthMethod.API_KEY
    login: str | None = field(default=None, repr=False)
    secret: str = field(default="", repr=False)
    verify: bool = True
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    timeout: float = 60.0
    connect_timeout: float = 10.0
    max_retries: int = 4
    max_workers: int = 4
    page_size: int = MAX_PAGE_SIZE
    requests_per_second: float | None = None
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    portal_id: str | None = None
    hmac_digest: HmacDigest = HmacDigest.RAW
    act_as: str | None = None
    web_url: str | None = None
    max_server_wait: float = 120.0
    user_agent: str = ""
    unknown_extras: tuple[str, ...] = ()

    @property
    def api_url(self) -> str:
        """Where the API's paths begin, without a slash at the end."""
        portal = f"/portal-access/{self.portal_id}" if self.portal_id else ""
        return f"{self.site_url}/api/v1{portal}"

    @classmethod
    def from_connection(
        cls,
        *,
        host: str | None,
        schema: str | None = None,
        port: int | str | None = None,
        login: str | None = None,
        password: str | None = None,
        extra: Mapping[str, Any] | str | None = None,
        user_agent: str = "",
    ) -> ClientConfig:
        """Read the fields of an Airflow connection.

        :param host: site URL or host name.
        :param schema: ``http``, ``https`` or the sub-path of the site.
        :param port: TCP port.
        :param login: see ``login`` above.
        :param password: see ``secret`` above.
        :param extra: the other settings, as an object or as the JSON text that Airflow stores.
        :param user_agent: ``User-Agent`` to send.
        :return: the checked settings.
        :raises EspoConfigError: a setting is missing, wrong, or contradicts another.
        """
        given, unknown = _sort_extras(read_extra(extra))
        method = AuthMethod(read_choice("auth_method", given.get("auth_method"), AuthMethod, AuthMethod.API_KEY))
        user, secret = _read_credentials(method, login, password)
        numbers: dict[str, Any] = {name: NUMBERS[name].read(name, given.get(name)) for name in NUMBERS}
        config = cls(
            site_url=build_site_url(host, schema, port),
            auth_method=method,
            login=user,
            secret=secret,
            verify=read_bool("verify", given.get("verify"), True),
            ca_file=read_text("ca_file", given.get("ca_file")),
            client_cert=read_text("client_cert", given.get("client_cert")),
            client_key=read_text("client_key", given.get("client_key")),
            proxies=read_proxies("proxies", given.get("proxies")),
            headers=read_headers("headers", given.get("headers")),
            portal_id=read_text("portal_id", given.get("portal_id")),
            hmac_digest=HmacDigest(read_choice("hmac_digest", given.get("hmac_digest"), HmacDigest, HmacDigest.RAW)),
            act_as=read_text("act_as", given.get("act_as")),
            web_url=read_web_url(read_text("web_url", given.get("web_url"))),
            user_agent=read_text("user_agent", user_agent) or "",
            unknown_extras=unknown,
            **numbers,
        )
        _refuse_contradictions(config)
        return config

    def unknown_extras_hint(self) -> str | None:
        """Say what is not known in the connection's extra, with the known names next to it.

        :return: a sentence for the log, ``None`` where all names are known.
        """
        if not self.unknown_extras:
            return None
        parts = [
            f"{name} (did you mean {near}?)" if (near := nearest(name, EXTRA_NAMES)) else name
            for name in self.unknown_extras
        ]
        return f"The connection's extra holds settings that mean nothing to EspoCRM: {', '.join(parts)}"

    def check_files(self) -> None:
        """Make sure that the certificate files are there and can be read.

        Apart from reading the settings, because a connection is also read where the worker's files are not.

        :raises EspoConfigError: one cannot be read.
        """
        for name in ("ca_file", "client_cert", "client_key"):
            path = getattr(self, name)
            if path is None:
                continue
            try:
                with Path(path).open("rb"):
                    pass
            except OSError as error:
                refuse(f"{name} cannot be read on this machine: {error.strerror or type(error).__name__}")


def read_extra(extra: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Read a connection's extra.

    Airflow's own reader turns broken JSON into an empty object; a client would then work with other settings
    than its user thinks.

    :param extra: an object, its JSON text, or nothing.
    :raises EspoConfigError: neither.
    """
    if is_empty(extra):
        return {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError:
            extra = ""
    if not isinstance(extra, Mapping):
        refuse("extra is not a JSON object", 'Write it as {"auth_method": "api_key"}')
    return {str(name): value for name, value in extra.items()}


def secrets_of(config: ClientConfig) -> list[str]:
    """List every text of a connection that must not be seen, in each form in which it travels.

    The HMAC signature differs with each request and is not listed; the API key in front of it is.

    :return: secrets, longest first.
    """
    secrets = {config.secret, *_encoded(config.secret)}
    login = config.login or ""
    if config.auth_method is AuthMethod.HMAC:
        secrets |= {login, *_encoded(login), _base64_start(f"{login}:")}
    elif config.auth_method in {AuthMethod.BASIC, AuthMethod.TOKEN}:
        secrets |= {_base64(f"{login}:{config.secret}")}
    for name, value in config.headers.items():
        if _SECRET_HEADER.search(name) or len(value) >= _LONG_HEADER_VALUE:
            secrets |= {value, value.rpartition(" ")[2]}
    for url in config.proxies.values():
        secrets |= _proxy_secrets(url)
    return _longest_first(secrets)


def token_secrets(config: ClientConfig, token: str) -> list[str]:
    """List the forms in which an auth token travels, for masking once the server has issued it."""
    return _longest_first({token, _base64(f"{config.login or ''}:{token}")})


def _sort_extras(extra: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    known: dict[str, Any] = {}
    unknown: list[str] = []
    # Old names first, so that the new form of a name wins.
    for name, value in sorted(extra.items(), key=lambda item: not item[0].startswith(_OLD_PREFIX)):
        short = name.removeprefix(_OLD_PREFIX)
        if short not in EXTRA_NAMES:
            unknown.append(name)
        elif not is_empty(value):
            known[short] = value
    return known, tuple(sorted(unknown))


def _read_credentials(method: AuthMethod, login: str | None, password: str | None) -> tuple[str | None, str]:
    user = (login or "").strip()
    secret = password or ""
    if method in {AuthMethod.API_KEY, AuthMethod.HMAC}:
        # Keys are pasted, often with the line break after them.
        secret = secret.strip()
    if not secret:
        refuse(*_MISSING_SECRET[method, bool(user)])
    if method is not AuthMethod.API_KEY and not user:
        what = "the API key" if method is AuthMethod.HMAC else "the user name"
        refuse(f"login is missing: auth_method {method} needs {what} there")
    if method in {AuthMethod.BASIC, AuthMethod.TOKEN} and ":" in user:
        refuse("login must not hold a colon", f"auth_method {method} needs the user name there")
    if method is AuthMethod.API_KEY and not _API_KEY_TEXT.fullmatch(secret):
        refuse("password holds characters that no API key has, such as a blank or a line break")
    if method is AuthMethod.HMAC and not _API_KEY_TEXT.fullmatch(user):
        refuse("login holds characters that no API key has, such as a blank or a line break")
    return user or None, secret


_MISSING_SECRET: Mapping[tuple[AuthMethod, bool], tuple[str, str | None]] = {
    (AuthMethod.API_KEY, False): ("password is missing: auth_method api_key needs the API key there", None),
    (AuthMethod.API_KEY, True): (
        "password is missing: auth_method api_key needs the API key there",
        "If the key is in login, move it: Airflow shows logins to everybody who may see connections. "
        "In a connection URI, write a colon before the key: espo://:KEY@host",
    ),
    (AuthMethod.HMAC, False): ("login and password are missing: API key and secret key", None),
    (AuthMethod.HMAC, True): ("password is missing: auth_method hmac needs the secret key there", None),
    (AuthMethod.BASIC, False): ("login and password are missing", None),
    (AuthMethod.BASIC, True): ("password is missing", None),
    (AuthMethod.TOKEN, False): ("login and password are missing", None),
    (AuthMethod.TOKEN, True): ("password is missing", None),
}


def _refuse_contradictions(config: ClientConfig) -> None:
    if config.client_key and not config.client_cert:
        refuse("client_key is given without client_cert")
    if config.ca_file and not config.verify:
        refuse("ca_file is given and verify is false", "Take one of them out: without verifying, no CA is asked")
    if config.portal_id and not _PORTAL_ID.fullmatch(config.portal_id):
        refuse("portal_id is not an id", "It is the last part of the portal's record URL in EspoCRM")
    if config.act_as and config.auth_method in {AuthMethod.API_KEY, AuthMethod.HMAC}:
        refuse(
            f"act_as does not work with auth_method {config.auth_method}",
            "Only an administrator may act as another user, and an API user never is one: use basic or token",
        )
    if config.act_as and not config.act_as.isascii():
        refuse("act_as holds a character that no user name of EspoCRM has")
    if config.auth_method is AuthMethod.BASIC and any(n.lower() == "authorization" for n in config.headers):
        refuse("headers must not hold Authorization", "auth_method basic sends its own")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _base64_start(text: str) -> str:
    # Of a longer text that begins with this one, so much of the base64 form is always the same.
    return _base64(text)[: len(text.encode()) * 4 // 3]


def _encoded(text: str) -> set[str]:
    # Percent-encoded as in a connection URI, and escaped as in JSON.
    return {quote(text, safe=""), quote(text), json.dumps(text)[1:-1]}


def _proxy_secrets(url: str) -> set[str]:
    parts = urlsplit(url)
    if not parts.password:
        return set()
    user, password = unquote(parts.username or ""), unquote(parts.password)
    return {parts.password, password, *_encoded(password), _base64(f"{user}:{password}")}


def _longest_first(secrets: Iterable[str]) -> list[str]:
    return sorted({text for text in secrets if text}, key=lambda text: (-len(text), text))
