"""How long a DAG file waits for the provider: import of all hook, operator and sensor modules after airflow.sdk.

    python benchmarks/import_time.py [--runs 7]

Each run is a fresh interpreter. The figure is the median over the runs; the exit status is 1 if it is over the
budget. Modules that cost the most are listed, as measured by the interpreter in one more run.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys

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
    return [name for kind in ("hooks", "operators", "sensors") for name in python_modules(kind)]


def measure() -> float:
    """Milliseconds of one run."""
    result = subprocess.run([sys.executable, "-c", CODE, *modules()], capture_output=True, text=True, check=True)
    return float(result.stdout)


def costs() -> list[tuple[float, str]]:
    """Modules with the milliseconds that each took by itself, most expensive first."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", CODE, *modules()], capture_output=True, text=True, check=True
    )
    lines = result.stderr.partition("BEGIN\n")[2]
    found = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", lines)
    return sorted(((int(micros) / 1000, name) for micros, name in found), reverse=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="fresh interpreters to start (default: 7)")
    runs = max(1, parser.parse_args().runs)
    times = [measure() for _ in range(runs)]
    median = statistics.median(times)
    print(f"{len(modules())} modules after airflow.sdk, {runs} runs")
    print(f"median {median:.1f} ms (least {min(times):.1f}, most {max(times):.1f}), budget {BUDGET_MS:.0f} ms")
    for cost, name in costs()[:8]:
        print(f"  {cost:6.2f} ms  {name}")
    return 0 if median <= BUDGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
