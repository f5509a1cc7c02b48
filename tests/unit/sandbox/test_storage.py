from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox.definition_files import load_definitions
from airflow_provider_espo.sandbox.storage import IdGenerator, Storage, StorageError, from_database, to_database

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    path = ":memory:" if request.param == "memory" else str(tmp_path / "crm.db")
    found = Storage(path, load_definitions())
    yield found
    found.close()


def test_ids_are_17_hex_digits_that_begin_with_the_time() -> None:
    new_id = IdGenerator(lambda: NOON)()
    assert len(new_id) == 17
    assert int(new_id[:8], 16) == NOON.timestamp()
    assert int(new_id, 16) >= 0


def test_ids_increase_within_one_microsecond_and_when_the_clock_goes_back() -> None:
    moments = iter([NOON] * 50 + [NOON - dt.timedelta(hours=1)] * 50)
    generator = IdGenerator(lambda: next(moments))
    ids = [generator() for _ in range(100)]
    assert ids == sorted(ids)
    assert len({i[:13] for i in ids}) == 100


def test_ids_of_many_threads_are_all_different() -> None:
    generator = IdGenerator()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: generator(), range(2000)))
    assert len(set(ids)) == 2000


def test_text_is_compared_without_case_and_accents_but_ids_are_not(storage: Storage) -> None:
    storage.insert("Lead", {"id": "abc", "lastName": "Müller", "status": "New"})
    assert storage.column('SELECT id FROM "Lead" WHERE "lastName" = ?', ["MULLER"]) == ["abc"]
    assert storage.column('SELECT id FROM "Lead" WHERE status = ?', ["new"]) == ["abc"]
    assert storage.column('SELECT id FROM "Lead" WHERE "lastName" LIKE ?', ["%ulle%"]) == ["abc"]
    assert storage.column('SELECT id FROM "Lead" WHERE id = ?', ["ABC"]) == []


def test_paging_by_id_reads_a_range_of_the_primary_key(storage: Storage) -> None:
    sql = 'EXPLAIN QUERY PLAN SELECT id FROM "Lead" WHERE id > ? AND deleted = 0 ORDER BY id LIMIT 200'
    plan = " ".join(row["detail"] for row in storage.rows(sql, ["x"]))
    assert "SEARCH Lead USING PRIMARY KEY (id>?)" in plan
    assert "TEMP B-TREE" not in plan


def test_transaction_that_fails_leaves_nothing(storage: Storage) -> None:
    def fail() -> None:
        with storage.transaction():
            storage.insert("Lead", {"id": "a"})
            with storage.transaction():
                storage.insert("Lead", {"id": "b"})
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert storage.column('SELECT id FROM "Lead"') == []
    storage.insert("Lead", {"id": "c"})
    assert storage.column('SELECT id FROM "Lead"') == ["c"]


def test_readers_see_only_what_is_committed(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "crm.db"), load_definitions())
    written, seen = threading.Event(), threading.Event()
    counts: list[int] = []

    def read() -> None:
        written.wait(5)
        counts.append(storage.value('SELECT COUNT(*) FROM "Lead"'))
        seen.set()

    reader = threading.Thread(target=read)
    reader.start()
    with storage.transaction():
        storage.insert("Lead", {"id": "a"})
        written.set()
        assert seen.wait(5)
        assert storage.value('SELECT COUNT(*) FROM "Lead"') == 1
    reader.join()
    assert counts == [0]
    storage.close()


def test_threads_write_and_read_at_the_same_time(storage: Storage) -> None:
    def work(number: int) -> int:
        for i in range(20):
            storage.insert("Lead", {"id": f"{number:02d}{i:02d}", "lastName": f"L{number}"})
            storage.rows('SELECT * FROM "Lead" WHERE "lastName" = ?', [f"L{number}"])
        return len(storage.rows('SELECT * FROM "Lead" WHERE "lastName" = ?', [f"L{number}"]))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [20] * 8


def test_records_are_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = str(tmp_path / "crm.db")
    first = Storage(path, load_definitions())
    first.insert("Lead", {"id": "a", "lastName": "Kept"})
    first.close()
    second = Storage(path, load_definitions())
    assert second.value('SELECT "lastName" FROM "Lead" WHERE id = ?', ["a"]) == "Kept"
    second.close()


def test_unusable_database_is_one_clear_error_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noting(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", noting)
    (tmp_path / "notes.txt").write_text("this is not a database, it is a text with some length\n" * 50)
    for path in (tmp_path / "notes.txt", tmp_path / "absent" / "crm.db", tmp_path):
        with pytest.raises(StorageError, match="cannot use database"):
            Storage(str(path), load_definitions())
    assert opened
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE dag (id)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="belongs to another program"):
        Storage(str(path), load_definitions())
    assert path.read_bytes() == before


def test_database_with_its_keys_is_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    Storage(str(path), load_definitions()).close()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("number", "found"),
    [(2**63, True), (-(2**63) - 1, False), (10**400, True), (-(10**400), False)],
    ids=["above", "below", "far above", "far below"],
)
def test_numbers_beyond_sqlites_integers_are_compared(storage: Storage, number: int, found: bool) -> None:
    storage.insert("Opportunity", {"id": "a", "deleted": 0, "probability": 50})
    sql = 'SELECT id FROM "Opportunity" WHERE probability < ?'
    assert bool(storage.rows(sql, [number])) == bool(storage.column(sql, [number])) == found


def test_values_survive_the_way_to_the_database_and_back() -> None:
    attributes = load_definitions()["Opportunity"].attributes
    for name, value, stored in (
        ("deleted", True, 1),
        ("probability", 50, 50),
        ("amount", 10, 10.0),
        ("amount", 10.25, 10.25),
        ("name", "x", "x"),
        ("name", None, None),
    ):
        attribute = attributes[name]
        assert to_database(attribute, value) == stored
        assert from_database(attribute, to_database(attribute, value)) == value
    array = load_definitions()["Team"].attributes["positionList"]
    assert from_database(array, to_database(array, ["a", "ü"])) == ["a", "ü"]


def test_rates_can_change_while_it_runs(storage: Storage) -> None:
    assert storage.value("SELECT espo_rate('EUR')") == 1.12
    storage.change_rates({"USD": 1, "EUR": 2})
    assert storage.value("SELECT espo_rate('EUR')") == 2
    assert storage.value("SELECT espo_rate('XXX')") is None
    assert storage.value("SELECT espo_rate(NULL)") is None
