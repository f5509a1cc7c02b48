"""Tries in processes of their own, which end by ``SIGKILL`` in the middle of a request.

To start Airflow takes a second. So one helper process has all imported and waits; for each try it forks, and what it
forks runs the task. Run as ``python -m tests.repeat.processes FOLDER``; orders and answers are lines of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from tests.repeat.harness import Run, Wire, one_try
from tests.repeat.scenarios import BY_TITLE


class Processes:
    """The helper, seen from the test.

    :param folder: folder for what tries leave behind.
    :param connections: the Airflow connections, as variables of the environment.
    """

    def __init__(self, folder: Path, connections: Mapping[str, str]) -> None:
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.repeat.processes", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **connections},
        )
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        self._orders: IO[str] = self._helper.stdin
        self._answers: IO[str] = self._helper.stdout

    def one_try(self, title: str, run: Run, number: int, at: int | None = None, *, answered: bool = False) -> Any:
        """Run a try in a process.

        :param title: the scenario's title.
        :param number: number of the try.
        :param at: number of the request at which the process is killed.
        :param answered: whether the CRM answers that request before.
        :return: ``{"signal", "sent", "result"}``: the signal that ended the process, or ``None``; the requests; the
            task's result.
        """
        order = {"title": title, "tag": run.tag, "folder": str(run.folder), "made": run.made}
        self._orders.write(json.dumps({**order, "number": number, "at": at, "answered": answered}) + "\n")
        self._orders.flush()
        line = self._answers.readline()
        assert line, "the helper has ended"
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()
        self._helper.wait(30)
        self._answers.close()


def kill_this_process() -> None:
    """End at once, with nothing cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def serve(folder: Path) -> None:
    """Fork for each order, wait, and answer."""
    said = folder / "said.json"
    for line in sys.stdin:
        said.write_text("{}", encoding="utf-8")
        child = os.fork()
        if not child:
            _play(json.loads(line), said)
        _, status = os.waitpid(child, 0)
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        if ended_by is None:
            assert os.waitstatus_to_exitcode(status) == 0, "the task failed"
        print(json.dumps({"signal": ended_by, **json.loads(said.read_text(encoding="utf-8"))}), flush=True)


def _play(order: Mapping[str, Any], said: Path) -> None:
    code = 1
    try:
        # Where the answers go, nothing else may be written.
        os.dup2(2, 1)
        wire = Wire(order["at"], answered=order["answered"], die=kill_this_process)
        run = Run(order["tag"], Path(order["folder"]), order["made"])
        result = one_try(BY_TITLE[order["title"]], run, order["number"], wire)
        said.write_text(json.dumps({"result": result, "sent": wire.sent}), encoding="utf-8")
        code = 0
    except BaseException as error:
        print(f"{order['title']}: {error!r}", file=sys.stderr, flush=True)
    os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
