"""One page of a list, with the pager telling which."""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_provider_espo.client.errors import EspoForbiddenError
from airflow_provider_espo.client.paging import Pager
from airflow_provider_espo.client.wire import Operation, Record, build_request, expect_object

#: Without it EspoCRM counts all matching records for every page.
_NO_TOTAL: Mapping[str, str] = {"X-No-Total": "true"}

_SIZE_LIMIT = re.compile(r"Max size should not exceed (\d+)")


def next_page(pager: Pager, path: str) -> Operation[list[Record] | None]:
    """Ask for the next page.

    :param pager: tells what to ask for.
    :param path: of the list.
    :return: what of the page is new, possibly nothing; ``None`` when the walk is over.
    """
    while (search := pager.next_search()) is not None:
        outgoing = build_request("GET", path, query=search.to_query(), headers=_NO_TOTAL)
        try:
            answer = expect_object(outgoing, (yield outgoing))
        except EspoForbiddenError as error:
            # An administrator may have set a smaller limit than EspoCRM's own 200.
            allowed = _SIZE_LIMIT.search(error.reason or "")
            if allowed is None or not 1 <= int(allowed[1]) < (search.max_size or 0):
                raise
            pager.shrink(int(allowed[1]))
            continue
        return pager.receive(answer)
    return None
