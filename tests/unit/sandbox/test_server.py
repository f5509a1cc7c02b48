from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from airflow_provider_espo.sandbox.server import SandboxServer


def test_server_answers_as_soon_as_it_is_started_and_ends_with_its_block() -> None:
    # a server of other tests may be there all the time
    before = set(threading.enumerate())
    with SandboxServer(demo_data=True, answer_after=0) as server:
        headers = {"X-Api-Key": server.credentials["api_key"]}
        about = requests.get(f"{server.url}/api/v1/App/about", headers=headers, timeout=10)
        assert about.json()["version"] == "10.0.0"
        assert requests.get(server.url, timeout=10).status_code == 200
        url = server.url
    started = set(threading.enumerate()) - before
    assert not [thread for thread in started if thread.name.startswith("espo-sandbox")]
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=2)


def test_field_and_records_are_added_while_it_runs() -> None:
    with SandboxServer() as server:
        server.add_field("Lead", "cScore", "int")
        server.fill("Lead", 10)
        response = requests.get(
            f"{server.url}/api/v1/Lead",
            params={"select": "cScore", "maxSize": "1"},
            headers={"X-Api-Key": server.credentials["api_key"]},
            timeout=10,
        )
        assert response.json()["total"] == 10
        assert "cScore" in response.json()["list"][0]


def test_credentials_have_what_a_client_needs() -> None:
    with SandboxServer() as server:
        assert server.credentials["base_url"] == server.url
        keys = {"api_key", "limited_api_key", "hmac_api_key", "hmac_secret_key", "admin_password", "sales_password"}
        assert keys < server.credentials.keys()


def test_two_servers_do_not_share_anything() -> None:
    with SandboxServer() as one, SandboxServer() as two:
        assert one.url != two.url
        assert one.credentials["api_key"] != two.credentials["api_key"]
        headers = {"X-Api-Key": one.credentials["api_key"]}
        assert requests.get(f"{two.url}/api/v1/App/about", headers=headers, timeout=10).status_code == 401


def test_stopping_twice_is_nothing() -> None:
    server = SandboxServer().start()
    server.stop()
    server.stop()


def test_server_that_was_never_started_can_be_stopped() -> None:
    SandboxServer().stop()


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, airflow_provider_espo.sandbox\n"
        "print([m for m in ('starlette', 'uvicorn', 'sqlite3', 'msgspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sandbox_imports_nothing_of_the_rest_of_the_package() -> None:
    code = (
        "import sys, airflow_provider_espo.sandbox.server, airflow_provider_espo.sandbox.cli\n"
        "own = [m for m in sys.modules if m.startswith('airflow_provider_espo.')]\n"
        "print([m for m in own if not m.startswith('airflow_provider_espo.sandbox')], 'airflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


def test_program_prints_its_url_writes_credentials_and_ends_on_request(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    arguments = [
        "--port",
        "0",
        "--credentials-file",
        str(file),
        "--fill",
        "Lead=20",
        "--database",
        str(tmp_path / "a.db"),
    ]
    program = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_espo.sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        credentials = json.loads(file.read_text())
        assert credentials["base_url"] == url
        assert file.stat().st_mode & 0o077 == 0
        headers = {"X-Api-Key": credentials["api_key"]}
        assert requests.get(f"{url}/api/v1/Lead", headers=headers, timeout=10).json()["total"] == 20
    finally:
        program.terminate()
        _, errors = program.communicate(timeout=20)
    assert program.returncode == 0
    assert errors == ""


def test_background_jobs_are_done_while_it_runs() -> None:
    done = threading.Event()
    with SandboxServer(job_delay=0) as server:
        server.sandbox.jobs.register("probe", lambda job, checkpoint: done.set())
        server.sandbox.jobs.add("probe", "nobody", {})
        assert done.wait(20)


def test_without_a_credentials_file_the_program_says_a_key_that_works() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        label, _, key = program.stdout.readline().strip().rpartition(" ")
        assert label == "API key of the user airflow_key:"
        assert requests.get(f"{url}/api/v1/Lead", headers={"X-Api-Key": key}, timeout=10).status_code == 200
    finally:
        program.terminate()
        program.communicate(timeout=20)


@pytest.mark.parametrize("helper", ["jobs", "webhooks", "demo-user"])
def test_a_sandbox_that_is_interrupted_just_as_a_thread_is_to_start_ends_in_order(
    monkeypatch: pytest.MonkeyPatch, helper: str
) -> None:
    start, asked = threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        asked.append(thread.name)
        if thread.name == f"espo-sandbox-{helper}":
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    server = SandboxServer(demo_data=True)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    server.stop()
    assert asked[-1] == f"espo-sandbox-{helper}"
