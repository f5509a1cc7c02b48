"""Proxy and trusted certificates, the same for both transports.

What the connection says wins. Where it says nothing, the machine's own settings hold, as for other programs: the
environment's proxies and the environment's file of trusted CAs. The two HTTP libraries read different variables in
different ways (one lets them win over the settings), so neither is left to read them.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from airflow_provider_espo.client.errors import EspoConfigError

if TYPE_CHECKING:
    from airflow_provider_espo.client.config import ClientConfig

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def proxies(config: ClientConfig) -> Mapping[str, str]:
    """Return proxy URLs by ``http``, ``https`` or ``all``; none if the server is reached without one.

    :raises EspoConfigError: the environment's proxy for this server cannot be used.
    """
    if config.proxies:
        return config.proxies
    found = getproxies_environment()
    site = urlsplit(config.site_url)
    given = {scheme: found.get(scheme) or found.get("all") for scheme in ("http", "https")}
    if not any(given.values()) or _bypassed(site.hostname or "", site.netloc, found):
        return {}
    urls = {scheme: url if "://" in url else f"http://{url}" for scheme, url in given.items() if url}
    if site.scheme in urls and not _is_usable(urls[site.scheme]):
        raise EspoConfigError(
            f"The environment variable {site.scheme}_proxy or all_proxy is not an http:// or https:// URL",
            hint="Give the proxy in the connection's proxies, or name the server in no_proxy",
        )
    return {scheme: url for scheme, url in urls.items() if _is_usable(url)}


def ca_bundle(config: ClientConfig) -> str | None:
    """Return the file or folder of CA certificates to trust, ``None`` for the usual ones.

    :raises EspoConfigError: it is not there.
    """
    if config.ca_file:
        return config.ca_file
    for variable in _CA_VARIABLES:
        if path := os.environ.get(variable):
            if not os.path.exists(path):
                raise EspoConfigError(f"The environment variable {variable} names a file that is not there")
            return path
    return None


def tls_context(config: ClientConfig) -> ssl.SSLContext:
    """Return a TLS context with the connection's certificates. It reads files: tens of milliseconds.

    :raises EspoConfigError: a certificate file cannot be used.
    """
    bundle = ca_bundle(config)
    try:
        if bundle is None:
            import certifi

            context = ssl.create_default_context(cafile=certifi.where())
        elif os.path.isdir(bundle):
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        reason = _reason(error)
    else:
        if not config.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if config.client_cert:
            _load_client_certificate(context, config.client_cert, config.client_key)
        return context
    raise EspoConfigError(f"The file of CA certificates cannot be used: {reason}", hint="It must be in PEM form")


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        # Without a password given, OpenSSL would ask for one on the terminal and wait for ever.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        reason = _reason(error)
    else:
        return
    raise EspoConfigError(
        f"client_cert or client_key cannot be used: {reason}",
        hint="They must be in PEM form, belong together, and the key must not be encrypted",
    )


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not a certificate"
    return error.strerror or type(error).__name__


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _bypassed(host: str, netloc: str, found: Mapping[str, str]) -> bool:
    """Whether ``NO_PROXY`` names the host: by name, by domain or, for an address, by network."""
    if proxy_bypass(host) or proxy_bypass(netloc):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(_holds(network.strip(), address) for network in found.get("no", "").split(","))


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False
