"""The CRMs that benchmarks run against: sandboxes in processes of their own, or a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Site:
    """A CRM and who logs in.

    :param url: without ``/api/v1``
    :param key: API key
    """

    url: str
    key: str

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Api-Key": self.key, "Accept": "application/json"}

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """Read a file of credentials as the sandbox writes it."""
        credentials = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(credentials["base_url"].rstrip("/"), credentials["api_key"])

    def connection(self, **extra: Any) -> str:
        """Airflow's connection to it."""
        return json.dumps({"conn_type": "espo", "host": self.url, "password": self.key, "extra": extra})


def real_site() -> Path | None:
    """The credentials file of a real server, if there is one in ``ESPO_CREDENTIALS``."""
    given = os.environ.get("ESPO_CREDENTIALS")
    return Path(given).resolve() if given else None


@contextmanager
def sandbox(*arguments: str, database: Path | None = None) -> Iterator[Path]:
    """Run a sandbox in a process of its own.

    :param arguments: of its command line
    :param database: file; in memory without one
    :return: its credentials file
    """
    with tempfile.TemporaryDirectory() as folder:
        credentials = Path(folder) / "credentials.json"
        command = [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", "0", "--no-login-throttle"]
        command += ["--credentials-file", str(credentials), "--database", str(database or ":memory:"), *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            try:
                if process.stdout is None or not process.stdout.readline():
                    raise RuntimeError("the sandbox did not start")
                yield credentials
            finally:
                process.terminate()


class Stock:
    """Databases with leads in them, each made once and copied for every sandbox.

    :param folder: where they lie
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies = 0

    def made(self, records: int) -> Path:
        """A database with that many leads; not to be written to."""
        path = self._folder / f"leads-{records}.db"
        if not path.exists():
            # Not in this process: what it takes would count as the beginning of those that it starts.
            subprocess.run(child("stock", str(path), str(records)), check=True, cwd=ROOT, env=quiet())
        return path

    def copy(self, records: int) -> Path:
        """One that may be written to."""
        self._copies += 1
        copied = self._folder / f"copy-{self._copies}.db"
        shutil.copyfile(self.made(records), copied)
        return copied


def search_query(params: dict[str, Any]) -> str:
    """A list's parameters in their JSON form."""
    return "searchParams=" + quote(json.dumps(params, separators=(",", ":")))


def child(module: str, *arguments: str) -> list[str]:
    """The command line of a benchmark that runs in a process of its own."""
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def start(module: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start a benchmark in a process of its own; its last line is JSON."""
    return subprocess.Popen(child(module, *arguments), stdout=subprocess.PIPE, text=True, cwd=ROOT, env=quiet())


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for such a process and return its result.

    :raises RuntimeError: it failed
    """
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def run(module: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark in a process of its own and return its result."""
    return result_of(start(module, arguments))


def quiet() -> dict[str, str]:
    """The environment of measured processes: Airflow's log only says what fails."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
