"""A whole Airflow with the sandbox beside it: every part a process, as its users run it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.e2e.postgres import Postgres
from tests.e2e.processes import Service, free_port, wait_for
from tests.e2e.traffic import Traffic

ROOT = Path(__file__).resolve().parent.parent.parent
DAGS = Path(__file__).resolve().parent / "dags"

#: Leads that the CRM has from the beginning.
FILLED = 2000

PARTS = ("scheduler", "dag-processor", "triggerer", "api-server")


class Stack:
    """Airflow (scheduler, DAG processor, triggerer, API server, LocalExecutor on PostgreSQL) and the sandbox.

    :param folder: for everything that it writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.out = folder / "out"
        self.postgres = Postgres(Path("/tmp") / f"espo-e2e-{os.getpid()}", self.logs)
        self.api_port, self.crm_port, self.proxy_port = free_port(), free_port(), free_port()
        #: What the CRM was asked.
        self.traffic = Traffic(folder / "requests.ndjson")
        self.credentials: dict[str, Any] = {}
        self.services: dict[str, Service] = {}
        self._airflow = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)
        self._crm = httpx.Client(timeout=30.0, trust_env=False)

    @property
    def url(self) -> str:
        """Address of Airflow's API server."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def crm_url(self) -> str:
        """Address of the sandbox."""
        return f"http://127.0.0.1:{self.crm_port}"

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything, and wait until it answers."""
        for folder in (self.folder, self.logs, self.out, self.folder / "dags"):
            folder.mkdir(parents=True, exist_ok=True)
        for source in (*DAGS.glob("*.py"), *(ROOT / "example_dags").glob("on_*.py")):
            shutil.copy(source, self.folder / "dags" / source.name)
        self.start_crm()
        self.postgres.start()
        with (self.logs / "migrate.log").open("wb") as log:
            command = [sys.executable, "-m", "airflow", "db", "migrate"]
            subprocess.run(command, env=self.environment(), check=True, stdout=log, stderr=subprocess.STDOUT)
        for part in PARTS:
            command = [sys.executable, "-m", "airflow", part]
            if part == "api-server":
                command += ["--host", "127.0.0.1", "--port", str(self.api_port), "--workers", "1"]
            elif part in ("scheduler", "triggerer"):
                # Their servers of log files listen on all addresses, and cannot be told otherwise.
                command += ["--skip-serve-logs"]
            self.services[part] = Service(part, command, self.environment(), self.logs)
            self.services[part].start()
        self.wait_until_healthy()
        token = self._airflow.get("/auth/token").json()["access_token"]
        self._airflow.headers["Authorization"] = f"Bearer {token}"

    def groups(self) -> dict[int, str]:
        """Groups of processes of all parts, and the parts' names."""
        services = [*self.services.values(), *self.postgres.services]
        return {service.group: service.name for service in services}

    def restart(self, part: str) -> None:
        """Start a part anew that was killed."""
        self.services[part].start()

    def start_crm(self) -> None:
        """Start the sandbox on its port."""
        file = self.folder / "credentials.json"
        command = [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", str(self.crm_port)]
        command += ["--database", str(self.folder / "sandbox.db"), "--credentials-file", str(file)]
        command += ["--request-log", str(self.traffic.path), "--job-delay", "10", "--fill", f"Lead={FILLED}"]
        command += ["--webhooks-internal", "--webhook-delay", "1", "--webhook-retry-after", "8"]
        self.services["sandbox"] = Service("sandbox", command, self.plain_environment(), self.logs)
        self.services["sandbox"].start()
        wait_for("The sandbox", self._crm_answers, 60)
        self.credentials = json.loads(file.read_text(encoding="utf-8"))

    def stop(self) -> None:
        """Stop everything."""
        for service in self.services.values():
            service.end()
        for service in self.services.values():
            service.stop()
        self.postgres.stop()
        self._airflow.close()
        self._crm.close()

    def plain_environment(self) -> dict[str, str]:
        """Environment without Airflow's settings from outside, and without a proxy between."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ESPO_"))}
        return kept | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONPATH": str(ROOT)}

    def environment(self) -> dict[str, str]:
        """Environment of Airflow's parts."""
        secret = self.folder / "secret"
        if not secret.exists():
            secret.write_text(secrets.token_hex(32), encoding="ascii")
        key = secret.read_text(encoding="ascii")
        return self.plain_environment() | {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": key,
            "AIRFLOW__API_AUTH__JWT_SECRET": key,
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.postgres.url,
            "AIRFLOW__ESPO__WEBHOOK_RECEIVER_ENABLED": "True",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            # It counts the tenth of a second that it sleeps itself.
            "AIRFLOW__TRIGGERER__BLOCKED_MAIN_THREAD_WARNING_THRESHOLD": "0.15",
            # A triggerer that is gone is noticed, and its triggers go to the next one, after three seconds.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3",
            "AIRFLOW__TRIGGERER__CAPACITY": "1100",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW_CONN_ESPO_DEFAULT": json.dumps(
                {
                    "conn_type": "espo",
                    "host": "http://127.0.0.1",
                    "port": self.crm_port,
                    "password": self.credentials.get("api_key"),
                }
            ),
            "ESPO_E2E_CRM": self.crm_url,
            "ESPO_E2E_OUT": str(self.out),
        }

    # -- Airflow -----------------------------------------------------------------------------------------------------

    def api(self, method: str, path: str, **options: Any) -> Any:
        """Ask Airflow's REST API, and return its answer."""
        answer = self._airflow.request(method, f"/api/v2/{path}", **options)
        assert answer.status_code < 400, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def unpause(self, dag_id: str) -> None:
        """Wait until Airflow knows a DAG, and switch it on."""

        def known() -> bool:
            return self._airflow.get(f"/api/v2/dags/{dag_id}").status_code == 200

        wait_for(f"The DAG {dag_id}", known, 120)
        self.api("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Switch a DAG off."""
        self.api("PATCH", f"dags/{dag_id}", json={"is_paused": True})

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run, and return its id."""
        run = self.api("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        run_id: str = run["dag_run_id"]
        return run_id

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a DAG, the oldest first."""
        found: list[dict[str, Any]] = self.api(
            "GET", f"dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "id"}
        )["dag_runs"]
        return found

    def finished(self, dag_id: str, run_id: str, seconds: float = 180.0) -> str:
        """Wait until a run is over, and return its state."""

        def over() -> str | None:
            state: str = self.api("GET", f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")["state"]
            return state if state in ("success", "failed") else None

        return wait_for(f"The end of {dag_id}", over, seconds)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        found: list[dict[str, Any]] = self.api("GET", path, params={"limit": 100})["task_instances"]
        return found

    def state_of(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """State of a task that is not mapped."""
        return next((one["state"] for one in self.tasks(dag_id, run_id) if one["task_id"] == task_id), None)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def places(self, assets: str) -> int:
        """Count places that watchers keep.

        :param assets: names of their assets, as a ``like`` pattern.
        """
        text = "select count(*) from asset_state_store s join asset a on a.id = s.asset_id where a.name like %s"
        ((count,),) = self.postgres.query(text, assets)
        return int(str(count))

    def asset_events(self, name: str) -> list[dict[str, Any]]:
        """Events of an asset, the oldest first, with their payloads."""
        rows = self.postgres.query(
            "select e.id, e.extra, e.timestamp from asset_event e join asset a on a.id = e.asset_id"
            " where a.name = %s order by e.id",
            name,
        )
        return [{"id": number, "extra": _as_json(extra), "timestamp": moment} for number, extra, moment in rows]

    # -- EspoCRM -----------------------------------------------------------------------------------------------------

    def crm(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Ask the sandbox, as its administrator."""
        answer = self._crm.request(
            method,
            f"{self.crm_url}/api/v1/{path}",
            json=body,
            params={name: json.dumps(value) for name, value in params.items()} or None,
            headers={"X-Api-Key": self.credentials["api_key"], "X-Skip-Duplicate-Check": "true"},
        )
        assert answer.status_code == 200, (method, path, answer.status_code, answer.headers.get("x-status-reason"))
        return answer.json()

    def new_lead(self, **attributes: Any) -> str:
        """Make a lead, and return its id."""
        lead_id: str = self.crm("POST", "Lead", {"lastName": f"Roe {time.time_ns()}", **attributes})["id"]
        return lead_id

    def new_post(self, lead_id: str, text: str) -> str:
        """Write in a lead's stream, and return the note's id."""
        post = {"type": "Post", "post": text, "parentType": "Lead", "parentId": lead_id}
        note_id: str = self.crm("POST", "Note", post)["id"]
        return note_id

    # -- looking -----------------------------------------------------------------------------------------------------

    def wait_until_healthy(self) -> None:
        """Wait until all parts of Airflow say that they are well."""
        wait_for("Airflow", self._is_healthy, 180)

    def is_up(self) -> bool:
        """Whether the API server answers."""
        try:
            return self._airflow.get("/api/v2/version").status_code == 200
        except httpx.TransportError:
            return False

    def _is_healthy(self) -> bool:
        self._refuse_dead()
        try:
            answer = self._airflow.get("/api/v2/monitor/health")
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        health: Mapping[str, Mapping[str, Any]] = answer.json()
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor", "triggerer"))

    def _crm_answers(self) -> bool:
        self._refuse_dead()
        try:
            return self._crm.get(f"{self.crm_url}/api/v1/").status_code > 0
        except httpx.TransportError:
            return False

    def _refuse_dead(self) -> None:
        for service in self.services.values():
            if not service.running:
                text = service.log.read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"{service.name} ended:\n{text[-3000:]}")


def _as_json(value: object) -> Any:
    return json.loads(value) if isinstance(value, str) else value
