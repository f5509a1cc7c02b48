"""The practical limit: the very requests of a run of the provider once more, by as many workers, and no processing.

What comes is read to its end and written to the file as it is.
"""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.site import Site

Wanted = tuple[str, dict[str, str]]


def extract(site: Site, entity: str, target: Path, *, requests_file: str, **_: Any) -> int:
    before, lanes = lanes_of(json.loads(Path(requests_file).read_text(encoding="utf-8")))
    address = urlsplit(site.url)
    lock = threading.Lock()
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    with target.open("wb", buffering=1 << 20) as file:

        def send_all(wanted: list[Wanted]) -> None:
            connection = kind(address.hostname or "", address.port, timeout=600)
            for path, headers in wanted:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"status {answer.status}")
                with lock:
                    file.write(content)
            connection.close()

        send_all(before)
        with ThreadPoolExecutor(max(1, len(lanes))) as pool:
            list(pool.map(send_all, lanes))
    return sum(map(len, lanes))


def lanes_of(sent: list[tuple[float, int, str, dict[str, str]]]) -> tuple[list[Wanted], list[list[Wanted]]]:
    """What was sent before the workers began, and what each worker sent."""
    main = sent[0][1]
    lanes: dict[int, list[Wanted]] = {}
    before: list[Wanted] = []
    for _, thread, url, headers in sent:
        parts = urlsplit(url)
        wanted = (f"{parts.path}?{parts.query}" if parts.query else parts.path, headers)
        if thread == main:
            before.append(wanted)
        else:
            lanes.setdefault(thread, []).append(wanted)
    return before, list(lanes.values())
