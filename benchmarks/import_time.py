"""How long a DAG file waits for the provider: import of all its modules for DAG files after airflow.sdk.

    python benchmarks/import_time.py [--runs 7]

Each run is a fresh interpreter that finds compiled files, as a DAG processor does from its second look on: a run before
those that count writes them, to a folder of its own. The figure is the median over the runs; the exit status is 1 if it
is over the budget. Modules that cost the most are listed, as measured by the interpreter in one more run.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

from airflow_provider_espo.get_provider_info import python_modules

BUDGET_MS = 25.0

CODE = """
import importlib, sys, time
import airflow.sdk
airflow.sdk.BaseOperator, airflow.sdk.BaseSensorOperator, airflow.sdk.BaseHook, airflow.sdk.DAG
print("BEGIN", file=sys.stderr)
started = time.perf_counter()
for name in sys.argv[1:]:
    importlib.import_module(name)
print((time.perf_counter() - started) * 1000)
"""


def modules() -> list[str]:
    """All modules that a DAG file may import."""
    return [name for kind in ("hooks", "operators", "sensors", "transfers") for name in python_modules(kind)]


def measure(compiled: str) -> float:
    """Milliseconds of one run.

    :param compiled: folder of the compiled files.
    """
    return float(_run(compiled, []).stdout)


def _run(compiled: str, options: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, *options, "-c", CODE, *modules()],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPYCACHEPREFIX": compiled},
    )


def costs(compiled: str) -> list[tuple[float, str]]:
    """Modules with the milliseconds that each took by itself, most expensive first.

    :param compiled: folder of the compiled files.
    """
    result = _run(compiled, ["-X", "importtime"])
    lines = result.stderr.partition("BEGIN\n")[2]
    found = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", lines)
    return sorted(((int(micros) / 1000, name) for micros, name in found), reverse=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="fresh interpreters to start (default: 7)")
    runs = max(1, parser.parse_args().runs)
    with tempfile.TemporaryDirectory() as compiled:
        measure(compiled)
        times = [measure(compiled) for _ in range(runs)]
        dear = costs(compiled)[:8]
    median = statistics.median(times)
    print(f"{len(modules())} modules after airflow.sdk, {runs} runs")
    print(f"median {median:.1f} ms (least {min(times):.1f}, most {max(times):.1f}), budget {BUDGET_MS:.0f} ms")
    for cost, name in dear:
        print(f"  {cost:6.2f} ms  {name}")
    return 0 if median <= BUDGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
