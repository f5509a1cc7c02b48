"""Failures in a row: counted beside what fails, because Airflow starts a trigger that failed at once again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Hashable
from dataclasses import dataclass

from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.client.retry import is_worth_a_retry

log = logging.getLogger(__name__)

#: Failures in a row after which the trigger fails, so that Airflow shows it. It is started again, and goes on waiting
#: as long as before.
MAX_FAILURES = 10

_LONGEST_WAIT = 300.0
_JITTER = 0.05


@dataclass
class _Row:
    """Failures in a row.

    :param since: time of the event loop of the first.
    :param until: time of the event loop before which nothing is to be tried again.
    """

    since: float
    count: int = 0
    until: float = 0.0


#: Only what fails has an entry.
_rows: dict[Hashable, _Row] = {}


class Failures:
    """Failures in a row of whatever has this key in this process. They outlive the trigger that had them.

    :param key: what fails.
    """

    def __init__(self, key: Hashable) -> None:
        self._key = key

    def failed(self, what: str, error: Exception, *, bearable: bool = False) -> float:
        """Count a failure and say it.

        :param what: what failed, as the subject of a sentence.
        :param error: why.
        :param bearable: never raise it.
        :return: seconds to wait before the next try.
        :raises Exception: the error, where it is the tenth in a row, the twentieth, and so on.
        """
        now = asyncio.get_running_loop().time()
        row = _rows.setdefault(self._key, _Row(since=now))
        row.count += 1
        pause = with_jitter(min(_LONGEST_WAIT, 2.0**row.count))
        row.until = now + pause
        ours = isinstance(error, EspoError)
        passing = isinstance(error, EspoError) and is_worth_a_retry(error, repeatable=True, retries=0)
        log.log(
            logging.WARNING if passing else logging.ERROR,
            "%s failed %d times in a row, for %d s: %s",
            what,
            row.count,
            now - row.since,
            error if ours else f"{type(error).__name__}: {error}",
            # Ours say all there is to know.
            exc_info=None if ours or row.count > 1 else error,
        )
        if row.count % MAX_FAILURES == 0 and not bearable:
            raise error
        return pause

    def succeeded(self) -> None:
        """Forget all failures."""
        _rows.pop(self._key, None)

    def pause_left(self) -> float:
        """Return how many seconds to wait yet before the next try; 0 if nothing failed."""
        row = _rows.get(self._key)
        return 0.0 if row is None else max(0.0, row.until - asyncio.get_running_loop().time())


def with_jitter(seconds: float) -> float:
    """Return about so many seconds, so that not all come at once.

    :param seconds: how many.
    """
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret is made of it
