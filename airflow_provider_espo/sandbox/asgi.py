"""The sandbox as an ASGI application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from airflow_provider_espo.sandbox.broken import BrokenResponse
from airflow_provider_espo.sandbox.http import Reply, Request
from airflow_provider_espo.sandbox.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from starlette.requests import Request as HttpRequest

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.request_log import RequestLog

#: Bytes of a file that are read at a time.
BLOCK = 256 * 1024
API_PREFIX = "/api/v1"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
FRONT_PAGE = """<!doctype html><title>EspoCRM sandbox</title>
<h1>EspoCRM sandbox</h1><p>This process answers the REST API of an EspoCRM at <code>/api/v1</code>.
It has no user interface.</p>
"""


def asgi_app(
    sandbox: Sandbox,
    pace: Pace | None = None,
    stopping: Callable[[], bool] = lambda: False,
    request_log: RequestLog | None = None,
) -> Starlette:
    """Make the application.

    :param pace: tells when answers go out; at once by default
    :param stopping: whether the server is to end, so that nothing is held up any longer
    :param request_log: where requests are written down; nowhere by default
    """
    pace = pace or Pace()

    async def api(http_request: HttpRequest) -> Response:
        request = read_request(http_request, await http_request.body())
        until = pace.begin(request)
        reply = await run_in_threadpool(sandbox.handle, request)
        if request_log is not None:
            request_log.add(request, reply.status)
        if wait := pace.wait_after(request, reply, until):
            await asyncio.sleep(wait)
        if reply.breakage:
            return BrokenResponse(reply, stopping)
        return response_of(reply, request.method)

    async def front_page(_: HttpRequest) -> Response:
        return HTMLResponse(FRONT_PAGE)

    routes = [
        Route(API_PREFIX, api, methods=METHODS),
        Route(API_PREFIX + "/{path:path}", api, methods=METHODS),
        Route("/", front_page),
    ]
    return Starlette(routes=routes)


def read_request(http_request: HttpRequest, body: bytes) -> Request:
    """A request in the form that the sandbox reads. The path stays percent-encoded: that is what clients sign."""
    raw_path = http_request.scope.get("raw_path") or http_request.url.path.encode()
    path = raw_path.decode("latin-1").partition("?")[0].removeprefix(API_PREFIX)
    headers: Mapping[str, str] = {name.lower(): value for name, value in http_request.headers.items()}
    return Request(
        method=http_request.method,
        path=path,
        query=http_request.scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        client=http_request.client.host if http_request.client else "",
        cookies=http_request.cookies,
    )


def response_of(reply: Reply, method: str) -> Response:
    """An answer in Starlette's form, not to be cached by anyone."""
    headers = {"Cache-Control": "no-store, no-cache, must-revalidate", **reply.headers}
    response: Response
    if reply.file is not None and method != "HEAD":
        headers["Content-Length"] = str(reply.file.stat().st_size)
        response = StreamingResponse(blocks_of(reply.file), reply.status, headers)
        response.headers["Content-Type"] = reply.content_type
        return response
    content = b"" if method == "HEAD" else reply.content
    response = Response(content, reply.status, headers)
    response.headers["Content-Type"] = reply.content_type
    return response


def blocks_of(path: Path) -> Iterator[bytes]:
    """A file's content, never as a whole in memory. Starlette reads it on a thread."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
