"""dlt's REST client with its paginator by offset, as its guide has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator

from benchmarks.site import Site


def extract(site: Site, entity: str, target: Path, **_: Any) -> int:
    paginator = OffsetPaginator(
        limit=200, offset_param="offset", limit_param="maxSize", total_path=None, stop_after_empty_page=True
    )
    client = RESTClient(base_url=site.api, headers=site.headers, paginator=paginator, data_selector="list")
    pages = 0
    with target.open("w", encoding="utf-8") as file:
        for page in client.paginate(entity):
            pages += 1
            for row in page:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return pages
