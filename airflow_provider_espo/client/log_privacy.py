"""Keep what is searched for, and secrets, out of the HTTP libraries' logs.

Both log each request with its whole URL, and the query string holds the filter: names, e-mail addresses. The path of a
lead capture holds its key.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

_API = "/api/v1/"
_KEY_IN_PATH = re.compile(r"(/LeadCapture/)[^/?\s]+")


class _WithoutQuery(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args
        if isinstance(arguments, tuple):
            record.args = tuple(_without_query(argument) for argument in arguments)
        elif isinstance(arguments, Mapping):
            record.args = {name: _without_query(argument) for name, argument in arguments.items()}
        return True


def hide_queries(logger_name: str) -> None:
    """Cut the query string off the API's URLs in what a logger is given.

    :param logger_name: name of the library's logger.
    """
    logger = logging.getLogger(logger_name)
    if not any(isinstance(one, _WithoutQuery) for one in logger.filters):
        logger.addFilter(_WithoutQuery())


def _without_query(argument: object) -> object:
    if isinstance(argument, int | float):
        return argument
    text = str(argument)
    if _API not in text:
        return argument
    shown = _KEY_IN_PATH.sub(r"\1...", text)
    if "?" in shown:
        return shown.partition("?")[0] + "?..."
    return argument if shown == text else shown
