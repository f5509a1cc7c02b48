"""The one address of an entity type of an EspoCRM, as assets and lineage name it: ``espo://host/EntityType``."""

from __future__ import annotations

import re
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit, urlunsplit

SCHEME = "espo"

_ENTITY_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,99}")
#: Host names as in connections, and IPv6 addresses.
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+")
_PART_OF_PATH = re.compile(r"[^\s\\\x00-\x1f\x7f]+")
#: Ports that a site has by itself, so that an address with and without them is the same.
_OWN_PORTS = frozenset({80, 443})
_FORM = "An asset of EspoCRM is espo://host/EntityType, such as espo://crm.example.com/Lead"


def asset_uri(site: str, entity_type: str) -> str:
    """Return the address of an entity type.

    :param site: host name or URL of the site; whether it is ``http`` or ``https`` makes no difference, a sub-path does.
    :param entity_type: such as ``Lead``.
    :return: such as ``espo://crm.example.com/Lead``, or ``espo://www.example.com/crm/Lead``.
    :raises ValueError: not such a site or entity type.
    """
    from airflow_provider_espo.client.site_url import build_site_url

    _scheme, _, address = build_site_url(site).partition("://")
    return urlunsplit(normalized(urlsplit(f"{SCHEME}://{address}/{entity_type}")))


def normalized(parts: SplitResult) -> SplitResult:
    """Return the one form of an address that can be written in several.

    Host names are lower case, the port of ``http`` and ``https`` goes, as do user names, empty parts of the path,
    ``api/v1`` and a fragment. Letter case of the entity type stays: EspoCRM tells ``Lead`` and ``lead`` apart.

    :param parts: a split URI.
    :raises ValueError: no host, no entity type, or something that is neither.
    """
    host = (parts.hostname or "").rstrip(".")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        _refuse("the port is not a number from 1 to 65535")
    if not host:
        _refuse("the host is missing")
    if not _HOST.fullmatch(host):
        _refuse("the host is no host name")
    *site, entity_type = [segment for segment in parts.path.split("/") if segment] or [""]
    if not entity_type:
        _refuse("the entity type is missing")
    if not _ENTITY_TYPE.fullmatch(entity_type):
        _refuse("what stands at its end is no entity type")
    if any(segment in (".", "..") or not _PART_OF_PATH.fullmatch(segment) for segment in site):
        _refuse("its path holds '.', '..', a blank or a backslash")
    if site[-2:] == ["api", "v1"]:
        site = site[:-2]
    authority = f"[{host}]" if ":" in host else host
    if port and port not in _OWN_PORTS:
        authority += f":{port}"
    return SplitResult(SCHEME, authority, "/" + "/".join([*site, entity_type]), parts.query, "")


def namespace_and_name(uri: str) -> tuple[str, str]:
    """Split an address into what OpenLineage calls namespace and name of a dataset.

    :param uri: address of an entity type.
    :return: such as ``("espo://crm.example.com", "Lead")``.
    :raises ValueError: it is not such an address.
    """
    parts = urlsplit(uri)
    if parts.scheme != SCHEME:
        _refuse("it begins otherwise")
    parts = normalized(parts)
    site, _, entity_type = parts.path.rpartition("/")
    return f"{SCHEME}://{parts.netloc}{site}", entity_type


def _refuse(why: str) -> NoReturn:
    # Without the address: people paste names and keys into URLs.
    raise ValueError(f"Not the address of an EspoCRM asset: {why}. {_FORM}")
