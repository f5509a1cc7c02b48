"""When a request is sent again, and after how long. One policy for both transports."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_espo.client.errors import (
    EspoApiError,
    EspoConnectionError,
    EspoError,
    EspoMaintenanceError,
    EspoRateLimitError,
    EspoServerError,
    EspoTimeoutError,
    EspoTLSError,
)

#: 500 is mostly EspoCRM's answer to a request it cannot stand, so one more try is enough to rule out an accident.
_TRIES_AFTER_500 = 1
#: Answers of a proxy to what is too much: 413 too large, 504 and 524 too slow.
_TOO_MUCH = frozenset({413, 504, 524})
_GATEWAY_STATUSES = frozenset({502, 503, 504, 520, 521, 522, 523, 524})


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    :param max_retries: how often a request is repeated at most.
    :param base: upper bound of the first wait, in seconds; doubles each time.
    :param cap: longest wait of our own choosing, in seconds.
    :param max_server_wait: longest wait that a server may ask for, in seconds; beyond it the error is raised, so that
        a worker is not held (Airflow's own retries are the place for long waits).
    :param uniform: source of jitter.
    """

    max_retries: int = 4
    base: float = 0.5
    cap: float = 30.0
    max_server_wait: float = 120.0
    uniform: Callable[[float, float], float] = random.uniform

    def wait_before_retry(
        self, error: EspoError, *, repeatable: bool, retries: int, asked_to_wait: float | None = None
    ) -> float | None:
        """Seconds to wait before the next try, ``None`` to give up.

        :param error: what went wrong.
        :param repeatable: whether the request may be sent again although the server may have carried it out.
        :param retries: repeats made so far.
        :param asked_to_wait: seconds the answer asked to wait.
        """
        if retries >= self.max_retries or not is_worth_a_retry(error, repeatable=repeatable, retries=retries):
            return None
        if asked_to_wait is not None and asked_to_wait > self.max_server_wait:
            return None
        backoff = self.uniform(0.0, min(self.cap, self.base * 2**retries))
        return backoff if asked_to_wait is None else asked_to_wait + min(backoff, 1.0)


def is_worth_a_retry(error: EspoError, *, repeatable: bool, retries: int) -> bool:
    """Whether another try can help and does no damage."""
    if isinstance(error, EspoTLSError):
        return False
    if isinstance(error, EspoConnectionError | EspoTimeoutError):
        return repeatable or not error.outcome_unknown
    if isinstance(error, EspoRateLimitError | EspoMaintenanceError):
        return True
    if isinstance(error, EspoServerError):
        if error.status == 500:
            return repeatable and retries < _TRIES_AFTER_500
        return error.status in _GATEWAY_STATUSES and (repeatable or not error.outcome_unknown)
    return False


def was_too_slow(error: EspoError) -> bool:
    """Whether the server, or a proxy that waited for it, had no answer in time, or one too large to pass on."""
    if isinstance(error, EspoTimeoutError):
        return error.outcome_unknown
    return isinstance(error, EspoApiError) and error.status in _TOO_MUCH


def outcome_is_unknown(error: EspoError) -> bool:
    """Whether the server may have carried out the request that ended in this error."""
    return bool(getattr(error, "outcome_unknown", False))
