"""Requests, answers and routes, in the ways of the framework (Slim) that EspoCRM stands on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.errors import ApiError

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.users import CurrentUser

JSON = "application/json"
HTML = "text/html; charset=UTF-8"
#: Nesting beyond which PHP's JSON parser gives up.
MAX_JSON_DEPTH = 512
METHOD_ORDER = ("GET", "POST", "DELETE", "PUT", "PATCH")


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    :param path: path behind ``/api/v1``, as it was sent (percent-encoded), beginning with a slash
    :param query: what follows the question mark
    :param headers: names in lower case
    :param client: address of the sender
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    client: str = "127.0.0.1"
    cookies: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """Value of a header, or None."""
        return self.headers.get(name.lower())

    def flag(self, name: str) -> bool:
        """Whether a header says ``true``."""
        return (self.header(name) or "").lower() == "true"

    @cached_property
    def query_params(self) -> dict[str, Any]:
        """The query as PHP reads it: nested lists and dicts of strings."""
        return php.parse_query(self.query)

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body as an object. Without a JSON content type it is not read at all (forms are, but only with POST).

        :raises ApiError: 500 if it is not JSON, 400 if it is a scalar
        """
        content_type = (self.header("content-type") or "").partition(";")[0].strip().lower()
        if content_type == "application/x-www-form-urlencoded" and self.method == "POST":
            return php.parse_query(self.body.decode("utf-8", "replace"))
        if content_type != JSON or not self.body:
            return {}
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise ApiError(500) from None
        if is_deeper_than(value, MAX_JSON_DEPTH):
            raise ApiError(500)
        if isinstance(value, list):
            return {"list": value}
        if not isinstance(value, dict):
            raise ApiError(400, "Body is not a JSON object.")
        return value


def is_deeper_than(value: Any, depth: int) -> bool:
    """Whether lists and objects are nested deeper than ``depth``."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


@dataclass
class Reply:
    """An answer. ``content`` is sent as it is, or what is in ``file``.

    :param breakage: how the connection ends instead, by order of a :class:`~.faults.Fault`; empty if it does not
    """

    status: int = 200
    content: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    breakage: str = ""


@dataclass
class Context:
    """What a handler is given.

    :param params: variable parts of the path, decoded
    :param token: the auth token of a token or password login
    """

    sandbox: Sandbox
    request: Request
    user: CurrentUser
    params: Mapping[str, str]
    token: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The request's body as an object; see :attr:`Request.json`."""
        return self.request.json


Handler = Callable[[Context], Any]


@dataclass(frozen=True)
class Route:
    """A method and path with what answers it.

    :param pattern: path with ``{name}`` for variable parts
    :param action: name of the controller's action; None for routes that have a class of their own, whose errors
        come with an HTML content type
    :param auth: whether a login is needed
    """

    method: str
    pattern: str
    handler: Handler
    action: str | None = None
    auth: bool = True

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern as a regular expression."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.pattern))

    @property
    def is_static(self) -> bool:
        """Whether the path has no variable parts."""
        return "{" not in self.pattern


@dataclass(frozen=True)
class Match:
    """A route that fits a request."""

    route: Route
    params: Mapping[str, str]


class Router:
    """Finds the route of a request: fixed paths first, then those with variable parts in order."""

    def __init__(self) -> None:
        self._static: dict[tuple[str, str], Route] = {}
        self._variable: list[Route] = []

    def add(self, method: str, pattern: str, handler: Handler, *, action: str | None = None, auth: bool = True) -> None:
        """Register a handler for a method and a path pattern such as ``/{controller}/{id}``."""
        route = Route(method, pattern, handler, action, auth)
        if route.is_static:
            self._static[method, pattern] = route
        else:
            self._variable.append(route)

    def match(self, method: str, path: str) -> Match | None:
        """The route of a request. ``HEAD`` falls back to ``GET``."""
        found = self._match(method, path)
        return self._match("GET", path) if found is None and method == "HEAD" else found

    def _match(self, method: str, path: str) -> Match | None:
        if static := self._static.get((method, path)):
            return Match(static, {})
        for route in self._variable:
            if route.method == method and (match := route.regex.fullmatch(path)):
                return Match(route, {name: unquote(value) for name, value in match.groupdict().items()})
        return None

    def allowed_methods(self, path: str) -> list[str]:
        """Methods under which the path is known."""
        return [method for method in METHOD_ORDER if self._match(method, path)]


