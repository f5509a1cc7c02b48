"""A model of what requests cost a real EspoCRM in time, so that ways to use its API can be compared without one.

It is a model and no measurement: **simulated costs**. Requests queue for a few simulated cores; each holds one for as
long as its kind costs. The figures marked as observed are those of an EspoCRM 10.0 on two cores with 100,000
contacts; the others are assumed, in the proportion that the observed ones suggest.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_espo.sandbox.faults import list_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.http import Reply, Request
    from airflow_provider_espo.sandbox.search.params import SearchParams

#: First parts of paths of one part that are no lists of records.
_NO_LISTS: Final = frozenset({"App", "CurrencyRate", "GlobalSearch", "I18n", "Metadata", "OpenApi", "Settings"})
_LIST: Final = re.compile(r"/([A-Z]\w*)(/\w+/\w+)?")
_FULL_PAGE: Final = 200


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds on one core, by kind of request.

    :param cores: requests that are worked on at a time. Observed: four streams are twice as fast as one
    :param request: any request, at least. Assumed
    :param page: a page of 200 records in the order of ids, at any depth. Observed: 39 s in one stream and 19 s in four
        for 500 of them
    :param default_page: a first page of 200 full records in another order. Observed
    :param depth: what an offset in such an order adds to a page: pairs of offset and seconds, straight lines between
        them. Observed: 0.92 s a page at 50,000, and 416 s for 100,000 records
    :param id_depth: what a record skipped in the order of ids adds. Assumed
    :param write: to create, change or delete one record. Observed for creates: 11 a second one by one, 23 by eight
        threads
    :param row: a row of an import. Observed: 60 a second. A record of a mass action: assumed to cost the same
    """

    cores: int = 2
    request: float = 0.03
    page: float = 0.075
    default_page: float = 0.12
    depth: tuple[tuple[int, float], ...] = ((0, 0.0), (50_000, 0.8), (100_000, 1.25))
    id_depth: float = 0.5e-6
    write: float = 0.087
    row: float = 1 / 60

    def of_request(self, request: Request) -> float:
        """What a request costs, as far as it shows before it is carried out."""
        if request.method == "GET":
            return self._of_read(request)
        one_record = request.path.count("/") <= 2 and not request.path.startswith(("/Import", "/MassAction", "/Export"))
        return self.write if one_record and "/action/" not in request.path else self.request

    def of_answer(self, request: Request, reply: Reply) -> float:
        """What it cost beyond that, as the answer shows: the records of an import or a mass action done at once."""
        if request.method != "POST" or reply.status != 200 or request.path not in ("/Import", "/MassAction"):
            return 0.0
        return self.of_result(json.loads(reply.content))

    def of_result(self, result: Mapping[str, object]) -> float:
        """What the work of a background job cost."""
        counts = (result.get(name) for name in ("count", "countCreated", "countUpdated"))
        return self.row * sum(count for count in counts if isinstance(count, int))

    def _of_read(self, request: Request) -> float:
        match = _LIST.fullmatch(request.path)
        if match is None or match[1] in _NO_LISTS:
            return self.request
        params = list_params(request)
        return self.request if params is None else self._of_page(params)

    def _of_page(self, params: SearchParams) -> float:
        offset = params.offset or 0
        share = min(params.max_size, _FULL_PAGE) / _FULL_PAGE
        if params.order_by == "id":
            return self.request + (self.page - self.request) * share + self.id_depth * offset
        if not params.max_size:
            return self.request
        return self.request + (self.default_page - self.request) * share + self._of_depth(offset)

    def _of_depth(self, offset: int) -> float:
        lines = list(zip(self.depth, self.depth[1:], strict=False))
        for (start, low), (end, high) in lines:
            if offset <= end or (end, high) == self.depth[-1]:
                return low + (high - low) * (offset - start) / (end - start)
        return 0.0


#: Models by their names on the command line.
MODELS: Final = {"measured": Costs()}


class Cores:
    """Simulated cores: who comes first is worked on first.

    :param count: how many
    """

    def __init__(self, count: int) -> None:
        self._free_at = [0.0] * count
        self._lock = threading.Lock()

    def take(self, now: float, seconds: float) -> float:
        """Take the core that gets free first.

        :param now: a moment of a clock that never goes back
        :param seconds: how long it is needed
        :return: the moment at which the work is done
        """
        with self._lock:
            first = min(range(len(self._free_at)), key=self._free_at.__getitem__)
            self._free_at[first] = max(now, self._free_at[first]) + seconds
            return self._free_at[first]
