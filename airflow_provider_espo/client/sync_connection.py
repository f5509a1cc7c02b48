"""Connections that tell a failure to connect from one that came later.

``urllib3`` reports a time-out or a broken connection in the TLS handshake as if a request had been sent. But then
nothing was, and a create may safely be tried again.
"""

from __future__ import annotations

from typing import Any

from requests.adapters import HTTPAdapter  # noqa: TID253 - only sync.py imports this module
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
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
            # A refusal of TLS speaks for itself.
            if is_tls_refusal(error):
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
        """Use our connections, but not behind a proxy: there ``urllib3`` knows how far it came."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": _Pool}
