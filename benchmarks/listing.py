"""Memory and time of reading a whole entity type through the hook's iterator: ``python benchmarks/listing.py``.

The sandbox runs in a process of its own, so that only the reader is measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.extract import peak_mb

BOUND_MB = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=60_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        credentials_file = Path(folder) / "credentials.json"
        command = [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", "0", "--database", ":memory:"]
        command += ["--credentials-file", str(credentials_file), "--fill", f"Lead={arguments.records}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout is None or not process.stdout.readline():
                    print("the sandbox did not start")
                    return 1
                return measure(json.loads(credentials_file.read_text(encoding="utf-8")), arguments.records)
            finally:
                process.terminate()


def measure(credentials: dict[str, str], expected: int) -> int:
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = json.dumps(
        {"conn_type": "espo", "host": credentials["base_url"], "password": credentials["api_key"]}
    )
    from airflow_provider_espo.hooks.espo import EspoHook

    with EspoHook() as hook:
        # All that is there before the first page: libraries, connection, schema.
        hook.list_records("Lead", select=["name"], limit=1)
        gc.collect()
        start_mb, started = peak_mb(), time.perf_counter()
        count = sum(1 for _ in hook.iter_records("Lead"))
        took, grown = time.perf_counter() - started, peak_mb() - start_mb
    speed = f"{count} records in {took:.1f} s ({count / took:.0f} a second)"
    print(f"{speed}, peak memory {grown:+.1f} MB (bound {BOUND_MB:g})")
    return 0 if count >= expected and grown <= BOUND_MB else 1


if __name__ == "__main__":
    sys.exit(main())
