"""Which addresses the CRM sends webhooks to: internal ones only if its administrator allows it."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.settings import Settings

PORTS = {"http": 80, "https": 443}
#: What PHP's address filter calls private or reserved. Addresses for documentation and the like are not among them.
INTERNAL_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "240.0.0.0/4"),
        *("::/128", "::1/128", "::ffff:0:0/96", "fe80::/10"),
    )
)


def is_refused(url: str, settings: Settings) -> bool:
    """Whether webhooks cannot go to a URL: it is internal (or its host has no address), and nobody allowed it."""
    if settings.webhooks_internal:
        return False
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    try:
        port = parts.port or PORTS.get(parts.scheme.lower(), 0)
    except ValueError:
        return True
    if f"{host}:{port}" in settings.webhook_allowed_addresses:
        return False
    addresses = addresses_of(host)
    return not addresses or any(is_internal(address) for address in addresses)


def addresses_of(host: str) -> list[str]:
    """IP addresses of a host; none if it is not known."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]).partition("%")[0] for entry in found]


def is_internal(address: str) -> bool:
    """Whether an IP address is private or reserved."""
    parsed = ipaddress.ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in INTERNAL_NETWORKS)