def json_reply(value: Any, status: int = 200, *, indent: bool = False) -> Reply:
    """An answer with a JSON body."""
    content = msgspec.json.encode(value)
    return Reply(status, msgspec.json.format(content, indent=4) if indent else content)


def error_reply(error: ApiError, content_type: str = JSON) -> Reply:
    """The answer of an error: a reason in a header, usually without a body."""
    reply = json_reply(error.body, error.status) if error.body is not None else Reply(error.status, b"", content_type)
    if error.reason is not None:
        reply.headers["X-Status-Reason"] = header_text(error.reason)
    return reply


def header_text(text: str) -> str:
    """Text as a header can carry it: one line; what is not Latin-1 goes as the bytes of UTF-8."""
    return " ".join(text.split("\n")).replace("\r", "").encode("utf-8").decode("latin-1")


# --- the framework's own errors: no route, wrong method, crash ---

_TITLES = {404: "404 Not Found", 405: "405 Method Not Allowed", 500: "Slim Application Error"}
_TEXTS = {
    404: "The requested resource could not be found. Please verify the URI and try again.",
    405: "The request method is not supported for the requested resource.",
    500: "A website error has occurred. Sorry for the temporary inconvenience.",
}
_PAGE_STYLE = (
    "body{margin:0;padding:30px;font:12px/1.5 Helvetica,Arial,Verdana,sans-serif}",
    "h1{margin:0;font-size:48px;font-weight:normal;line-height:48px}",
    "strong{display:inline-block;width:65px}",
)


#: Body of an :class:`ApiError` for a crash.
CRASH = {"message": _TITLES[500]}


def framework_error(request: Request, allowed: list[str]) -> Reply:
    """404, or 405 if the path is known under another method; JSON if the client accepts it, else a page."""
    reply = _framework_reply(request, 405 if allowed else 404)
    if allowed:
        reply.headers["Allow"] = ", ".join(allowed)
    if request.method == "OPTIONS" and allowed:
        reply.status = 200
    return reply


def framework_crash(request: Request) -> Reply:
    """500 from the framework: the application met input of a type that it never expected."""
    return _framework_reply(request, 500)


def _framework_reply(request: Request, status: int) -> Reply:
    if JSON in (request.header("accept") or ""):
        return json_reply({"message": _TITLES[status]}, status, indent=True)
    return Reply(status, _page(status).encode(), "text/html;charset=UTF-8")


def _page(status: int) -> str:
    """The framework's page: what a client meets that does not say that it accepts JSON."""
    title, text, gap = _TITLES[status], _TEXTS[status], " " * 4
    lines = [
        (0, '<!doctype html><html lang="en">'),
        (1, "<head>"),
        (2, '<meta charset="utf-8">'),
        (2, '<meta name="viewport" content="width=device-width, initial-scale=1">'),
        (2, f"<title>{title}</title>"),
        (2, "<style>"),
        *((3, rule) for rule in _PAGE_STYLE),
        (2, "</style>"),
        (1, "</head>"),
        (1, "<body>"),
        (2, f"<h1>{title}</h1>"),
        (2, f"<div><p>{text}</p></div>"),
        (2, '<a href="#" onclick="window.history.go(-1)">Go Back</a>'),
        (1, "</body></html>"),
    ]
    return "".join(gap * level + line for level, line in lines)
