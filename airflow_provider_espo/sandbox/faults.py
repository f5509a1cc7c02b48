"""Things that go wrong between a client and a CRM, on order: for tests of what a client makes of them.

A fault is bound to requests by method, path and page size, and counts those that it fits: so the same requests always
meet the same faults.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import HTML, Reply
from airflow_provider_espo.sandbox.search.params import SearchParams

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Request

#: ``drop``: the connection is closed without an answer; ``cut``: in the middle of one; ``hang``: no answer comes.
Breakage: TypeAlias = Literal["drop", "cut", "hang"]

_TITLES: Final = {
    413: "413 Request Entity Too Large",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    :param what: an HTTP status, answered with a page as a web server in front of the CRM has it; or how the
        connection ends
    :param method: HTTP method of the requests that it meets; every one by default
    :param path: regular expression for the whole path behind ``/api/v1``, such as ``/Lead``; every one by default
    :param over: only lists that ask for more records than that
    :param carried_out: whether the CRM does what is asked nevertheless, so that only its answer is lost
    :param after: how many fitting requests pass unharmed at first
    :param times: how many it meets then; all by default
    """

    what: int | Breakage
    method: str = ""
    path: str = ""
    over: int | None = None
    carried_out: bool = False
    after: int = 0
    times: int | None = None

    def __post_init__(self) -> None:
        known = self.what in get_args(Breakage) or (isinstance(self.what, int) and 400 <= self.what <= 599)
        if not known:
            raise ValueError(f"{self.what!r} is no fault: give a status from 400 to 599, drop, cut or hang")
        if self.what == "cut" and not self.carried_out:
            object.__setattr__(self, "carried_out", True)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read the form of the command line: ``504,method=GET,path=/Lead,over=50,times=3``.

        :raises ValueError: it is not of that form
        """
        what, *words = (word.strip() for word in text.split(","))
        given: dict[str, str | int | bool] = {}
        for word in words:
            name, sign, value = word.partition("=")
            if name in ("method", "path") and value:
                given[name] = value
            elif name in ("over", "after", "times") and value.isdigit():
                given[name] = int(value)
            elif name == "carried_out" and not sign:
                given[name] = True
            else:
                raise ValueError(f"{word!r} says nothing about a fault")
        re.compile(str(given.get("path", "")))
        return cls(what=int(what) if what.isdigit() else what, **given)  # type: ignore[arg-type]

    def fits(self, request: Request) -> bool:
        """Whether it could meet a request."""
        if self.method and self.method != request.method:
            return False
        if self.path and re.fullmatch(self.path, request.path) is None:
            return False
        return self.over is None or page_size_of(request) > self.over

    def reply(self) -> Reply:
        """What comes instead of the CRM's own answer."""
        if not isinstance(self.what, int):
            return Reply(0, breakage=self.what)
        title = _TITLES.get(self.what, f"{self.what} Error")
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        return Reply(self.what, page.encode(), HTML)


@dataclass
class _Ordered:
    fault: Fault
    met: int = field(default=0)


class Faults:
    """The faults that are ordered, in order: of several that fit a request the first meets it."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._ordered = [_Ordered(fault) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Order one more."""
        with self._lock:
            self._ordered.append(_Ordered(fault))

    def clear(self) -> None:
        """Let everything go right from now on."""
        with self._lock:
            self._ordered.clear()

    def meeting(self, request: Request) -> Fault | None:
        """The fault that meets a request, counted; None if it goes well."""
        if not self._ordered:
            return None
        with self._lock:
            for ordered in self._ordered:
                fault = ordered.fault
                if not fault.fits(request):
                    continue
                ordered.met += 1
                last = None if fault.times is None else fault.after + fault.times
                if ordered.met > fault.after and (last is None or ordered.met <= last):
                    return fault
        return None


def page_size_of(request: Request) -> int:
    """Records that a list asks for; 0 for other requests."""
    params = list_params(request)
    return 0 if params is None else params.max_size


def list_params(request: Request) -> SearchParams | None:
    """What a list asks for; None for other requests, and for what no server could read."""
    if request.method != "GET" or not request.query:
        return None
    try:
        return SearchParams.from_query(request.query_params)
    except ApiError:
        return None
