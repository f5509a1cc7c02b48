"""HTTP connections that the application may close, to play one that breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

#: Name of the connection in the state of a request.
TRANSPORT = "espo_sandbox_transport"


class _Naming:
    """Puts the connection into the state of its requests."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        super().connection_made(transport)  # type: ignore[misc]
        self.app_state = {**self.app_state, TRANSPORT: transport}


def protocol_class() -> type[asyncio.Protocol]:
    """uvicorn's own protocol, with that in front."""
    return cast("type[asyncio.Protocol]", type("SandboxProtocol", (_Naming, AutoHTTPProtocol), {}))


def close_connection(scope: Mapping[str, Any]) -> None:
    """Close the connection of a request, after what was sent so far."""
    transport: asyncio.Transport = scope["state"][TRANSPORT]
    transport.close()
