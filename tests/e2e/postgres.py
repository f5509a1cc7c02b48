"""A PostgreSQL server of the test's own, from Debian's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tests.e2e.processes import Service, as_user, free_port, wait_for

USER = "airflow"


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, of the newest version there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise SystemExit("PostgreSQL is not installed: run dev/install_e2e.sh, or apt-get install postgresql")
    return found[-1].parent


class Postgres:
    """A server on loopback with an empty database.

    :param folder: where its files go; it must not be there.
    :param logs: folder of its log.
    """

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder, self._logs = folder, logs
        self.port = free_port()
        #: Who it runs as, as it refuses to be root; ``None`` for whoever runs the test.
        self.user = "postgres" if os.geteuid() == 0 else None
        self._service: Service | None = None

    @property
    def url(self) -> str:
        """URL for SQLAlchemy."""
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/airflow"

    @property
    def services(self) -> list[Service]:
        """The server, if it was started."""
        return [self._service] if self._service is not None else []

    def start(self) -> None:
        """Make the cluster and the database, and start the server."""
        self._folder.mkdir(parents=True)
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        # Nothing here has to outlive the machine's power.
        options = f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={self.port} -c max_connections=200"
        command = [str(programs() / "postgres"), "-D", str(data), "-k", str(self._folder), *options.split()]
        self._service = Service("postgres", command, os.environ, self._logs, user=self.user)
        self._service.start()
        wait_for("PostgreSQL", self._answers, 60)
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "airflow")

    def stop(self) -> None:
        """Stop the server and remove its files."""
        if self._service is not None:
            self._service.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def query(self, text: str, *values: object) -> list[tuple[object, ...]]:
        """Ask Airflow's database something."""
        import psycopg2  # type: ignore[import-untyped]

        connection = psycopg2.connect(self.url.replace("+psycopg2", ""))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(text, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def _answers(self) -> bool:
        command = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [*as_user(self.user), str(programs() / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
