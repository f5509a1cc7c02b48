"""``espocrm-client`` of PyPI: lists by offset, its own brake on requests as wide as it goes.

Its ``crud.list`` (0.2.1) gives back no records, whatever the server answers; ``get`` does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from espocrm import EspoCRMClient
from espocrm.auth import APIKeyAuth
from espocrm.config import ClientConfig

from benchmarks.site import Site


def extract(site: Site, entity: str, target: Path, **_: Any) -> int:
    config = ClientConfig(base_url=site.url, api_key=site.key, timeout=300, rate_limit_per_minute=10_000)
    pages = offset = 0
    with (
        EspoCRMClient(site.url, APIKeyAuth(api_key=site.key), config) as client,
        target.open("w", encoding="utf-8") as file,
    ):
        while True:
            rows = client.get(entity, params={"offset": offset, "maxSize": 200})["data"]
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            pages += 1
            offset += len(rows)
            if len(rows) < 200:
                return pages
