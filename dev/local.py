"""A sandbox and an Airflow inside the clone, started and stopped by the scripts beside this file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
AIRFLOW_HOME = ROOT / ".airflow"
WORK = ROOT / ".demo"

_START_SECONDS = 60


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: where it is, and its credentials as the sandbox wrote them."""

    url: str
    credentials: Mapping[str, Any]

    @property
    def connection(self) -> str:
        """Airflow connection to it, in Airflow's JSON form."""
        # The port on its own: without one the Test button of Airflow 3.3 fails, see docs/connections.md.
        host, _, port = self.url.rpartition(":")
        api_key = self.credentials["api_key"]
        return json.dumps({"conn_type": "espo", "host": host, "port": int(port), "password": api_key})


@contextmanager
def sandbox(*, port: int = 0, database: str = ":memory:") -> Iterator[Sandbox]:
    """Run the sandbox with demo data as a process of its own, and stop it at the end."""
    WORK.mkdir(exist_ok=True)
    credentials_file = WORK / "credentials.json"
    credentials_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", str(port), "--database", database]
    command += ["--credentials-file", str(credentials_file), "--demo-data"]
    with (WORK / "sandbox.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=clean_environment())
        try:
            url = _url_of(process)
            yield Sandbox(url, json.loads(credentials_file.read_text(encoding="utf-8")))
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _url_of(process: subprocess.Popen[str]) -> str:
    """Read the address from the sandbox's first lines; it may take any free port."""
    stop = threading.Timer(_START_SECONDS, process.kill)
    stop.start()
    try:
        for line in _lines(process.stdout):
            if (start := line.find("http://")) >= 0:
                return line[start:].split()[0].rstrip("/.,")
    finally:
        stop.cancel()
    raise SystemExit(f"The sandbox did not start; see {WORK / 'sandbox.log'}")


def _lines(stream: IO[str] | None) -> Iterator[str]:
    if stream is not None:
        yield from stream


def clean_environment() -> dict[str, str]:
    """Return the environment without settings that would reach into the clone from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ESPO_"))}
    # Nothing here leaves the machine; a proxy must not get between.
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def airflow_environment(home: Path = AIRFLOW_HOME) -> dict[str, str]:
    """Return the environment of an Airflow that lives in the clone and sees the example DAGs."""
    environment = clean_environment()
    return environment | {
        # "airflow standalone" calls "airflow" by its name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONWARNINGS": "default",
    }


def run_airflow(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the Airflow command line; with ``log`` its output goes there."""
    command = [sys.executable, "-m", "airflow", *arguments]
    if log is None:
        return subprocess.run(command, env=dict(environment), check=False)
    with log.open("ab") as output:
        return subprocess.run(command, env=dict(environment), check=False, stdout=output, stderr=subprocess.STDOUT)


def migrate(environment: Mapping[str, str], log: Path) -> None:
    """Make Airflow's database, unless it is there."""
    home = Path(environment["AIRFLOW_HOME"])
    done = home / ".migrated"
    if done.exists():
        return
    home.mkdir(parents=True, exist_ok=True)
    if run_airflow(["db", "migrate"], environment, log).returncode:
        raise SystemExit(f"Airflow's database could not be made; see {log}")
    done.touch()
