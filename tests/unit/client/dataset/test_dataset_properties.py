"""Whatever the records are and wherever a process dies: a dataset is whole, and holds exactly the records."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.dataset.folder import Folder, NewFile
from airflow_provider_espo.client.dataset.formats import FileFormat, writer_for
from airflow_provider_espo.client.dataset.manifest import Manifest
from airflow_provider_espo.client.dataset.names import FileNames, clean_up, tag_of
from airflow_provider_espo.client.dataset.part_files import PartFiles
from airflow_provider_espo.client.dataset.progress import Progress
from airflow_provider_espo.client.dataset.reading import open_dataset
from airflow_provider_espo.client.extraction import Part
from tests.unit.client.dataset.datasets import FORMATS, pages_of

Row = dict[str, Any]

COLUMNS = (
    Column("id", "id", nullable=False),
    Column("name", "string"),
    Column("description", "text"),
    Column("amount", "float"),
    Column("price", "decimal", scale=2),
    Column("number", "int"),
    Column("active", "bool"),
    Column("closeDate", "date"),
    Column("createdAt", "datetime"),
    Column("tags", "list", items="string"),
    Column("teamsIds", "ids"),
    Column("teamsNames", "names"),
    Column("emailAddressData", "email_data"),
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
#: Among them an empty text, which CSV cannot tell from no value.
values: dict[str, st.SearchStrategy[Any]] = {
    "name": texts,
    "description": st.one_of(texts, st.sampled_from(['"', "\r\n", "\n\n", "a,b", "=1+1", "\ufeff", " ", "\u2028"])),
    "amount": st.floats(allow_nan=False, allow_infinity=False),
    "price": st.decimals(-(10**20), 10**20, places=2).map(lambda it: f"{it:.2f}"),
    "number": st.integers(-(2**63) + 1, 2**63 - 1),
    "active": st.booleans(),
    "closeDate": st.dates().map(str),
    "createdAt": st.datetimes().map(lambda it: it.isoformat(" ")[:19]),
    "tags": st.lists(texts, max_size=3),
    "teamsIds": st.lists(texts, max_size=3),
    "teamsNames": st.dictionaries(texts, texts, max_size=3),
    "emailAddressData": st.lists(st.fixed_dictionaries({"emailAddress": texts, "optOut": st.booleans()}), max_size=2),
}
bodies = st.fixed_dictionaries({name: st.none() | value for name, value in values.items()})


@st.composite
def records(draw: st.DrawFn) -> list[Row]:
    return [
        {"id": f"{number:05d}", **body} for number, body in enumerate(draw(st.lists(bodies, min_size=1, max_size=12)))
    ]


def expected(rows: list[Row], file_format: FileFormat) -> list[Row]:
    if file_format.name != "csv":
        return rows
    return [{name: None if value == "" else value for name, value in row.items()} for row in rows]


class Run:
    """An extraction of these rows, in parts, as a task does it; every try begins with no memory of its own."""

    def __init__(self, folder: Folder, run: str, rows: list[Row], file_format: FileFormat, **sizes: int) -> None:
        self.folder = folder
        self.rows = rows
        self.file_format = file_format
        self.names = FileNames("Lead", tag_of(run))
        self.page_size, self.file_size, self.parts = sizes["page_size"], sizes["file_size"], sizes["parts"]

    def plan(self) -> list[Part]:
        ids = [row["id"] for row in self.rows]
        borders = sorted({ids[len(ids) * number // self.parts] for number in range(1, self.parts)})
        edges = [None, *borders, None]
        return [
            Part(number=number, of=len(borders) + 1, after=edges[number], up_to=edges[number + 1])
            for number in range(len(borders) + 1)
        ]

    def try_it(self) -> None:
        before = Manifest.read(self.folder)
        if before is None or before.run != self.names.tag:
            progress = Progress.take_up(self.folder, self.names, "fingerprint")
            if not progress.parts:
                progress.plan(self.plan())
            for part in progress.parts:
                if not progress.is_finished(part.number):
                    self.store(part, progress)
            Manifest(
                entity_type="Lead",
                file_format=self.file_format,
                columns=COLUMNS,
                fingerprint="fingerprint",
                run=self.names.tag,
                files=tuple(progress.files),
            ).write(self.folder)
        manifest = Manifest.read(self.folder)
        assert manifest is not None
        clean_up(self.folder, "Lead", manifest.names)

    def store(self, part: Part, progress: Progress) -> None:
        files = PartFiles(
            self.folder,
            writer_for(self.file_format, COLUMNS),
            lambda number: self.names.data(part.number, number, self.file_format.extension),
            part,
            records_per_file=self.file_size,
            done=progress.files_of(part.number),
            on_file=progress.add_file,
            on_finish=progress.finish_part,
        )
        after = files.after or part.after or ""
        rows = [row for row in self.rows if after < row["id"] and (part.up_to is None or row["id"] <= part.up_to)]
        for page in pages_of(rows, self.page_size):
            files.write(page)
        files.finish()


class Dead(BaseException):
    """The process is gone."""


@contextmanager
def dying_at(touch: int) -> Iterator[list[str]]:
    """Let the process die at its so-manieth touch of the disk; nothing that it does afterwards has any effect."""
    touches: list[str] = []
    dead = False

    def alive(name: str) -> None:
        nonlocal dead
        touches.append(name)
        dead = dead or len(touches) > touch
        if dead:
            raise Dead

    def around(name: str, do: Any) -> Any:
        def touched(*given: Any) -> Any:
            alive(f"before {name}")
            result = do(*given)
            alive(f"after {name}")
            return result

        return touched

    def close(file: NewFile) -> None:
        if dead:
            # What grew stays behind, as after a kill.
            file._part_path = None
        leave(file)

    leave = NewFile.close
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NewFile, "write", around("write", NewFile.write))
        patch.setattr(NewFile, "publish", around("publish", NewFile.publish))
        patch.setattr(NewFile, "close", close)
        patch.setattr(Folder, "remove", around("remove", Folder.remove))
        yield touches


formats = st.sampled_from(FORMATS)
sizes = st.integers(1, 5)


@settings(max_examples=150, deadline=None)
@given(rows=records(), file_format=formats, page_size=sizes, file_size=sizes, parts=sizes)
def test_what_is_stored_is_read_back_to_the_last_value(
    rows: list[Row], file_format: FileFormat, page_size: int, file_size: int, parts: int
) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path)
        Run(folder, "run", rows, file_format, page_size=page_size, file_size=file_size, parts=parts).try_it()
        dataset = open_dataset(folder)
        assert list(dataset.rows(verify=True)) == expected(rows, file_format)
        assert dataset.manifest is not None
        assert dataset.manifest.records == len(rows)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    old=records(),
    rows=records(),
    file_format=formats,
    page_size=sizes,
    file_size=sizes,
    parts=sizes,
    deaths=st.lists(st.integers(0, 60), max_size=4),
)
def test_wherever_tries_die_the_last_good_state_stands_and_the_next_try_completes_it(
    old: list[Row],
    rows: list[Row],
    file_format: FileFormat,
    page_size: int,
    file_size: int,
    parts: int,
    deaths: list[int],
) -> None:
    options = {"page_size": page_size, "file_size": file_size, "parts": parts}
    with tempfile.TemporaryDirectory() as path, tempfile.TemporaryDirectory() as calm:
        folder = Folder(path)
        Run(folder, "old", old, file_format, **options).try_it()
        new = Run(folder, "new", rows, file_format, **options)
        for death in deaths:
            try:
                with dying_at(death):
                    new.try_it()
            except Dead:
                pass
            found = list(open_dataset(folder).rows(verify=True))
            assert found in (expected(old, file_format), expected(rows, file_format))
        new.try_it()
        assert list(open_dataset(folder).rows(verify=True)) == expected(rows, file_format)

        # The same files as one that was never broken off, and nothing beside them.
        undisturbed = Run(Folder(calm), "new", rows, file_format, **options)
        undisturbed.try_it()
        assert Manifest.read(folder) == Manifest.read(Folder(calm))
        assert sorted(it.name for it in Path(path).iterdir()) == sorted(it.name for it in Path(calm).iterdir())


def test_the_deaths_above_are_at_every_kind_of_touch(local: Folder) -> None:
    rows = [{"id": str(number)} | dict.fromkeys(values) for number in range(4)]
    run = Run(local, "run", rows, FileFormat("ndjson"), page_size=1, file_size=2, parts=2)
    with dying_at(10_000) as touches:
        run.try_it()
    assert set(touches) == {f"{when} {what}" for when in ("before", "after") for what in ("write", "publish", "remove")}
    assert 20 < len(touches) < 60
