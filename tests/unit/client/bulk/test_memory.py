from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.bulk.memory import MOST_IDS, FolderMemory, State, StoreMemory
from airflow_provider_espo.client.dataset.folder import Folder
from tests.unit.running import Store

AT = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)


def state(**given: Any) -> State:
    return State(**{"run": "dag/run/task/-1#0", "task": "abc", "begun": AT, "since": LATER, **given})


def full() -> State:
    return state(
        chunks=3,
        rows=12,
        sha256="00",
        counts={"created": 11, "failed": 1},
        routes={"import": 12},
        failed={1: AT},
        created=("a1",),
        look_since=AT,
        look_until=2,
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    memory = FolderMemory(Folder(str(tmp_path)))
    assert memory.load() is None
    memory.save(full())
    # The files tell the ids.
    assert memory.load() == replace(full(), created=())
    store = StoreMemory(Store(), "key")
    assert store.load() is None
    store.save(full())
    # Without files nothing is known of the rows that failed.
    assert store.load() == replace(full(), failed={})


def test_a_store_is_never_given_more_than_airflow_takes() -> None:
    store = Store()
    ids = tuple(f"{number:017x}" for number in range(MOST_IDS * 3))
    StoreMemory(store, "key").save(state(created=ids, failed=dict.fromkeys(range(9999), AT)))
    (value,) = store.values()
    assert len(json.dumps(value)) < 65_535
    assert value["created"][-1] == ids[-1]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 1}', b"null"])
def test_what_is_no_state_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FolderMemory.NAME).write_bytes(content)
    assert FolderMemory(Folder(str(tmp_path))).load() is None


def test_a_later_try_looks_for_the_chunk_that_was_under_way_only() -> None:
    resumed = state(chunks=3).resumed()
    assert (resumed.chunks, resumed.look_since, resumed.look_until) == (3, LATER, 4)


def test_a_try_that_went_over_all_again_and_died_goes_over_all_again() -> None:
    again = state(chunks=5, counts={"created": 50}).from_start()
    assert (again.chunks, again.counts, again.look_since, again.look_until) == (0, {}, AT, 6)
    later = replace(again, chunks=2, since=LATER, counts={"created": 20}).resumed()
    assert (later.chunks, later.counts, later.look_since, later.look_until) == (0, {}, AT, 6)
    beyond = replace(again, chunks=6, since=LATER).resumed()
    assert (beyond.chunks, beyond.look_since, beyond.look_until) == (6, LATER, 7)
