"""Whether the test can fail: tasks that lose or double something when they die are found out."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_espo.operators.base import EspoOperator
from tests.kill.cases import CrmCase
from tests.kill.driver import Lead, play
from tests.kill.lives import Killed, Life, Snapshot, led
from tests.kill.world import Kept

if TYPE_CHECKING:
    from airflow.sdk import Context


class Appending(EspoOperator):
    """Appends pages to a file and begins anew after a death: doubles records."""

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path

    def execute(self, context: Context) -> None:
        for record in self.hook.iter_records("Lead", select=["id"], page_size=5):
            with open(self.path, "a") as file:
                file.write(record["id"] + "\n")


class SkippingAhead(Appending):
    """Notes what it will have done before it has done it: loses records."""

    def execute(self, context: Context) -> None:
        store: Any = context["task_state_store"]
        records = list(self.hook.iter_records("Lead", select=["id"], page_size=5))
        for record in records[store.get("done", 0) :]:
            store.set("done", store.get("done", 0) + 1)
            with open(self.path, "a") as file:
                file.write(record["id"] + "\n")


class CreatingAnew(EspoOperator):
    """Creates records and does not look whether they are there: doubles them."""

    def execute(self, context: Context) -> None:
        for number in range(4):
            self.hook.create_record("Lead", {"lastName": f"new {number}"})


class ReadCase(CrmCase):
    """A list of ids in a file."""

    operator: type[Appending]

    def __init__(self, chance: random.Random, folder: Path) -> None:
        super().__init__(chance, folder)
        self.world.stores = True

    def play(self, lead: Lead) -> None:
        expected = self.crm.add(20)
        path = self.world.out / "ids.txt"
        lead(self.operator(task_id="task", path=str(path)))
        assert sorted(path.read_text().split()) == sorted(expected)


class AppendingCase(ReadCase):
    operator = Appending


class SkippingCase(ReadCase):
    operator = SkippingAhead


class CreatingCase(CrmCase):
    """New records."""

    def play(self, lead: Lead) -> None:
        lead(CreatingAnew(task_id="task"))
        assert len(self.crm.rows()) == 4


@pytest.mark.parametrize("case", [AppendingCase, SkippingCase, CreatingCase])
def test_a_task_that_is_not_safe_is_found_out(case: type[CrmCase], tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as failure:
        play(case, tmp_path / "play", 20, "unsafe")
    (note,) = failure.value.__notes__
    assert "ESPO_KILL_SEED" in note
    assert "try 1 at" in note


def test_the_dead_do_nothing_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    life = Life(2, folders=[folder])
    with led(life):
        (folder / "first").write_text("1")
        with pytest.raises(Killed):
            (folder / "second").write_text("2")
        with pytest.raises(Killed):
            (folder / "third").touch()
        with pytest.raises(Killed):
            (folder / "first").unlink()
        with pytest.raises(Killed):
            Kept(tmp_path / "store.json", life).set("key", 1)
    assert [path.name for path in folder.iterdir()] == ["first"]
    assert not (tmp_path / "store.json").exists()


def test_what_was_still_in_a_buffer_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    snapshot = Snapshot(folder, tmp_path / "snapshot")
    life = Life(2, folders=[folder], at_death=snapshot.take)
    with led(life), open(folder / "file", "w") as file:
        file.write("written to the disk")
        file.flush()
        file.write(", only said to be")
        with pytest.raises(Killed):
            (folder / "other").touch()
    snapshot.restore()
    assert (folder / "file").read_text() == "written to the disk"


def test_the_same_seed_dies_at_the_same_points(tmp_path: Path) -> None:
    deaths = []
    for _ in range(2):
        with pytest.raises(AssertionError) as failure:
            play(AppendingCase, tmp_path / "play", 20, "unsafe")
        deaths.append(failure.value.__notes__)
    assert deaths[0] == deaths[1]
