"""Errors that end a request with an answer other than 200."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer with an error status.

    :param status: HTTP status
    :param reason: text of ``X-Status-Reason``; None for no such header
    :param body: JSON body; None for an empty body
    """

    def __init__(self, status: int, reason: str | None = None, body: Any = None) -> None:
        super().__init__(f"{status} {reason or ''}".rstrip())
        self.status = status
        self.reason = reason
        self.body = body
