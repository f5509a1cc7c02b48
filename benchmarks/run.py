"""All benchmarks in one run: ``make bench``, or ``python -m benchmarks.run``.

Prints a table, writes JSON and a plot to ``benchmarks/results``, and ends with 1 if a bound does not hold. With
``ESPO_CREDENTIALS=file.json`` (in the form in which the sandbox writes it) also against that server, where nothing is
written unless ``--write`` is given.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import sections
from benchmarks.report import Row, table
from benchmarks.site import ROOT, Stock

RESULTS = ROOT / "benchmarks" / "results"


def main() -> int:
    given = arguments()
    started = time.perf_counter()
    rows: list[Row] = []
    data: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plan = sections.Plan(
            stock=Stock(Path(folder)),
            folder=Path(folder),
            records=given.records,
            latency_records=given.latency_records,
            memory_records=given.memory_records,
            workers=given.workers,
            latency=given.latency,
            write=given.write,
            entity=given.entity,
        )
        for name in given.sections:
            print(f"{name} ...", file=sys.stderr, flush=True)
            found, data[name] = sections.SECTIONS[name](plan)
            rows += found
            print(table(found), file=sys.stderr, flush=True)
    took = time.perf_counter() - started
    print(f"\n{table(rows)}\n\n{took:.0f} s, {machine()}")
    print(f"written to {write(rows, data, given)}")
    return 1 if any(row.holds is False for row in rows) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--records",
        type=int,
        default=100_000,
        help="leads to read fast and at simulated costs (default: 100000)",
    )
    parser.add_argument(
        "--latency-records",
        type=int,
        default=40_000,
        help="leads for other clients behind a latency (default: 40000)",
    )
    parser.add_argument("--memory-records", type=int, default=1_000_000, help="leads to store flat (default: 1000000)")
    parser.add_argument("--latency", type=float, default=20, help="milliseconds before an answer (default: 20)")
    parser.add_argument("--workers", type=int, default=4, help="requests under way at a time (default: 4)")
    parser.add_argument("--entity", default="Lead", help="entity type to read of a real server (default: Lead)")
    parser.add_argument("--write", action="store_true", help="also create leads on a real server, and delete them")
    parser.add_argument(
        "--sections",
        nargs="+",
        choices=sorted(sections.SECTIONS),
        default=[name for name in sections.SECTIONS if name != "real" or os.environ.get("ESPO_CREDENTIALS")],
        help="only these parts",
    )
    return parser.parse_args()


def write(rows: list[Row], data: dict[str, Any], given: argparse.Namespace) -> Path:
    """Write JSON and a plot.

    :return: the JSON file
    """
    RESULTS.mkdir(exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    path = RESULTS / f"{now:%Y%m%d-%H%M%S}.json"
    whole = {
        "at": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "arguments": vars(given),
        "rows": [row.as_dict() for row in rows],
        "data": data,
    }
    path.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    from benchmarks.plot import draw

    draw(data, path.with_suffix(".svg"))
    return path.relative_to(ROOT)


def machine() -> str:
    """What it ran on."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"


if __name__ == "__main__":
    raise SystemExit(main())
