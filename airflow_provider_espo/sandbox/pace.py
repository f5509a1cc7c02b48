"""When answers go out: after a latency, and as late as a model of costs has it. Nothing is held up meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.costs import Cores, Costs

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.http import Reply, Request


class Pace:
    """Tells how long to wait before an answer.

    :param latency: seconds before every answer
    :param costs: model of what requests cost; without one they take as long as they take
    :param clock: a clock that never goes back, in seconds
    """

    def __init__(
        self, latency: float = 0.0, costs: Costs | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._latency = latency
        self._costs = costs
        self._clock = clock
        self._cores = Cores(costs.cores if costs else 1)

    def begin(self, request: Request) -> float:
        """Note that a request came.

        :return: the moment before which it is not answered
        """
        now = self._clock()
        return now if self._costs is None else self._cores.take(now, self._costs.of_request(request))

    def wait_after(self, request: Request, reply: Reply, until: float) -> float:
        """Seconds to wait before the answer.

        :param until: what :meth:`begin` returned
        """
        now = self._clock()
        if self._costs is not None and (more := self._costs.of_answer(request, reply)):
            until = self._cores.take(max(now, until), more)
        return max(0.0, until - now) + self._latency

    def wait_after_job(self, result: Mapping[str, object]) -> float:
        """Seconds to wait before a background job that did its work shows as done."""
        if self._costs is None:
            return 0.0
        now = self._clock()
        return max(0.0, self._cores.take(now, self._costs.of_result(result)) - now)
