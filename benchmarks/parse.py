"""How long Airflow needs for a DAG file with very many of the provider's operators, in a fresh interpreter.

The same file with Airflow's ``EmptyOperator`` tells what of it is Airflow's own. The time is that of running the file
(``airflow.sdk`` is loaded before, as in Airflow's DAG processor) and of making the DAG's JSON form.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

from benchmarks.site import quiet

CODE = """
import json, sys, time
import airflow.sdk
from airflow.serialization.serialized_objects import DagSerialization
airflow.sdk.DAG, airflow.sdk.BaseOperator, airflow.sdk.BaseSensorOperator
code = compile(sys.stdin.read(), "many.py", "exec")
names = {}
started = time.perf_counter()
exec(code, names)
parsed = time.perf_counter()
DagSerialization.to_dict(names["dag"])
print(json.dumps([parsed - started, time.perf_counter() - parsed]))
"""

OURS = """
from airflow.sdk import DAG
from airflow_provider_espo.operators.record import (
    EspoCreateRecordOperator, EspoListRecordsOperator, EspoUpsertRecordOperator
)
from airflow_provider_espo.sensors.record import EspoRecordSensor
from airflow_provider_espo.where import equals

with DAG("many", schedule=None) as dag:
    for n in range({count} // 4):
        EspoCreateRecordOperator(task_id=f"create_{{n}}", entity_type="Lead", attributes={{"lastName": "{{{{ ds }}}}"}})
        EspoUpsertRecordOperator(
            task_id=f"upsert_{{n}}", entity_type="Lead", match_by=["emailAddress"],
            attributes={{"emailAddress": f"a{{n}}@example.org", "lastName": "A"}},
        )
        EspoListRecordsOperator(
            task_id=f"list_{{n}}", entity_type="Lead", where=[equals("status", "New")], select=["name"], limit=10
        )
        EspoRecordSensor(task_id=f"wait_{{n}}", entity_type="Lead", where=[equals("status", "New")], deferrable=True)
"""

EMPTY = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("many", schedule=None) as dag:
    for n in range({count}):
        EmptyOperator(task_id=f"empty_{{n}}")
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--operators", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    figures = {"operators": given.operators}
    for name, source in (("ours", OURS), ("empty", EMPTY)):
        runs = [timed(source.format(count=given.operators)) for _ in range(given.runs)]
        parsing, serializing = (statistics.median(times) * 1000 for times in zip(*runs, strict=True))
        figures |= {f"{name}_parse_ms": parsing, f"{name}_serialize_ms": serializing}
    print(json.dumps(figures))
    return 0


def timed(source: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", CODE], input=source, capture_output=True, text=True, check=True, env=quiet()
    )
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


if __name__ == "__main__":
    raise SystemExit(main())
