"""The command line of the sandbox."""

from __future__ import annotations

import argparse
import errno
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from airflow_provider_espo.sandbox.faults import Fault

EPILOG = "The URL is printed as soon as the sandbox listens. Stop it with Ctrl-C."


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    found = argparse.ArgumentParser(
        prog="python -m airflow_provider_espo.sandbox",
        description="A local EspoCRM to try and test with: answers the REST API as EspoCRM 10.0 does.",
        epilog=EPILOG,
    )
    found.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    found.add_argument("--port", type=port, default=8090, help="port; 0 for any free one (default: %(default)s)")
    found.add_argument("--database", default=":memory:", metavar="FILE", help="SQLite file (default: in memory)")
    found.add_argument(
        "--credentials-file",
        type=Path,
        metavar="FILE",
        help="write keys, passwords and ids there (default: print one API key)",
    )
    found.add_argument("--demo-data", action="store_true", help="fill in a small CRM; a demo user answers new leads")
    found.add_argument(
        "--answer-after", type=seconds, default=4.0, metavar="SECONDS", help="the demo user's delay (default: 4)"
    )
    found.add_argument(
        "--mail",
        choices=("none", "accept", "refuse"),
        default="none",
        help="e-mails that are sent: no mail server, all accepted, or all refused (default: %(default)s)",
    )
    found.add_argument(
        "--job-delay", type=seconds, default=2.0, metavar="SECONDS", help="until a background job is done (default: 2)"
    )
    found.add_argument(
        "--fill", action="append", default=[], type=fill_order, metavar="TYPE=COUNT", help="add synthetic records"
    )
    found.add_argument(
        "--latency", type=milliseconds, default=0.0, metavar="MS", help="milliseconds before every answer (default: 0)"
    )
    found.add_argument(
        "--costs",
        choices=("none", "measured"),
        default="none",
        help="simulated costs: answers take as long as a model has it that is fitted to a real server"
        " (default: %(default)s)",
    )
    found.add_argument(
        "--fault",
        action="append",
        default=[],
        type=fault,
        metavar="WHAT,...",
        help="let something go wrong, such as 504,path=/Lead,over=50 or drop,method=POST,carried_out,times=1",
    )
    add_webhook_arguments(found)
    found.add_argument("--request-log", type=Path, metavar="FILE", help="add a line of JSON for each request there")
    found.add_argument("--no-login-throttle", action="store_true", help="never block after failed logins")
    return found


def add_webhook_arguments(found: argparse.ArgumentParser) -> None:
    """Where webhooks may go, and how fast."""
    found.add_argument(
        "--webhooks-internal", action="store_true", help="let webhooks go to internal addresses, such as this machine's"
    )
    found.add_argument(
        "--webhook-delay",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="until a change is delivered to webhooks (default: 2)",
    )
    found.add_argument(
        "--webhook-retry-after",
        type=seconds,
        default=600.0,
        metavar="SECONDS",
        help="until a delivery that failed is tried again (default: 600)",
    )
    found.add_argument(
        "--webhook-retry-unreachable",
        action="store_true",
        help="try again where no connection came about, as EspoCRM before 10 does",
    )


def port(text: str) -> int:
    """A port number."""
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def seconds(text: str) -> float:
    """A delay."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def milliseconds(text: str) -> float:
    """A delay, in seconds."""
    try:
        return seconds(text) / 1000
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds") from None


def fault(text: str) -> Fault:
    """``504,path=/Lead,over=50``."""
    from airflow_provider_espo.sandbox.faults import Fault

    try:
        return Fault.parse(text)
    except (ValueError, re.error) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def fill_order(text: str) -> tuple[str, int]:
    """``Lead=60000``."""
    entity_type, _, count = text.partition("=")
    if not entity_type or not count.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form TYPE=COUNT")
    return entity_type, int(count)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until it is interrupted.

    :return: 0, or 2 if it cannot run with these arguments (the reason goes to stderr, on one line)
    """
    options = parser().parse_args(arguments)
    folder = options.credentials_file.parent if options.credentials_file else None
    if folder is not None and not folder.is_dir():
        return complain(f"the folder of the credentials file is not there: {folder}")
    from airflow_provider_espo.sandbox.costs import MODELS
    from airflow_provider_espo.sandbox.fixture import write_credentials
    from airflow_provider_espo.sandbox.request_log import RequestLog
    from airflow_provider_espo.sandbox.server import SandboxServer
    from airflow_provider_espo.sandbox.settings import Settings
    from airflow_provider_espo.sandbox.storage import StorageError

    try:
        request_log = RequestLog(options.request_log) if options.request_log else None
    except OSError as error:
        return complain(f"cannot write {options.request_log}: {reason_of(error)}")
    try:
        server = SandboxServer(
            host=options.host,
            port=options.port,
            database=options.database,
            throttle=not options.no_login_throttle,
            demo_data=options.demo_data,
            answer_after=options.answer_after,
            job_delay=options.job_delay,
            latency=options.latency,
            costs=MODELS.get(options.costs),
            faults=options.fault,
            webhook_delay=options.webhook_delay,
            request_log=request_log,
            settings=Settings(
                mail=options.mail,
                webhooks_internal=options.webhooks_internal,
                webhook_retry_after=options.webhook_retry_after,
                webhook_retry_unreachable=options.webhook_retry_unreachable,
            ),
        )
    except StorageError as error:
        return complain(str(error))
    except OSError as error:
        return complain(f"cannot listen on {options.host}:{options.port}: {reason_of(error)}")
    try:
        for entity_type, count in options.fill:
            server.fill(entity_type, count)
        if options.credentials_file:
            write_credentials(options.credentials_file, server.credentials)
    except (ValueError, OSError) as error:
        server.stop()
        return complain(str(error))
    # Who reads the URL may stop it at once.
    signal.signal(signal.SIGTERM, interrupt)
    try:
        print(server.url, flush=True)
        if not options.credentials_file:
            # Without the file this is the only way to learn a key.
            print(f"API key of the user airflow_key: {server.credentials['api_key']}", flush=True)
        server.run()
    except KeyboardInterrupt:
        server.stop()
    return 0


def interrupt(number: int, frame: FrameType | None) -> None:
    """End in the same orderly way as with Ctrl-C."""
    raise KeyboardInterrupt


def reason_of(error: OSError) -> str:
    """What the system says, in its own words."""
    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    return os.strerror(error.errno) if error.errno else str(error)


def complain(message: str) -> int:
    """Say on one line why it cannot run."""
    print(f"espo sandbox: {message}", file=sys.stderr)
    return 2
