"""Connections that tell a failure to connect from one that came later.

``urllib3`` reports a time-out or a broken connection in the TLS handshake as if a request had been sent. But then
nothing was, and a create may safely be tried again.
"""

from __future__ import annotations

from typing import Any

from requests.adapters import HTTPAdapter  # noqa: TID253 - only sync.py imports this module
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from airflow_provider_espo.client.failures import is_tls_refusal


class _Connection(HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except HTTPError:
            raise
        except OSError as error:
            # Behind a proxy urllib3 itself knows how far it came; and a refusal of TLS speaks for itself.
            if self.proxy is not None or is_tls_refusal(error):
                raise
            if isinstance(error, TimeoutError):
                raise ConnectTimeoutError(self, "TLS was not agreed on in time") from error
            raise NewConnectionError(self, "TLS was not agreed on") from error


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class Adapter(HTTPAdapter):
    """One connection for each session; no retries of its own, as ours know more."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use our connections without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        _set_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Use our connections behind a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        _set_pools(manager)
        return manager


def _set_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": _Pool}
