"""The site URL of an EspoCRM, put together from what an Airflow connection holds in host, schema and port.

One address can be written in many ways: a whole URL in the host field, a bare host name with port and schema
beside it, or a connection URI, of which Airflow makes ``host``, ``port`` and, of the path, ``schema``. All of
them give the same site URL. No error text repeats what was given: people paste names and keys into URLs.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NoReturn, TypeVar
from urllib.parse import quote, urlsplit

from airflow_provider_espo.client.errors import EspoConfigError

DEFAULT_PORTS = {"http": 80, "https": 443}

_GIVE = "Give the site URL, such as https://crm.example.com or https://www.example.com/crm"
_HOST_NAME = re.compile(r"[^\W_]([\w-]*[^\W_])?(\.[^\W_]([\w-]*[^\W_])?)*\.?")

T = TypeVar("T")


def build_site_url(host: str | None, schema: str | None = None, port: int | str | None = None) -> str:
    """Put the site URL together.

    :param host: host name or URL of the site; a sub-path, an ``api/v1`` end and a ``#Lead`` end may be there.
    :param schema: ``http`` or ``https``, or the sub-path (Airflow stores the path of a connection URI here).
    :param port: TCP port; the scheme's own port when empty.
    :return: ``scheme://host[:port][/sub/path]``, lower-case host, without a slash or ``api/v1`` at the end.
    :raises EspoConfigError: no host, a user name in it, parts that contradict each other, or not an address.
    """
    text = (host or "").strip()
    if not text:
        _refuse("host is missing", _GIVE)
    scheme, rest = _split_scheme(text)
    schema_scheme, schema_path = _read_schema(schema)
    if scheme and schema_scheme and scheme != schema_scheme:
        _refuse("host names one scheme and schema another", "Leave schema empty")
    scheme = scheme or schema_scheme or "https"
    name, url_port, host_path = _split_authority(rest)
    path = _one_of("host", host_path, "schema", schema_path, what="sub-path")
    final_port = _one_of("host", url_port, "port", read_port(port), what="port")
    authority = f"[{name}]" if ":" in name else name
    if final_port and final_port != DEFAULT_PORTS[scheme]:
        authority += f":{final_port}"
    return f"{scheme}://{authority}{path or ''}"


def read_web_url(url: str | None) -> str | None:
    """Read the address under which people open the site, where it is not the one that requests are sent to.

    :param url: as the site URL in the host field.
    :raises EspoConfigError: not such an address.
    """
    if url is None:
        return None
    try:
        return build_site_url(url)
    except EspoConfigError as error:
        error.message = f"web_url: {error.message}"
        raise


def read_port(port: int | str | None) -> int | None:
    """Read a TCP port, ``None`` for the scheme's own.

    :raises EspoConfigError: not a whole number from 1 to 65535.
    """
    if port is None or port in {"", 0}:
        return None
    text = str(port).strip()
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        _refuse("port must be a whole number from 1 to 65535")
    return int(text)


def _refuse(message: str, hint: str | None = None) -> NoReturn:
    raise EspoConfigError(message, hint=hint)


def _split_scheme(text: str) -> tuple[str | None, str]:
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        _refuse("host holds a blank, a line break or a backslash", _GIVE)
    if "://" not in text:
        return None, text
    scheme, rest = text.split("://", 1)
    scheme = scheme.lower()
    if scheme not in DEFAULT_PORTS:
        _refuse("host begins with a scheme other than http or https", _GIVE)
    if "://" in rest.split("#", maxsplit=1)[0]:
        _refuse("host holds a URL within a URL", _GIVE)
    return scheme, rest


def _read_schema(schema: str | None) -> tuple[str | None, str]:
    text = (schema or "").strip()
    if text.lower().removesuffix("://").removesuffix(":") in DEFAULT_PORTS:
        return text.lower().removesuffix("://").removesuffix(":"), ""
    if "://" in text or "?" in text or "#" in text:
        _refuse("schema must be http, https, or the sub-path of the site", "Leave it empty and use host")
    return None, _clean_path(text, "schema")


def _split_authority(rest: str) -> tuple[str, int | None, str]:
    bare = rest.split("/", maxsplit=1)[0]
    if _is_ipv6(bare):
        # Airflow takes the brackets off: espo://http://[::1]:8090 has host http://::1 and port 8090.
        rest = f"[{bare}]{rest[len(bare) :]}"
    try:
        parts = urlsplit(f"//{rest}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        # Not refused right here: the caught error, which quotes the address, would be shown as the context.
        parts = None
    if parts is None:
        _refuse("host is not a valid address: check the port and, for IPv6, the brackets", _GIVE)
    if "@" in parts.netloc:
        _refuse("host holds a user name or key before an @", "Put them in the login and password fields instead")
    if parts.query:
        _refuse("host holds a query string (after ?)", _GIVE)
    if not name:
        _refuse("host has no host name in it", _GIVE)
    if not (_is_ipv6(name) or _HOST_NAME.fullmatch(name)):
        _refuse("host is not a valid host name or address", _GIVE)
    return name, port, _clean_path(parts.path, "host")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _clean_path(path: str, field: str) -> str:
    segments = [segment for segment in path.split("/") if segment]
    if any(segment in {".", ".."} for segment in segments) or "\\" in path:
        _refuse(f"the path in {field} holds '.', '..' or a backslash", _GIVE)
    clean = "".join(f"/{segment}" for segment in segments).removesuffix("/api/v1")
    if "/api/v1/" in clean:
        hint = "Cut the URL before /api/v1"
        if "/api/v1/portal-access/" in clean:
            hint += " and give the portal's id as portal_id"
        _refuse(f"{field} goes on after /api/v1", hint)
    return quote(clean, safe="/%:@!$&'()*+,;=~-._")


def _one_of(first: str, first_value: T | None, second: str, second_value: T | None, *, what: str) -> T | None:
    if first_value and second_value and first_value != second_value:
        _refuse(f"{first} and {second} name different {what}s", f"Give the {what} in one of them")
    return first_value or second_value
