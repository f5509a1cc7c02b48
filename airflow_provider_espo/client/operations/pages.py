"""One page of a list, with the pager telling which.

A page that the server cannot give in time is asked for again in a smaller size, before it is tried again as it was:
what took too long once takes too long the next time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from airflow_provider_espo.client.errors import EspoError, EspoForbiddenError
from airflow_provider_espo.client.extraction import Page, decode_page
from airflow_provider_espo.client.paging import Pager
from airflow_provider_espo.client.retry import was_too_slow
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.wire import Operation, Record, Request, Response, build_request, expect_object

#: Without it EspoCRM counts all matching records for every page.
_NO_TOTAL: Mapping[str, str] = {"X-No-Total": "true"}

_SIZE_LIMIT = re.compile(r"Max size should not exceed (\d+)")

#: Records below which a smaller page is no remedy: then it is tried again like any other request.
_SMALLEST = 10


def next_page(pager: Pager, path: str, heed: Callable[[Response], object] = bool) -> Operation[list[Record] | None]:
    """Ask for the next page.

    :param pager: tells what to ask for.
    :param path: of the list.
    :param heed: called with the answer, before its records are handed out.
    :return: what of the page is new, possibly nothing; ``None`` when the walk is over.
    """
    while (search := pager.next_search()) is not None:
        outgoing = _page_request(path, search)
        if (response := (yield from _page(pager, search, outgoing))) is not None:
            heed(response)
            return pager.receive(expect_object(outgoing, response))
    return None


def next_raw_page(pager: Pager, path: str) -> Operation[Page | None]:
    """Ask for the next page and leave its records as they came.

    :param pager: tells what to ask for; one that hands out what it receives in its order.
    :param path: of the list.
    :return: what of the page is new, possibly nothing; ``None`` when the walk is over.
    """
    while (search := pager.next_search()) is not None:
        outgoing = _page_request(path, search)
        if (response := (yield from _page(pager, search, outgoing))) is not None:
            answer, rows = decode_page(outgoing, response)
            new = pager.receive(answer)
            return Page(rows[: len(new)], new)  # type: ignore[arg-type]  # the pager gives back what it was given
    return None


def _page_request(path: str, search: Search) -> Request:
    outgoing = build_request("GET", path, query=search.to_query(), headers=_NO_TOTAL)
    return outgoing if _size(search) <= _SMALLEST else replace(outgoing, repeat_when_slow=False)


def _page(pager: Pager, search: Search, outgoing: Request) -> Operation[Response | None]:
    """Return the answer; ``None`` if the pager was told to ask for less."""
    try:
        return (yield outgoing)
    except EspoError as error:
        smaller = _smaller(error, _size(search))
        if smaller is None:
            raise
        pager.shrink(smaller)
        return None


def _smaller(error: EspoError, size: int) -> int | None:
    """Size to ask for after this error; ``None`` if the size is not to blame."""
    if isinstance(error, EspoForbiddenError):
        # An administrator may have set a smaller limit than EspoCRM's own 200.
        allowed = _SIZE_LIMIT.search(error.reason or "")
        return int(allowed[1]) if allowed is not None and 1 <= int(allowed[1]) < size else None
    return max(_SMALLEST, size // 4) if was_too_slow(error) and size > _SMALLEST else None


def _size(search: Search) -> int:
    return search.max_size or 0
