"""A file with a line for each request, so that a test can count what a program asked for."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_espo.sandbox.http import Request


class RequestLog:
    """Writes the log, as NDJSON: ``at`` (seconds since 1970), ``method``, ``path``, ``query`` (decoded), ``status``.

    Headers and bodies are not in it.

    :param path: the file; what it has already stays.
    :raises OSError: if it cannot be written
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def add(self, request: Request, status: int) -> None:
        """Write a line, before the answer goes out: who has the answer finds the line."""
        line = {
            "at": round(time.time(), 3),
            "method": request.method,
            "path": request.path,
            "query": unquote_plus(request.query),
            "status": status,
        }
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file. Does nothing if it was closed already."""
        with self._lock:
            self._file.close()
