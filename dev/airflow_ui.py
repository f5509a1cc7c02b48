"""``make airflow``: a whole local Airflow with the sandbox behind it, to look at in a browser. Ctrl-C ends both."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

from dev.local import WORK, airflow_environment, migrate, run_airflow, sandbox

_SANDBOX_PORT = 8090


def main() -> int:
    """Run until interrupted; return the exit status."""
    WORK.mkdir(exist_ok=True)
    # Ended from outside is ended as by Ctrl-C: nothing that was started here is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = WORK / "airflow.log"
    environment = airflow_environment()
    migrate(environment, log)
    with sandbox(port=_SANDBOX_PORT, database=str(WORK / "sandbox.db")) as crm:
        # Kept in Airflow's database and not in the environment, so that it stands in Admin -> Connections.
        run_airflow(["connections", "delete", "espo_default"], environment, log)
        added = run_airflow(["connections", "add", "espo_default", "--conn-json", crm.connection], environment, log)
        if added.returncode:
            raise SystemExit(f"The connection could not be added; see {log}")
        sys.stdout.write(
            f"EspoCRM sandbox at {crm.url}, connection espo_default, log in {log}\n"
            "Airflow at http://localhost:8080 in half a minute, no password. Ctrl-C ends both.\n"
        )
        sys.stdout.flush()
        process = subprocess.Popen([sys.executable, "-m", "airflow", "standalone"], env=environment)
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
        # Only an interrupt makes it end the processes it started.
        with contextlib.suppress(KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
