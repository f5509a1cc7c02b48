"""Memory of ``EspoToObjectStorageOperator`` while it stores very many records as NDJSON, in this process.

The start is where everything is there that a run of any length has: libraries and a connection, after one small run.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.clients.espo import extract
from benchmarks.extract import SMALL, forget_what_was_learned, peak_mb
from benchmarks.site import Site

EVERY = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--credentials", required=True)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--entity", default="Lead")
    given = parser.parse_args()
    site = Site.from_file(given.credentials)
    samples: list[float] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(EVERY):
            samples.append(resident_mb())

    with tempfile.TemporaryDirectory() as folder:
        extract(site, SMALL, Path(folder) / "warm", workers=given.workers)
        forget_what_was_learned()
        gc.collect()
        before, started = peak_mb(), time.perf_counter()
        sampler = threading.Thread(target=sample)
        sampler.start()
        pages = extract(site, given.entity, Path(folder) / "out", workers=given.workers)
        over.set()
        sampler.join()
        took = time.perf_counter() - started
        size = sum(file.stat().st_size for file in (Path(folder) / "out").iterdir())
    figures = {
        "pages": pages,
        "seconds": took,
        "bytes": size,
        "start_mb": before,
        "grown_mb": peak_mb() - before,
        "every_seconds": EVERY,
        "samples_mb": samples,
    }
    print(json.dumps(figures))
    return 0


def resident_mb() -> float:
    """Memory of this process now; its highest so far where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_mb()
    return pages * resource.getpagesize() / 1024 / 1024


if __name__ == "__main__":
    raise SystemExit(main())
