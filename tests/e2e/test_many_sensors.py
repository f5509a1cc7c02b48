"""A thousand deferred sensors in one triggerer, whose event loop goes on."""

from __future__ import annotations

import json
import os
import re
import time

from tests.e2e.dags.waiting import DAGS_OF_TWENTY
from tests.e2e.processes import wait_for
from tests.e2e.stack import Stack

SENSORS = DAGS_OF_TWENTY * 20
SECONDS = float(os.environ.get("ESPO_E2E_SENSORS_SECONDS", "60"))

#: Seconds that the loop may be blocked.
BOUND = 0.05

#: What a worker does not write, and sensors that begin in the triggerer have in their DAG.
_BEGIN_IN_TRIGGERER, _DEFERRED_BY_A_WORKER = '"start_from_trigger": true', '"start_from_trigger": false'

_IN_A_TRIGGERER = """
select count(*) from task_instance i join trigger t on t.id = i.trigger_id
where i.dag_id like %s and i.state = 'deferred' and t.triggerer_id is not null
"""


def test_a_thousand_sensors_do_not_block_the_event_loop(stack: Stack) -> None:
    began = time.time()
    stack.unpause("probe")
    probe = stack.trigger("probe")
    for number in range(DAGS_OF_TWENTY):
        stack.trigger(f"twenty_{number}")
    wait_for("Thousand triggers", lambda: _waiting(stack) == SENSORS, 240, every=1)
    wait_for("A look of each", lambda: _looked(stack, began) == SENSORS, 120, every=1)

    restarted = _restart_as_if_workers_had_deferred_them(stack)
    wait_for("A look of each after a restart", lambda: _looked(stack, restarted) == SENSORS, 120, every=1)
    settled = time.time()
    log_so_far = stack.services["triggerer"].log.stat().st_size

    time.sleep(SECONDS)

    still = _waiting(stack)
    (stack.out / "loop.stop").touch()
    assert still == SENSORS
    asked = stack.traffic.since(settled)
    assert {one.status for one in asked} == {200}
    log = stack.services["triggerer"].log.read_bytes()[log_so_far:].decode(errors="replace")
    assert [line for line in log.splitlines() if re.search(r"Traceback|\[error|\[critical", line)] == []
    seconds = [json.loads(line) for line in (stack.out / "loop.ndjson").read_text(encoding="utf-8").splitlines()]
    starting = max(one["blocked"] for one in seconds if one["at"] < settled)
    steady = [one for one in seconds if one["at"] >= settled]
    blocked, late = max(one["blocked"] for one in steady), max(one["late"] for one in steady)
    collected = max(one["collected"] for one in steady)
    print(f"\n{SENSORS} sensors for {SECONDS:.0f} s, {len(asked)} requests")
    for what, seconds_of_it in (
        ("event loop blocked", blocked),
        ("held by garbage collection", collected),
        ("late for any reason", late),
        ("blocked while the sensors began", starting),
    ):
        print(f"{what}: {seconds_of_it * 1000:.0f} ms at worst")
    print(f"Airflow's own word: {log.count('was blocked')}")
    assert blocked <= BOUND, (stack.out / "loop.held.txt").read_text(encoding="utf-8")[-5000:]
    assert stack.finished("probe", probe) == "success"


def _waiting(stack: Stack) -> int:
    ((count,),) = stack.postgres.query(_IN_A_TRIGGERER, "twenty%")
    return int(str(count))


def _restart_as_if_workers_had_deferred_them(stack: Stack) -> float:
    """Kill the triggerer and start it on sensors that do not seem to have begun in it; return the moment.

    Airflow hands it a copy of the DAG with each sensor that did, and a thousand copies of DAGs are not what a thousand
    deferred sensors bring with them.
    """
    changed = stack.postgres.query(
        "update serialized_dag set data = replace(data::text, %s, %s)::jsonb where dag_id like %s returning dag_id",
        _BEGIN_IN_TRIGGERER,
        _DEFERRED_BY_A_WORKER,
        "twenty%",
    )
    assert len(changed) == DAGS_OF_TWENTY
    stack.services["triggerer"].kill()
    moment = time.time()
    stack.restart("triggerer")
    wait_for("The triggers", lambda: _waiting(stack) == SENSORS, 120, every=1)
    return moment


def _looked(stack: Stack, since: float) -> int:
    """How many of the sensors asked the CRM."""
    asked = stack.traffic.since(since)
    return len({name for one in asked for name in re.findall(r"(?:Nobody|Nothing) \d+", one.query)})
