"""Memory and time of a big file on its way up and down: ``python benchmarks/files.py [--size 100]``.

The sandbox runs in a process of its own, so that only this end is measured. The file is uploaded in chunks, read back
and compared, attached to a document, and downloaded.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BOUND_MB = 10.0
MB = 1024 * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=100, help="size of the file in MB (default: 100)")
    size = parser.parse_args().size
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        credentials_file = place / "credentials.json"
        command = [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", "0"]
        command += ["--database", str(place / "espo.db"), "--credentials-file", str(credentials_file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout is None or not process.stdout.readline():
                    print("the sandbox did not start")
                    return 1
                credentials = json.loads(credentials_file.read_text(encoding="utf-8"))
                return measure(credentials, place, size, process.pid)
            finally:
                process.terminate()


def measure(credentials: dict[str, str], place: Path, size: int, server: int) -> int:
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = json.dumps(
        {"conn_type": "espo", "host": credentials["base_url"], "password": credentials["api_key"]}
    )
    from airflow_provider_espo.hooks.espo import EspoHook

    up, down = place / "up.pdf", place / "down.pdf"
    write(up, size)
    with EspoHook() as hook:
        # All that is there before: libraries, connection, schema.
        warm = hook.upload_attachment(b"warm", entity_type="Document", field="file", name="warm.txt")
        hook.download_attachment(warm["attachment_id"], place / "warm.txt")
        gc.collect()
        start = peak_mb()
        sent = timed("up, in chunks, and back to compare", size, lambda: upload(hook, up))
        got = timed("down", size, lambda: hook.download_attachment(sent["attachment_id"], down))
    grown = peak_mb() - start
    same = sent["sha256"] == got["sha256"] and down.stat().st_size == up.stat().st_size
    print(f"{'same content' if same else 'OTHER CONTENT'}, peak memory {grown:+.1f} MB (bound {BOUND_MB:g})")
    print(f"the sandbox: peak {peak_of(server):.0f} MB")
    return 0 if same and grown <= BOUND_MB else 1


def upload(hook: Any, path: Path) -> Any:
    return hook.upload_attachment(path, entity_type="Document", field="file")


def write(path: Path, size: int) -> None:
    source = random.Random(1)
    with path.open("wb") as file:
        for _ in range(size):
            file.write(source.randbytes(MB))


def timed(what: str, size: int, do: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = do()
    took = time.perf_counter() - started
    print(f"{what}: {size} MB in {took:.1f} s ({size / took:.0f} MB a second)")
    return result


def peak_mb() -> float:
    # The system's other count begins with what the parent process had.
    return peak_of(os.getpid()) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_of(process: int) -> float:
    """Peak memory of another process, in MB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


if __name__ == "__main__":
    sys.exit(main())
