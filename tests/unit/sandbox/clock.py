"""A clock that is moved by hand."""

from __future__ import annotations

import datetime as dt


class Clock:
    """The time of a sandbox: stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.time

    def go_on(self, seconds: float) -> None:
        self.time += dt.timedelta(seconds=seconds)
