from __future__ import annotations

import errno
import io
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox import server
from airflow_provider_espo.sandbox.cli import main


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the program says when it cannot run: one line, status 2, no traceback."""
    try:
        status = main(arguments)
    except SystemExit as exit_:
        status = int(str(exit_.code))
    assert status == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert (
            complaint(capsys, "--port", port) == f"espo sandbox: cannot listen on 127.0.0.1:{port}: the port is in use"
        )


def test_database_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database\n" * 200)
    message = complaint(capsys, "--port", "0", "--database", str(file))
    assert message.startswith(f"espo sandbox: cannot use database {file}: ")


def test_folder_of_the_credentials_file_is_absent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = complaint(capsys, "--port", "0", "--credentials-file", str(tmp_path / "no" / "c.json"))
    assert message == f"espo sandbox: the folder of the credentials file is not there: {tmp_path / 'no'}"


def test_credentials_file_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert str(tmp_path) in complaint(capsys, "--port", "0", "--credentials-file", str(tmp_path))


def test_request_log_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = complaint(capsys, "--port", "0", "--request-log", str(tmp_path))
    assert message.startswith(f"espo sandbox: cannot write {tmp_path}: ")


def test_unknown_type_to_fill(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "--port", "0", "--fill", "Nope=3").endswith("cannot fill 'Nope': no such entity type")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "'70000' is not a port (0 to 65535)"),
        (["--port", "http"], "'http' is not a port (0 to 65535)"),
        (["--fill", "Lead"], "'Lead' is not of the form TYPE=COUNT"),
        (["--fill", "Lead=many"], "'Lead=many' is not of the form TYPE=COUNT"),
        (["--answer-after", "-1"], "'-1' is not a number of seconds"),
        (["--answer-after", "soon"], "'soon' is not a number of seconds"),
        (["--job-delay", "-1"], "'-1' is not a number of seconds"),
        (["--answer-after", "nan"], "'nan' is not a number of seconds"),
        (["--latency", "slow"], "'slow' is not a number of milliseconds"),
        (["--fault", "explode"], "'explode': 'explode' is no fault: give a status from 400 to 599, drop, cut or hang"),
        (["--fault", "504,path=("], "'504,path=(': missing ), unterminated subpattern at position 0"),
        (["--verbose"], "unrecognized arguments: --verbose"),
    ],
)
def test_bad_argument_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert complaint(capsys, *arguments).endswith(message)


def test_host_that_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    message = complaint(capsys, "--host", "192.0.2.1", "--port", "0")
    assert message.startswith("espo sandbox: cannot listen on 192.0.2.1:0: ")


def test_delays_are_those_of_the_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def refuse(**options: Any) -> None:
        seen.update(options)
        raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(server, "SandboxServer", refuse)
    complaint(capsys, "--job-delay", "0.5", "--answer-after", "7")
    assert (seen["job_delay"], seen["answer_after"]) == (0.5, 7)


def test_what_webhooks_may_and_how_fast_is_chosen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []

    def refuse(**options: Any) -> None:
        chosen = options["settings"]
        flags = (chosen.webhooks_internal, chosen.webhook_retry_unreachable)
        seen.append((options["webhook_delay"], chosen.webhook_retry_after, *flags))
        raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(server, "SandboxServer", refuse)
    complaint(capsys)
    given = ["--webhook-delay", "0.5", "--webhook-retry-after", "3"]
    complaint(capsys, *given, "--webhooks-internal", "--webhook-retry-unreachable")
    assert seen == [(2, 600, False, False), (0.5, 3, True, True)]


@pytest.mark.parametrize("mail", ["none", "accept", "refuse"])
def test_what_becomes_of_mail_is_chosen(monkeypatch: pytest.MonkeyPatch, mail: str) -> None:
    served = []

    def run(self: server.SandboxServer) -> None:
        served.append(self.sandbox.storage.settings.mail)
        self.stop()

    monkeypatch.setattr(server.SandboxServer, "run", run)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["--port", "0", "--mail", mail]) == 0
    assert served == [mail]


def test_who_reads_the_url_may_stop_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("it was not ready to be stopped"))

    class Reader(io.StringIO):
        def write(self, text: str) -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Reader())
    try:
        assert main(["--port", "0"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
