"""One client reads a whole entity type into an NDJSON file, in this process: ``python -m benchmarks.extract``.

Prints what it took as JSON. Imports and the first use of libraries are not counted: every client reads a small
entity type before. Everything else is, from the first connection to the closed file.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.site import Site

CLIENTS = (
    "espo",
    "espo_full",
    "espo_engine",
    "naive",
    "dlt_rest",
    "espocrm_client",
    "http_operator",
    "http_operator_by_id",
    "replay",
)
#: An entity type with few records.
SMALL = "TargetList"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--credentials", required=True)
    parser.add_argument("--entity", default="Lead")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--requests", help="espo: file for the requests that were sent; replay: those to send")
    given = parser.parse_args()
    site = Site.from_file(given.credentials)
    logging.disable(logging.WARNING)
    client = importlib.import_module(f"benchmarks.clients.{given.client}")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out"
        if given.client != "replay":
            client.extract(site, SMALL, Path(folder) / "warm", workers=given.workers)
            forget_what_was_learned()
        gc.collect()
        before, started, cpu = peak_mb(), time.perf_counter(), time.process_time()
        pages = client.extract(site, given.entity, target, workers=given.workers, requests_file=given.requests)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        files = [target] if target.is_file() else sorted(target.glob("*.ndjson"))
        size, records = sum(file.stat().st_size for file in files), sum(map(lines_in, files))
    figures = {
        "client": given.client,
        "seconds": took,
        "cpu_seconds": cpu,
        "pages": pages,
        "records": records,
        "bytes": size,
        "grown_mb": peak_mb() - before,
    }
    print(json.dumps(figures))
    return 0


def forget_what_was_learned() -> None:
    """Let the provider ask for everything again."""
    if state := sys.modules.get("airflow_provider_espo.client.state"):
        state.forget_shared_states()


def lines_in(path: Path) -> int:
    count = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            count += block.count(b"\n")
    return count


def peak_mb() -> float:
    """Highest memory of this program so far. The system's other count begins with what the parent process had."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    raise SystemExit(main())
