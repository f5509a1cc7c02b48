"""The usual client: pages by offset of full records in the default order, with ``requests``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

from benchmarks.site import Site


def extract(site: Site, entity: str, target: Path, **_: Any) -> int:
    pages = offset = 0
    with requests.Session() as session, target.open("w", encoding="utf-8") as file:
        session.headers.update(site.headers)
        while True:
            answer = session.get(f"{site.api}/{entity}", params={"maxSize": 200, "offset": offset}, timeout=600)
            answer.raise_for_status()
            rows = answer.json()["list"]
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            pages += 1
            offset += len(rows)
            if len(rows) < 200:
                return pages
