"""The parts of a run, and the bounds."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Row, at_least, at_most
from benchmarks.site import ROOT, Stock, quiet, real_site, result_of, run, sandbox, start

Found = tuple[list[Row], dict[str, Any]]

#: Bounds of the issue's table.
FASTER, LIMIT, DEPTH, CPU_MS, MEMORY_MB, BULK = 19.0, 1.15, 1.1, 3.5, 10.0, 5.0
#: The bound on the ratio to the usual client is about this many records: its pages cost more the deeper they are.
RECORDS_OF_BOUND = 100_000
OTHERS = ("naive", "dlt_rest", "espocrm_client", "http_operator", "http_operator_by_id")
NAMES = {
    "espo": "EspoToObjectStorageOperator",
    "espo_full": "EspoToObjectStorageOperator, all attributes",
    "espo_engine": "its extraction alone",
    "naive": "usual client (offset, requests)",
    "dlt_rest": "dlt RESTClient (OffsetPaginator)",
    "espocrm_client": "espocrm-client 0.2.1",
    "http_operator": "HttpOperator (offset)",
    "http_operator_by_id": "HttpOperator (by id, hand-made)",
    "replay": "practical limit",
}
BULK_LEADS = 1000
REAL = "real server"


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    :param folder: for files that the parts share
    """

    stock: Stock
    folder: Path
    records: int
    latency_records: int
    memory_records: int
    workers: int
    latency: float
    write: bool
    entity: str

    @property
    def latency_argument(self) -> tuple[str, ...]:
        return ("--latency", f"{self.latency:g}")


def loading(plan: Plan) -> Found:
    """Imports and DAG files."""
    parse = run("parse")
    imports = script("import_time.py")
    median = re.search(r"median ([0-9.]+) ms", imports.stdout)
    count = parse["operators"]
    shown = f"{parse['ours_parse_ms']:.0f} ms, made JSON in {parse['ours_serialize_ms']:.0f} ms"
    empty = f"{parse['empty_parse_ms']:.0f} ms, {parse['empty_serialize_ms']:.0f} ms"
    rows = [
        Row(
            "",
            "import of all that a DAG file may import",
            f"{median[1] if median else '?'} ms",
            "<= 25 ms",
            ok(imports),
        ),
        Row("", f"DAG file with {count} operators", shown),
        Row("", f"the same with {count} EmptyOperators", empty),
    ]
    return rows, parse


def existing(plan: Plan) -> Found:
    """The older benchmarks of single parts, each with its own bound."""
    rows = []
    for name, what in (
        ("listing.py", "60,000 records by the hook's iterator"),
        ("files.py", "100 MB up and down"),
        ("convert.py", "200 leads converted, answers lost"),
    ):
        done = script(name)
        lines = [line for line in done.stdout.splitlines() if "memory" in line or "tried again" in line]
        rows.append(Row("sandbox", what, shortened(lines[-1] if lines else "?"), "its own", ok(done)))
    return rows, {}


def latency(plan: Plan) -> Found:
    """Against the sandbox behind a network's latency."""
    where = f"sandbox, {plan.latency:g} ms"
    count = plan.latency_records
    with sandbox(*plan.latency_argument, database=plan.stock.copy(plan.records)) as site:
        pairs = [pair(plan, site, "Lead") for _ in range(5)]
        full = extracted(plan, site, "espo_full")
        depth = run("depth", "--credentials", str(site), "--rounds", "15")
    best = min(pairs, key=lambda one: one[0]["seconds"])[0]
    ratio = statistics.median(ours["seconds"] / limit["seconds"] for ours, limit in pairs)
    cpu = statistics.median([cpu_ms(ours) for ours, _ in pairs])
    times: dict[str, Any] = {}
    with sandbox(*plan.latency_argument, database=plan.stock.copy(count)) as site:
        for client in ("espo", *OTHERS):
            times[client] = extracted(plan, site, client)
    rows = [
        Row(where, f"{plan.records:,} records to NDJSON", f"{best['seconds']:.1f} s"),
        limited(where, "time over the practical limit's, median of 5", ratio, plan.records),
        at_most(where, "client CPU a page of 200 leads", cpu, CPU_MS, "ms"),
        at_most(where, "client CPU a page of 200 leads, all attributes", cpu_ms(full), CPU_MS, "ms"),
        at_most(where, "deepest page over the first", depth["by_id"][-1] / depth["by_id"][0], DEPTH, "x", 3),
        *comparison(where, times, count),
    ]
    return rows, {"pairs": pairs, "full": full, "clients": times, "depth": depth}


