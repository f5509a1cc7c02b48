from __future__ import annotations

import json
from pathlib import Path

import requests

from airflow_provider_espo.sandbox.request_log import RequestLog
from airflow_provider_espo.sandbox.server import SandboxServer


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_request_is_a_line_by_the_time_it_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "requests.ndjson"
    with SandboxServer(request_log=RequestLog(file)) as server:
        api_key = server.credentials["api_key"]
        headers = {"X-Api-Key": api_key}
        search = json.dumps({"where": [{"type": "equals", "attribute": "source", "value": "Web Site"}]})
        requests.get(f"{server.url}/api/v1/Lead", {"searchParams": search}, headers=headers, timeout=10)
        requests.delete(f"{server.url}/api/v1/Lead/none", headers=headers, timeout=10)
        first, second = lines_of(file)
    assert (first["method"], first["path"], first["status"]) == ("GET", "/Lead", 200)
    assert first["query"] == f"searchParams={search}"
    assert (second["method"], second["path"], second["query"], second["status"]) == ("DELETE", "/Lead/none", "", 404)
    assert api_key not in file.read_text(encoding="utf-8")


def test_a_log_that_is_there_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "requests.ndjson"
    for _ in range(2):
        with SandboxServer(request_log=RequestLog(file)) as server:
            requests.get(f"{server.url}/api/v1/App/user", timeout=10)
    assert [line["status"] for line in lines_of(file)] == [401, 401]
