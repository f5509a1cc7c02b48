"""Bulk writes over several tries: whatever an earlier one had done, every row is written once."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoJobError, EspoShortfallError
from airflow_provider_espo.client.state import forget_shared_states
from airflow_provider_espo.operators.bulk import EspoBulkWriteOperator
from airflow_provider_espo.sandbox.http import Reply, Request
from tests.unit.bulk_crm import actions, add, leads, there, told, write, writes
from tests.unit.crm import Lost, Sent, TooLate
from tests.unit.running import Store, TaskInstance, run_task
from tests.unit.sandbox_crm import NOW, Killed, SandboxCrm

LATER = "not before noon"
BY_EMAIL = {"match_by": ["emailAddress"]}


def one_try(task: EspoBulkWriteOperator, number: int, store: Store | None = None, generation: int = 3) -> Any:
    """Run a try as a process of its own."""
    forget_shared_states()
    return run_task(task, ti=TaskInstance(try_number=number, max_tries=generation), store=store)


def until_it_lives(
    crm: SandboxCrm, task: EspoBulkWriteOperator, deaths: list[tuple[int, bool]], store: Store | None
) -> Any:
    """Run tries that die at requests, and then one that lives.

    :param deaths: for each try the number of its last request, and whether that is carried out.
    """
    for number, (at, carried_out) in enumerate(deaths, start=1):
        crm.kill_at(at, carried_out=carried_out)
        with suppress(Killed):
            return one_try(task, number, store)
    crm.live()
    return one_try(task, len(deaths) + 1, store)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """The worker's clock is the sandbox's."""
    with time_machine.travel(NOW, tick=False) as one:
        yield one


CASES: dict[str, dict[str, Any]] = {
    "create": {"operation": "create"},
    "create, key": {"operation": "create", "match_by": ["emailAddress"]},
    "create, force": {"operation": "create", "on_duplicate": "force"},
    "create by import": {
        "operation": "create",
        "on_duplicate": "force",
        "match_by": ["emailAddress"],
        "route": "import",
    },
    "upsert": {"operation": "upsert", "match_by": ["emailAddress"]},
    "upsert by import": {"operation": "upsert", "match_by": ["emailAddress"], "route": "import"},
}


@pytest.mark.parametrize("remembers", ["files", "store", "nothing"])
@pytest.mark.parametrize("case", CASES)
def test_whenever_tries_die_each_row_has_one_record(
    sandbox_crm: SandboxCrm, tmp_path: Path, case: str, remembers: str
) -> None:
    chance = random.Random(f"{case} {remembers}")
    for play in range(6):
        rows = leads(9, first=100 * play)
        if CASES[case]["operation"] == "upsert":
            add(sandbox_crm, [{**rows[0], "firstName": "Old"}, rows[1]])
        folder = tmp_path / str(play)
        task = write(
            task_id=f"write_{play}",
            rows=rows,
            chunk_size=3,
            retries=3,
            results_path=str(folder) if remembers == "files" else None,
            **CASES[case],
        )
        deaths = [(chance.randint(1, 30), chance.random() < 0.5) for _ in range(chance.randint(1, 3))]
        result = until_it_lives(sandbox_crm, task, deaths, Store() if remembers == "store" else None)
        found = there(sandbox_crm, "emailAddress", "firstName")
        wanted = [(row["emailAddress"], "Ida") for row in rows]
        assert [one for one in found if one in wanted] == sorted(wanted), f"deaths {deaths}"
        assert len(found) == 9 * (play + 1), f"deaths {deaths}"
        assert sum(actions(result).values()) == 9
        if remembers == "files":
            assert [line["index"] for line in told(folder)] == list(range(9))


@pytest.mark.parametrize("remembers", ["files", "store", "nothing"])
def test_equal_rows_make_as_many_records_wherever_tries_die(
    sandbox_crm: SandboxCrm, tmp_path: Path, remembers: str
) -> None:
    chance = random.Random(remembers)
    for play in range(8):
        rows = [{"lastName": f"play {play}", "status": chance.choice(["New", "Dead"])} for _ in range(10)]
        task = write(
            task_id=f"write_{play}",
            operation="create",
            on_duplicate="force",
            rows=rows,
            chunk_size=3,
            retries=3,
            results_path=str(tmp_path / str(play)) if remembers == "files" else None,
        )
        deaths = [(chance.randint(3, 16), chance.random() < 0.7) for _ in range(3)]
        until_it_lives(sandbox_crm, task, deaths, Store() if remembers == "store" else None)
        found = Counter(one for one in there(sandbox_crm, "lastName", "status") if one[0] == f"play {play}")
        assert found == Counter((row["lastName"], row["status"]) for row in rows), f"deaths {deaths}"


@pytest.mark.parametrize("operation", ["update", "delete"])
@pytest.mark.parametrize("route", ["records", "mass_action"])
def test_updates_and_deletes_end_where_a_clean_run_does(
    sandbox_crm: SandboxCrm, tmp_path: Path, operation: str, route: str
) -> None:
    chance = random.Random(f"{operation} {route}")
    for play in range(5):
        ids = add(sandbox_crm, leads(8, first=100 * play))
        rows = [{"id": one, **({"accountName": "Acme"} if operation == "update" else {})} for one in ids[:7]]
        task = write(
            task_id=f"write_{play}",
            operation=operation,
            rows=rows,
            chunk_size=3,
            retries=3,
            route=route,
            results_path=str(tmp_path / str(play)),
        )
        deaths = [(chance.randint(1, 12), chance.random() < 0.5) for _ in range(2)]
        result = until_it_lives(sandbox_crm, task, deaths, None)
        assert sum(actions(result).values()) == 7
        found = dict(there(sandbox_crm, "id", "accountName"))
        if operation == "delete":
            assert not set(ids[:7]) & set(found)
        else:
            assert [found[one] for one in ids] == ["Acme"] * 7 + [None]


# --- what is not done again


@pytest.mark.parametrize("remembers", ["files", "store"])
def test_what_is_finished_is_not_sent_again(sandbox_crm: SandboxCrm, tmp_path: Path, remembers: str) -> None:
    store = Store()
    path = str(tmp_path) if remembers == "files" else None
    task = write(operation="create", rows=leads(9), chunk_size=3, results_path=path)

    def die_in_the_third_chunk(sent: Sent) -> None:
        if sent.method == "POST" and sent.json["emailAddress"] == "l7@example.com":
            raise Killed

    sandbox_crm.before = die_in_the_third_chunk
    with pytest.raises(Killed):
        one_try(task, 1, store)
    sandbox_crm.live()
    sandbox_crm.sent.clear()
    assert actions(one_try(task, 2, store)) == {"created": 9}
    sent = [one["emailAddress"] for one in sandbox_crm.posts("Lead")]
    assert set(sent) <= {f"l{number}@example.com" for number in (6, 7, 8)}
    looked_for = json.dumps([one.search for one in sandbox_crm.calls("GET", "Lead")])
    assert "l5@example.com" not in looked_for


@pytest.mark.parametrize("remembers", ["files", "store"])
def test_a_try_after_all_was_done_only_says_so(sandbox_crm: SandboxCrm, tmp_path: Path, remembers: str) -> None:
    store = Store()
    task = write(operation="create", rows=leads(5), results_path=str(tmp_path) if remembers == "files" else None)
    first = one_try(task, 1, store)
    sandbox_crm.sent.clear()
    assert one_try(task, 2, store) == first
    assert writes(sandbox_crm) == {}


@pytest.mark.parametrize("remembers", ["files", "store"])
def test_a_cleared_task_begins_anew(sandbox_crm: SandboxCrm, tmp_path: Path, remembers: str) -> None:
    store = Store()
    path = str(tmp_path) if remembers == "files" else None
    task = write(operation="create", on_duplicate="force", rows=leads(5), results_path=path)
    one_try(task, 1, store, generation=0)
    assert actions(one_try(task, 2, store, generation=1)) == {"created": 5}
    assert len(there(sandbox_crm, "id")) == 10


# --- other input


@pytest.mark.parametrize(
    "rows",
    [[*leads(2), *leads(5)], leads(4), leads(7)[::-1], [*leads(3), {"lastName": "new"}, *leads(3, 4)]],
    ids=["one more before", "fewer", "another order", "another row"],
)
def test_other_rows_than_in_an_earlier_try_are_refused(
    sandbox_crm: SandboxCrm, tmp_path: Path, rows: list[Any]
) -> None:
    given: Any = {"operation": "upsert", "chunk_size": 3, "results_path": str(tmp_path), **BY_EMAIL}

    def die_in_the_third_chunk(sent: Sent) -> None:
        if sent.method == "POST" and sent.json["emailAddress"] == "l6@example.com":
            raise Killed

    sandbox_crm.before = die_in_the_third_chunk
    with pytest.raises(Killed):
        one_try(write(**given, rows=leads(7)), 1)
    sandbox_crm.live()
    before = there(sandbox_crm, "emailAddress", "lastName")
    with pytest.raises(EspoInputError, match="not those of an earlier try"):
        one_try(write(**given, rows=rows), 2)
    assert there(sandbox_crm, "emailAddress", "lastName") == before


def test_a_task_that_was_changed_between_tries_is_refused(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    given: Any = {"rows": leads(3), "results_path": str(tmp_path), **BY_EMAIL}
    one_try(write(**given, operation="create"), 1)
    with pytest.raises(EspoInputError, match="changed between two of its tries"):
        one_try(write(**given, operation="upsert"), 2)


# --- rows that failed


@pytest.mark.parametrize("operation", ["create", "upsert"])
def test_after_too_many_failures_a_retry_tries_these_again_and_goes_on(
    sandbox_crm: SandboxCrm, tmp_path: Path, operation: str
) -> None:
    store = Store()
    refusal = Refusal(sandbox_crm)
    rows = [{**row, "description": LATER} if index in (1, 4) else row for index, row in enumerate(leads(12))]
    task = write(operation=operation, rows=rows, chunk_size=3, max_failures=1, results_path=str(tmp_path), **BY_EMAIL)
    with pytest.raises(EspoShortfallError, match="2 of 6 rows failed"):
        one_try(task, 1, store)
    # Nothing has changed meanwhile.
    with pytest.raises(EspoShortfallError, match="2 of"):
        one_try(task, 2, store)
    refusal.over = True
    sandbox_crm.sent.clear()
    assert actions(one_try(task, 3, store)) == {"created": 12}
    assert len(there(sandbox_crm, "id")) == 12
    assert [line["index"] for line in told(tmp_path)] == list(range(12))
    assert not list(tmp_path.glob("failed-*"))
    assert "l2@example.com" not in {one["emailAddress"] for one in sandbox_crm.posts("Lead")}


def test_rows_tried_again_are_written_once_wherever_that_try_dies(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    refusal = Refusal(sandbox_crm)
    rows = [{**row, "description": LATER} if index in (1, 2, 4) else row for index, row in enumerate(leads(6))]
    task = write(operation="create", rows=rows, chunk_size=3, max_failures=2, results_path=str(tmp_path))
    with pytest.raises(EspoShortfallError):
        one_try(task, 1)
    refusal.over = True
    result = until_it_lives(sandbox_crm, task, [(at, carried_out) for at in (4, 6, 8) for carried_out in (True,)], None)
    assert actions(result) == {"created": 6}
    assert [email for (email,) in there(sandbox_crm, "emailAddress")] == [
        f"l{number}@example.com" for number in range(6)
    ]
    assert [line["action"] for line in told(tmp_path)] == ["created"] * 6


@pytest.mark.parametrize("match_by", [None, ["emailAddress"]])
def test_a_row_tried_again_does_not_take_the_record_of_an_equal_one(
    sandbox_crm: SandboxCrm, tmp_path: Path, match_by: Any
) -> None:
    refusal = Refusal(sandbox_crm)
    (twin,) = leads(1, description=LATER)
    rows = [twin, *leads(3, 1), twin, *leads(1, 4)]

    def let_it_be(sent: Sent) -> None:
        refusal.over |= sent.method == "POST" and sent.json["emailAddress"] == "l3@example.com"

    sandbox_crm.before = let_it_be
    task = write(
        operation="create",
        on_duplicate="force",
        rows=rows,
        match_by=match_by,
        chunk_size=2,
        max_failures=0.1,
        results_path=str(tmp_path),
    )
    with pytest.raises(EspoShortfallError, match="1 of 6 rows failed"):
        one_try(task, 1)
    assert actions(one_try(task, 2)) == {"created": 6}
    assert len(there(sandbox_crm, "id")) == 6
    assert len({line["id"] for line in told(tmp_path)}) == 6


@pytest.mark.parametrize("operation", ["create", "upsert"])
@pytest.mark.parametrize("stored", [True, False])
def test_without_files_a_retry_looks_at_all_rows_again(sandbox_crm: SandboxCrm, operation: str, stored: bool) -> None:
    store = Store() if stored else None
    refusal = Refusal(sandbox_crm)
    rows = [{**row, "description": LATER} if index in (1, 4) else row for index, row in enumerate(leads(9))]
    task = write(operation=operation, rows=rows, chunk_size=3, max_failures=1, retries=3, **BY_EMAIL)
    with pytest.raises(EspoShortfallError):
        one_try(task, 1, store)
    refusal.over = True
    result = one_try(task, 2, store)
    assert sum(actions(result).values()) == 9
    assert result["failed"] == 0
    assert len(there(sandbox_crm, "id")) == 9


@dataclass
class Refusal:
    """Refuses records with a certain description until it is told not to."""

    crm: SandboxCrm
    over: bool = False

    def __post_init__(self) -> None:
        handle = self.crm.sandbox.handle

        def guarded(request: Request) -> Reply:
            if request.method == "POST" and LATER.encode() in request.body and not self.over:
                return Reply(400, b"", headers={"X-Status-Reason": "Field validation failure; field: description"})
            return handle(request)

        self.crm.sandbox.handle = guarded  # type: ignore[method-assign]


# --- imports


def test_an_import_whose_answer_was_lost_is_taken_up(sandbox_crm: SandboxCrm) -> None:
    lost: list[Sent] = []

    def lose(sent: Sent) -> None:
        if sent.method == "POST" and sent.path == "Import" and not lost:
            lost.append(sent)
            raise Lost

    sandbox_crm.after = lose
    given: Any = {"operation": "create", "on_duplicate": "force", "route": "import", **BY_EMAIL}
    result = run_task(write(**given, rows=leads(30)))
    assert lost
    assert actions(result) == {"created": 30}
    assert len(there(sandbox_crm, "id")) == 30


def test_an_import_that_takes_longer_than_an_answer_may_is_waited_for(sandbox_crm: SandboxCrm) -> None:
    slow = _slow_imports(sandbox_crm, looks=3)
    with sandbox_crm.waiting():
        result = run_task(write(operation="upsert", rows=leads(30), route="import", **BY_EMAIL))
    assert slow
    assert actions(result) == {"created": 30}
    assert len(there(sandbox_crm, "id")) == 30


def test_a_retry_waits_for_the_import_of_an_earlier_try(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    rows, results = leads(30), str(tmp_path)
    task = write(operation="upsert", rows=rows, route="import", results_path=results, **BY_EMAIL)
    looks: list[str] = []

    def die(sent: Sent) -> None:
        if sent.method == "POST" and sent.path == "Import":
            _set_status(sandbox_crm, "In Process")
            raise Killed

    sandbox_crm.after = die
    with pytest.raises(Killed):
        one_try(task, 1)
    sandbox_crm.live()

    def finish(sent: Sent) -> None:
        if sent.method == "GET" and sent.path == "Import":
            looks.append(sent.path)
            if len(looks) == 3:
                _set_status(sandbox_crm, "Complete")
        elif sent.method == "GET" and sent.path == "Lead":
            assert len(looks) >= 3

    sandbox_crm.before = finish
    with sandbox_crm.waiting():
        result = one_try(task, 2)
    assert sum(actions(result).values()) == 30
    assert len(there(sandbox_crm, "id")) == 30


def test_an_import_that_never_ends_is_told(sandbox_crm: SandboxCrm) -> None:
    _slow_imports(sandbox_crm, looks=10**9)
    with sandbox_crm.waiting(), pytest.raises(EspoJobError, match="did not end"):
        run_task(write(operation="upsert", rows=leads(30), route="import", **BY_EMAIL))


def _slow_imports(crm: SandboxCrm, looks: int) -> list[str]:
    """Imports answer too late, and are at work for some looks more."""
    started: list[str] = []
    seen: Counter[str] = Counter()

    def after(sent: Sent) -> None:
        if sent.method == "POST" and sent.path == "Import":
            _set_status(crm, "In Process")
            started.append(sent.path)
            raise TooLate

    def before(sent: Sent) -> None:
        if sent.method == "GET" and sent.path.startswith("Import/") and sent.path.count("/") == 1:
            seen[sent.path] += 1
            if seen[sent.path] == looks:
                _set_status(crm, "Complete")

    crm.after, crm.before = after, before
    return started


def _set_status(crm: SandboxCrm, status: str) -> None:
    crm.sandbox.storage.execute('UPDATE "Import" SET status = ?', [status])


# --- what meets every row


def test_when_the_server_goes_away_a_retry_goes_on(
    sandbox_crm: SandboxCrm, connect: Callable[..., str], tmp_path: Path
) -> None:
    connect(password=sandbox_crm.credentials["api_key"], extra={"max_retries": 0})
    task = write(operation="create", rows=leads(9), chunk_size=3, results_path=str(tmp_path))

    gone: list[Sent] = []

    def away(sent: Sent) -> None:
        if gone or (sent.method == "POST" and sent.json["emailAddress"] == "l4@example.com"):
            gone.append(sent)
            raise TooLate

    sandbox_crm.after = away
    with pytest.raises(EspoError) as caught:
        one_try(task, 1)
    assert {outcome["index"] for outcome in caught.value.outcomes} == {3, 4, 5}
    sandbox_crm.live()
    assert actions(one_try(task, 2)) == {"created": 9}
    assert len(there(sandbox_crm, "id")) == 9


def test_a_killed_task_begins_no_other_chunk(sandbox_crm: SandboxCrm, tmp_path: Path) -> None:
    task = write(operation="create", rows=leads(9), chunk_size=3, results_path=str(tmp_path))
    copies: list[Any] = []
    open_source = EspoBulkWriteOperator.open_source

    def remembered(self: Any) -> Any:
        copies.append(self)
        return open_source(self)

    def kill(sent: Sent) -> None:
        if sent.method == "POST":
            copies[-1].on_kill()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EspoBulkWriteOperator, "open_source", remembered)
        sandbox_crm.before = kill
        with pytest.raises(EspoError, match="killed"):
            one_try(task, 1)
    assert len(there(sandbox_crm, "id")) == 3
    sandbox_crm.live()
    assert actions(one_try(task, 2)) == {"created": 9}


def test_the_clocks_of_worker_and_server_may_differ(
    sandbox_crm: SandboxCrm, tmp_path: Path, clock: time_machine.Traveller
) -> None:
    clock.move_to(NOW + timedelta(seconds=90))
    task = write(operation="create", on_duplicate="force", rows=leads(6), chunk_size=3, results_path=str(tmp_path))
    result = until_it_lives(sandbox_crm, task, [(6, True), (6, True)], None)
    assert actions(result) == {"created": 6}
    assert len(there(sandbox_crm, "id")) == 6
