"""Mapped conversion of many leads, some answers lost, on the sandbox: ``python benchmarks/convert.py``.

Each lead is a task instance of its own; eight run at a time, as on a worker. Of every fifth lead the conversion's
answer gets lost, and of every seventh the request; those tasks are tried again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

TYPES = ("Account", "Contact", "Opportunity")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        credentials_file = Path(folder) / "credentials.json"
        command = [sys.executable, "-m", "airflow_provider_espo.sandbox", "--port", "0", "--database", ":memory:"]
        command += ["--credentials-file", str(credentials_file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout is None or not process.stdout.readline():
                    print("the sandbox did not start")
                    return 1
                return measure(json.loads(credentials_file.read_text(encoding="utf-8")), arguments.leads)
            finally:
                process.terminate()


def measure(credentials: dict[str, str], count: int) -> int:
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = json.dumps(
        {"conn_type": "espo", "host": credentials["base_url"], "password": credentials["api_key"]}
    )
    from airflow_provider_espo.hooks.espo import EspoHook

    with EspoHook() as hook:
        rows = [
            {"lastName": f"L{n}", "accountName": f"Company {n // 2}", "emailAddress": f"l{n}@x.example"}
            for n in range(count)
        ]
        ids = [str(one["id"]) for one in hook.write_many("Lead", rows, operation="create")]
        lose_some(ids)
        started = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            retried = sum(pool.map(lambda lead_id: copy_context().run(convert, lead_id), ids))
        took = time.perf_counter() - started
        leads = [hook.get_record("Lead", lead_id) for lead_id in ids]
        made = {name: hook.count_records(name) for name in TYPES}
    left = sum(lead["status"] != "Converted" for lead in leads)
    named = {name: len({lead[f"created{name}Id"] for lead in leads}) for name in TYPES}
    print(
        f"{count} leads in {took:.1f} s ({count / took:.0f} a second), {retried} tried again, {left} left; made {made}"
    )
    return 0 if not left and set(made.values()) == {count} and set(named.values()) == {count} else 1


def convert(lead_id: str) -> bool:
    """Convert a lead as a worker does; return whether it took a second try."""
    from airflow_provider_espo.exceptions import EspoError
    from airflow_provider_espo.operators.lead import EspoConvertLeadOperator
    from tests.unit.running import Store, TaskInstance, run_task

    opportunity = {"name": "First order", "amount": 1, "amountCurrency": "USD", "closeDate": "2031-02-01"}
    task = EspoConvertLeadOperator(
        task_id="convert",
        lead_id=lead_id,
        records={"Account": {}, "Contact": {}, "Opportunity": opportunity},
        on_duplicate="force",
        retries=1,
    )
    store = Store()
    try:
        run_task(task, store=store)
    except EspoError:
        run_task(task, store=store, ti=TaskInstance(try_number=2, max_tries=1))
        return True
    return False


def lose_some(ids: list[str]) -> None:
    """Let the connection break once, for some leads after and for some before their conversion."""
    import requests

    real = requests.Session.send
    waiting = {lead_id: n for n, lead_id in enumerate(ids) if n % 5 == 0 or n % 7 == 0}
    lock = threading.Lock()

    def send(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        number = None
        if str(request.url).endswith("Lead/action/convert"):
            with lock:
                number = waiting.pop(json.loads(request.body or b"")["id"], None)
        if number is not None and number % 5:
            raise requests.ConnectionError("for the benchmark")
        response = real(session, request, **options)
        if number is not None:
            raise requests.ConnectionError("for the benchmark")
        return response

    requests.Session.send = send  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    raise SystemExit(main())
