"""Processes of the live test: each with a log of its own, ended for sure, killed without a word when a test says so."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

_END_SECONDS = 30.0

T = TypeVar("T")


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def as_user(user: str | None) -> list[str]:
    """Return what a command begins with to run as somebody.

    :param user: name; ``None`` for whoever runs the test.
    """
    return ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"] if user else []


class Service:
    """A program that runs until it is stopped, with all processes that it starts.

    It ends with the test, even if that is killed.

    :param name: for its log.
    :param command: program and arguments.
    :param environment: of the program.
    :param logs: folder of its log.
    :param user: who it runs as; by default, whoever runs the test.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], logs: Path, *, user: str | None = None
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        # To become somebody else takes the signal away: it comes second.
        self._command = [*as_user(user), "setpriv", "--pdeathsig", "TERM", "--", *command]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            # A session of its own, so that it can be killed with its children and nobody else's.
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self) -> None:
        """End it and its children by SIGKILL."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    @property
    def group(self) -> int:
        """Id of its group of processes.

        :raises RuntimeError: it was not started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    def end(self) -> None:
        """Ask it to end, as a user would."""
        if self._process is not None and self.running:
            self._process.terminate()

    def stop(self) -> None:
        """End it as a user would, and by force if that takes too long."""
        if self._process is None:
            return
        self.end()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        # Whatever it left behind.
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def wait_for(what: str, ready: Callable[[], T | None], seconds: float = 90.0, every: float = 0.25) -> T:
    """Look again and again until something is there, and return it.

    :param what: for the error.
    :param ready: function that returns it, or something that counts as nothing.
    :param seconds: how long to wait at most.
    :param every: seconds between looks.
    """
    end = time.monotonic() + seconds
    while True:
        if found := ready():
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {seconds:g} s")
        time.sleep(every)
