"""Very many waiting sensors in one triggerer process: their triggers on one event loop, against the sandbox.

Half wait for records, half for the state of one record; nothing that they wait for happens. Measured are how late the
loop is (a task that wants to run every 10 ms), the requests, and the CPU of this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from typing import Any

import httpx

from airflow_provider_espo.triggers.base import EspoPollTrigger
from airflow_provider_espo.triggers.record import EspoRecordStateTrigger, EspoRecordTrigger
from benchmarks.site import Site

TICK = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--credentials", required=True)
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--poll-interval", type=float, default=30)
    given = parser.parse_args()
    site = Site.from_file(given.credentials)
    os.environ["AIRFLOW_CONN_ESPO_DEFAULT"] = site.connection()
    answer = httpx.get(f"{site.api}/Lead", params={"maxSize": 1}, headers=site.headers, timeout=60)
    record_id = answer.json()["list"][0]["id"]
    print(json.dumps(asyncio.run(measure(given.sensors, given.seconds, given.poll_interval, record_id))))
    return 0


def trigger(number: int, interval: float, record_id: str) -> EspoPollTrigger:
    common: dict[str, Any] = {"espo_conn_id": "espo_default", "entity_type": "Lead", "poll_interval": interval}
    if number % 2:
        return EspoRecordStateTrigger(**common, record_id=record_id, expected={"status": "Nobody has this status"})
    where = [{"type": "equals", "attribute": "lastName", "value": f"Nobody {number}"}]
    return EspoRecordTrigger(**common, where=where)


async def measure(sensors: int, seconds: float, interval: float, record_id: str) -> dict[str, Any]:
    counted = {"requests": 0}
    count_requests(counted)
    # As Airflow's triggerer: all that wait are started one after the other, each as a task of its own.
    started, cpu = time.perf_counter(), time.process_time()
    watching = asyncio.ensure_future(delays(min(10.0, seconds / 4)))
    waiting = []
    for number in range(sensors):
        waiting.append(asyncio.ensure_future(first_event(trigger(number, interval, record_id))))
        await asyncio.sleep(0)
    beginning = await watching
    steady = await delays(seconds - (time.perf_counter() - started))
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    ended = [task for task in waiting if task.done()]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    if ended:
        raise RuntimeError(f"{len(ended)} sensors did not wait: {ended[0]!r}")
    return {
        "sensors": sensors,
        "seconds": took,
        "poll_interval": interval,
        "requests": counted["requests"],
        "requests_per_minute": counted["requests"] / took * 60,
        "start_delay_ms": figures(beginning),
        "delay_ms": figures(steady),
        "cpu_share": cpu / took,
    }


async def first_event(waiting: EspoPollTrigger) -> Any:
    async for event in waiting.run():
        return event
    return None


async def delays(seconds: float) -> list[float]:
    """How late a task is that wants to run every 10 ms."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        await asyncio.sleep(TICK)
        found.append(time.perf_counter() - now - TICK)
    return found


def figures(found: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(found, n=100)
    return {"median": cut[49] * 1000, "p99": cut[98] * 1000, "max": max(found) * 1000}


def count_requests(counted: dict[str, int]) -> None:
    real = httpx.AsyncClient.send

    async def send(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        counted["requests"] += 1
        return await real(client, request, **options)

    httpx.AsyncClient.send = send  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    raise SystemExit(main())
