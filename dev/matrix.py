"""``make test-matrix``: unit and system tests on the oldest Airflows that are supported, each on a Python of its own.

With the Airflow of ``make test`` on Python 3.11 that is every supported minor version of both. A Python that this
machine does not have is replaced by the one that runs this, and the report says so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """An Airflow, and the Python to run it on."""

    airflow: str
    python: str

    @property
    def lock(self) -> Path:
        """Exact versions of everything."""
        return ROOT / f"requirements-airflow-{self.airflow}.lock"

    @property
    def venv(self) -> Path:
        """Where it is installed."""
        return ROOT / f".venv-{self.airflow}"


#: Libraries of their day warn of each other. An error is what is said of our own code, and what nobody waited for.
WARNINGS = (
    "default",
    "error:::(airflow_provider_espo|example_dags|tests)",
    "error::pytest.PytestUnraisableExceptionWarning",
    "error::pytest.PytestUnhandledThreadExceptionWarning",
)

ROWS = (Row("3.1.8", "python3.12"), Row("3.2.2", "python3.13"))


def main(wanted: list[str]) -> int:
    """Test the rows whose Airflow is named, or all; return the exit status."""
    unknown = set(wanted) - {row.airflow for row in ROWS}
    if unknown:
        sys.stderr.write(f"There is no row for Airflow {', '.join(sorted(unknown))}\n")
        return 2
    began = time.monotonic()
    results = [(row, *check(row)) for row in ROWS if not wanted or row.airflow in wanted]
    for row, python, failed in results:
        note = "" if python.startswith(row.python.removeprefix("python")) else f" ({row.python} is not here)"
        outcome = f"failed: {', '.join(failed)}" if failed else "passed"
        sys.stdout.write(f"Airflow {row.airflow} on Python {python}{note}: {outcome}\n")
    sys.stdout.write(f"It took {(time.monotonic() - began) / 60:.0f} minutes\n")
    return 1 if any(failed for *_, failed in results) else 0


def check(row: Row) -> tuple[str, list[str]]:
    """Run the tests of a row.

    :return: the Python's version, and what failed.
    """
    install(row)
    python = row.venv / "bin" / "python"
    version = _output([str(python), "-c", "import platform; print(platform.python_version())"])
    failed = []
    warnings = "filterwarnings=" + "\n".join(WARNINGS)
    for name in ("unit", "system"):
        sys.stdout.write(f"\n-- Airflow {row.airflow} on Python {version}: {name}\n")
        sys.stdout.flush()
        command = [str(python), "-m", "pytest", "-q", "-o", warnings, "-n", "2", "--dist", "worksteal", f"tests/{name}"]
        if subprocess.run(command, check=False, cwd=ROOT, env=environment()).returncode:
            failed.append(name)
    return version, failed


def install(row: Row) -> None:
    """Make the environment, unless it is there as the lock says."""
    stamp = row.venv / ".installed"
    wanted = hashlib.sha256(row.lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    shutil.rmtree(row.venv, ignore_errors=True)
    base = interpreter(row.python)
    pip = [str(row.venv / "bin" / "python"), "-m", "pip", "install", "-q"]
    for command in (
        [base, "-m", "venv", str(row.venv)],
        [*pip, "-r", str(row.lock)],
        [*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)],
    ):
        subprocess.run(command, check=True)
    stamp.write_text(wanted, encoding="ascii")


def interpreter(name: str) -> str:
    """Find a Python by a name such as ``python3.12``, on the path or among pyenv's; else the one that runs this."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(name), *map(str, pyenv.glob(f"{name.removeprefix('python')}.*/bin/{name}"))]
    for candidate in filter(None, found):
        # A name on the path may only lead to a Python that is not there.
        if subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode == 0:
            return candidate
    return sys.executable


def environment() -> dict[str, str]:
    """Environment of the tests: nothing of the caller's own environment of Python."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    return kept | {"PYTHONPATH": str(ROOT)}


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
