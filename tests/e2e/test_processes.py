"""What the live test starts ends with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.postgres import Postgres
from tests.e2e.processes import wait_for
from tests.e2e.stack import ROOT

_KILLED_TEST = """
import os, pathlib, signal
from tests.e2e.processes import Service
service = Service("sleeper", ["sleep", "600"], os.environ, pathlib.Path({logs!r}), user={user!r})
service.start()
# It is told to end only once it is what was asked for.
while pathlib.Path(f"/proc/{{service.group}}/comm").read_text().strip() != "sleep":
    pass
print(service.group, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("as_somebody_else", [False, True])
def test_a_service_ends_with_a_test_that_was_killed(tmp_path: Path, as_somebody_else: bool) -> None:
    user = Postgres(tmp_path, tmp_path).user if as_somebody_else else None
    script = _KILLED_TEST.format(logs=str(tmp_path), user=user)
    killed = subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout
    wait_for("The end of the service", lambda: not _lives(int(killed.stdout)), 10)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