def costs(plan: Plan) -> Found:
    """Against the sandbox with simulated costs. What takes minutes runs side by side, each with its own sandbox."""
    where = "simulated costs"
    arguments = ("--costs", "measured")
    with sandbox(*arguments, database=plan.stock.copy(plan.records)) as site:
        ours, limit = pair(plan, site, "Lead")
        depth = run("depth", "--credentials", str(site), "--rounds", "7")
    with ExitStack() as stack:

        def own_sandbox() -> Path:
            return stack.enter_context(sandbox(*arguments, database=plan.stock.copy(plan.records)))

        def started(client: str) -> Any:
            return start("extract", [client, "--credentials", str(own_sandbox())])

        def creating(way: str) -> Any:
            wanted = [way, "--credentials", str(own_sandbox()), "--records", str(BULK_LEADS)]
            return start("bulk_create", wanted)

        running = {client: started(client) for client in OTHERS}
        ways = {way: creating(way) for way in ("serial", "write_many", "operator")}
        bulk = {way: result_of(process) for way, process in ways.items()}
        times = {"espo": ours, **{client: result_of(process) for client, process in running.items()}}
    rows = [
        *comparison(where, times, plan.records, bound=True),
        limited(where, "time over the practical limit's", ours["seconds"] / limit["seconds"], plan.records),
        at_most(where, "deepest page over the first", depth["by_id"][-1] / depth["by_id"][0], DEPTH, "x", 3),
        *bulk_rows(where, bulk),
    ]
    return rows, {"ours": ours, "limit": limit, "clients": times, "depth": depth, "bulk": bulk}


def memory(plan: Plan) -> Found:
    """Very many records, flat."""
    with sandbox(database=plan.stock.made(plan.memory_records)) as site:
        found = run("memory", "--credentials", str(site), "--workers", str(plan.workers))
    what = f"memory above the start, {plan.memory_records:,} records"
    samples = found["samples_mb"]
    middle, end = samples[len(samples) // 2], samples[-1]
    rows = [
        at_most("sandbox", what, found["grown_mb"], MEMORY_MB, "MB", 1),
        Row("sandbox", "the same: at half of the time, at the end", f"{middle:.0f} MB, {end:.0f} MB"),
        Row("sandbox", "the same: time", f"{found['seconds']:.0f} s, {found['bytes'] / 1e6:.0f} MB written"),
    ]
    return rows, found


def sensors(plan: Plan) -> Found:
    """Waiting sensors in one triggerer."""
    with sandbox(*plan.latency_argument, "--fill", "Lead=1000") as site:
        found = run("sensors", "--credentials", str(site))
    where = f"sandbox, {plan.latency:g} ms"
    what = f"{found['sensors']:,} waiting sensors, a look every {found['poll_interval']:g} s"
    steady, beginning = found["delay_ms"], found["start_delay_ms"]
    rows = [
        Row(
            where,
            f"{what}: requests",
            f"{found['requests_per_minute']:.0f} a minute, {found['cpu_share']:.0%} of a core",
        ),
        Row(where, "delay of the event loop: p99, longest", f"{steady['p99']:.1f} ms, {steady['max']:.0f} ms"),
        Row(where, "the same in the first 10 s", f"{beginning['p99']:.1f} ms, {beginning['max']:.0f} ms"),
    ]
    return rows, found


def real(plan: Plan) -> Found:
    """Against a real server."""
    site = real_site()
    if site is None:
        return [], {}
    entity = ("--entity", plan.entity)
    ours, limit = pair(plan, site, plan.entity)
    depth = run("depth", "--credentials", str(site), *entity)
    times = {"espo": ours, **{name: extracted(plan, site, name, plan.entity) for name in OTHERS}}
    count, where = ours["records"], REAL
    rows = [
        *comparison(where, times, count, bound=True),
        limited(where, "time over the practical limit's", ours["seconds"] / limit["seconds"], count),
        at_most(where, "deepest page over the first", depth["by_id"][-1] / depth["by_id"][0], DEPTH, "x", 3),
    ]
    data = {"ours": ours, "limit": limit, "clients": times, "depth": depth}
    if plan.write:
        wanted = ("--credentials", str(site), "--records", str(BULK_LEADS), "--remove")
        data["bulk"] = {way: run("bulk_create", way, *wanted) for way in ("serial", "write_many", "operator")}
        rows += bulk_rows(where, data["bulk"])
    return rows, data


SECTIONS: dict[str, Callable[[Plan], Found]] = {
    "loading": loading,
    "existing": existing,
    "latency": latency,
    "sensors": sensors,
    "costs": costs,
    "memory": memory,
    "real": real,
}


def pair(plan: Plan, site: Path, entity: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run of the provider, and the practical limit: the same requests with as many workers."""
    noted = ("--requests", str(plan.folder / "requests.json"))
    return extracted(plan, site, "espo", entity, *noted), extracted(plan, site, "replay", entity, *noted)


def extracted(plan: Plan, site: Path, client: str, entity: str = "Lead", *more: str) -> dict[str, Any]:
    """A run of one client."""
    common = ("--credentials", str(site), "--entity", entity, "--workers", str(plan.workers))
    return run("extract", client, *common, *more)


def comparison(where: str, times: dict[str, Any], records: int, *, bound: bool = False) -> list[Row]:
    """Rows that set the clients side by side."""
    ours = times["espo"]
    rows = [Row(where, f"{records:,} records to NDJSON: {NAMES['espo']}", shown(ours))]
    for name, found in times.items():
        if name == "espo":
            continue
        if found["records"] != records and where != REAL:
            raise RuntimeError(f"{name} got {found['records']} records of {records}")
        ratio = found["seconds"] / ours["seconds"]
        what = f"the same: {NAMES[name]}"
        if bound and name in ("naive", "dlt_rest"):
            row = at_least(where, what, ratio, FASTER, "x our time", applies=records >= RECORDS_OF_BOUND)
            rows.append(Row(where, what, f"{shown(found)}, {row.value}", row.bound, row.holds))
        else:
            rows.append(Row(where, what, f"{shown(found)}, {ratio:.1f} x our time"))
    return rows


def limited(where: str, what: str, ratio: float, records: int) -> Row:
    """Our time over that of the practical limit."""
    return at_most(where, what, ratio, LIMIT, "x", 3, applies=records >= RECORDS_OF_BOUND)


def bulk_rows(where: str, bulk: dict[str, Any]) -> list[Row]:
    """Rows about creates."""
    serial, ours = bulk["serial"]["seconds"], bulk["operator"]["seconds"]
    many = bulk["write_many"]["seconds"]
    return [
        Row(where, f"{BULK_LEADS:,} leads created: POST after POST", f"{serial:.1f} s"),
        Row(where, "the same: hook.write_many, 8 workers", f"{many:.1f} s, {serial / many:.1f} x faster"),
        at_least(where, f"the same: EspoBulkWriteOperator ({ours:.1f} s)", serial / ours, BULK, "x faster"),
    ]


def shown(found: dict[str, Any]) -> str:
    return f"{found['seconds']:.1f} s, {cpu_ms(found):.1f} ms CPU a page, {found['grown_mb']:+.0f} MB"


def cpu_ms(found: dict[str, Any]) -> float:
    """Milliseconds of the client's CPU a page."""
    return float(found["cpu_seconds"]) * 1000 / max(1, int(found["pages"]))


def script(name: str) -> subprocess.CompletedProcess[str]:
    """Run one of the single benchmarks."""
    command = [sys.executable, str(ROOT / "benchmarks" / name)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT, env=quiet())


def ok(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0


def shortened(line: str) -> str:
    return re.sub(r"\s*\(bound.*\)|; made .*", "", line)
