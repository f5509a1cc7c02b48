"""The manifest and the progress of a run: whole or not at all, and only what is there counts."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_espo.client.dataset.entries import FileEntry
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.formats import FileFormat
from airflow_provider_espo.client.dataset.manifest import Manifest, PartEntry
from airflow_provider_espo.client.dataset.names import MANIFEST, FileNames, clean_up, is_of_dataset, tag_of
from airflow_provider_espo.client.dataset.progress import Progress
from airflow_provider_espo.client.extraction import Part
from airflow_provider_espo.exceptions import EspoInputError
from tests.unit.client.dataset.datasets import NAMES, manifest_of, rows, store

PLAN = [Part(number=0, of=2, up_to="b", expected=7), Part(number=1, of=2, after="b", expected=7)]


def entry(name: str = "a.ndjson", **given: Any) -> FileEntry:
    return FileEntry(name=name, records=1, bytes=2, sha256="0" * 64, **given)


class TestManifest:
    def test_it_is_read_as_it_was_written(self, folder: Folder) -> None:
        files = store(folder, rows(30), FileFormat("csv", "gzip"), records_per_file=10)
        folder.write_bytes("_ids.ndjson.gz", b"xy")
        written = manifest_of(
            files,
            FileFormat("csv", "gzip"),
            parts=(PartEntry(part=PLAN[0], records=30),),
            sidecars={"ids": (entry("_ids.ndjson.gz"),)},
            window={"by": "modifiedAt", "start": None, "end": "2026-01-01 00:00:00"},
            watermark="2026-01-01 00:00:00",
            json_schema={"type": "object"},
        )
        written.write(folder)
        assert Manifest.read(folder) == written
        assert (written.records, written.size) == (30, sum(file.bytes for file in files))

    def test_a_folder_without_one_has_none(self, folder: Folder) -> None:
        assert Manifest.read(folder) is None

    def test_tombstones_and_sidecars_are_among_its_files_and_not_among_its_records(self) -> None:
        manifest = manifest_of([entry("a")], deleted=(entry("b"),), sidecars={"ids": (entry("c"),)})
        assert manifest.names == {MANIFEST, "a", "b", "c"}
        assert manifest.records == 1

    def test_it_is_not_written_over_files_that_are_gone(self, folder: Folder) -> None:
        manifest_of([]).write(folder)
        files = store(folder, rows(30), records_per_file=10)
        folder.remove(files[1].name)
        with pytest.raises(EspoInputError, match=rf"{files[1].name} is not there"):
            manifest_of(files).write(folder)
        assert Manifest.read(folder) == manifest_of([])

    def test_nor_over_files_of_another_size(self, folder: Folder) -> None:
        (file,) = store(folder, rows(3))
        with pytest.raises(EspoInputError, match=f"has {file.bytes} bytes, and not {file.bytes + 1}"):
            manifest_of([replace(file, bytes=file.bytes + 1)]).write(folder)

    def test_it_tells_nothing_of_server_and_time(self) -> None:
        assert manifest_of([entry()]).to_json() == manifest_of([entry()]).to_json()
        assert "http" not in manifest_of([entry()]).to_json().decode()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"version": 2}, "newer version"),
            ({"version": None}, "not one of this provider"),
            ({"complete": False}, "contradicts itself"),
            ({"records": 2}, "contradicts itself"),
            ({"files": [{"name": "a"}]}, "entry of a file"),
            ({"files": None}, "malformed"),
            ({"format": "xlsx"}, "xlsx"),
            ({"parts": [{"number": 0, "of": 1, "records": -1}]}, "entry of a part"),
        ],
    )
    def test_a_malformed_one_is_refused(self, change: dict[str, Any], words: str) -> None:
        content = json.loads(manifest_of([entry()]).to_json())
        with pytest.raises(EspoInputError, match=words):
            Manifest.from_json(json.dumps(content | change).encode())

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"Type": "x"}', b"\xff"])
    def test_so_is_what_is_none(self, data: bytes) -> None:
        with pytest.raises(EspoInputError):
            Manifest.from_json(data)

    def test_the_error_says_where_it_is(self, folder: Folder) -> None:
        for content in (b"{", b"[]", b'{"version": 1}', b'{"version": 99}'):
            folder.write_bytes("_manifest.json", content)
            with pytest.raises(EspoInputError, match=re.escape(f"{folder}/_manifest.json")):
                Manifest.read(folder)

    @pytest.mark.parametrize("name", ["../a", "/a", "a/b", "a\\b", ".a", "", None, "a\0"])
    def test_its_files_are_in_the_folder_and_nowhere_else(self, name: Any) -> None:
        with pytest.raises(EspoInputError, match="malformed"):
            FileEntry.from_dict(entry().as_dict() | {"name": name})


class TestProgress:
    def test_the_next_try_finds_what_was_stored(self, folder: Folder) -> None:
        progress = Progress.take_up(folder, NAMES, "f")
        assert progress.parts == []
        progress.plan(PLAN, end="2026-01-01 00:00:00")
        files = store(folder, rows(20), part=PLAN[1], records_per_file=10, on_file=progress.add_file)
        progress.finish_part(0)

        again = Progress.take_up(folder, NAMES, "f")
        assert again.parts == PLAN
        assert again.notes == {"end": "2026-01-01 00:00:00"}
        assert (again.files_of(0), again.files_of(1)) == ([], files)
        assert (again.is_finished(0), again.is_finished(1)) == (True, False)
        again.finish_part(1)
        assert Progress.take_up(folder, NAMES, "f").is_finished(1)

    def test_what_was_done_for_another_question_does_not_count(self, folder: Folder) -> None:
        Progress.take_up(folder, NAMES, "f").plan(PLAN)
        assert Progress.take_up(folder, NAMES, "g").parts == []

    def test_nor_does_another_run(self, folder: Folder) -> None:
        Progress.take_up(folder, NAMES, "f").plan(PLAN)
        assert Progress.take_up(folder, replace(NAMES, tag="ba9876543210"), "f").parts == []

    def test_mapped_tasks_keep_their_own(self, folder: Folder) -> None:
        Progress.take_up(folder, replace(NAMES, partition=3), "f").plan(PLAN)
        assert Progress.take_up(folder, replace(NAMES, partition=4), "f").parts == []
        assert folder.names() == ["_progress-0123456789ab-00003.json"]

    @pytest.mark.parametrize("lost", [0, 1, 2])
    def test_from_a_lost_file_on_the_part_is_read_anew(self, folder: Folder, lost: int) -> None:
        progress = Progress.take_up(folder, NAMES, "f")
        progress.plan(PLAN)
        kept = store(folder, rows(10), part=PLAN[0], on_file=progress.add_file, on_finish=progress.finish_part)
        files = store(
            folder,
            rows(30),
            part=PLAN[1],
            records_per_file=10,
            on_file=progress.add_file,
            on_finish=progress.finish_part,
        )
        folder.remove(files[lost].name)
        again = Progress.take_up(folder, NAMES, "f")
        assert (again.files_of(0), again.is_finished(0)) == (kept, True)
        assert (again.files_of(1), again.is_finished(1)) == (files[:lost], False)
        assert again.files == [*kept, *files[:lost]]

    def test_a_file_of_another_size_is_lost(self, folder: Folder) -> None:
        progress = Progress.take_up(folder, NAMES, "f")
        progress.plan(PLAN)
        (file,) = store(folder, rows(3), on_file=progress.add_file)
        folder.write_bytes(file.name, b"short")
        assert Progress.take_up(folder, NAMES, "f").files == []

    @pytest.mark.parametrize("data", [b"", b"[]", b'{"version": 1}', b"\xff"])
    def test_an_unreadable_one_is_none(self, folder: Folder, data: bytes) -> None:
        folder.write_bytes(NAMES.progress, data)
        assert Progress.take_up(folder, NAMES, "f").parts == []

    def test_parts_may_tell_at_the_same_time(self, local: Folder) -> None:
        progress = Progress.take_up(local, NAMES, "f")
        progress.plan([Part(number=number, of=8) for number in range(8)])

        def tell(number: int) -> None:
            store(local, rows(30), part=Part(number=number, of=8), on_file=progress.add_file, records_per_file=10)
            progress.finish_part(number)

        threads = [threading.Thread(target=tell, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again = Progress.take_up(local, NAMES, "f")
        assert all(again.is_finished(number) for number in range(8))
        assert [file.name for file in again.files] == local.names()[:24]

    def test_it_is_forgotten_when_the_manifest_tells_it(self, folder: Folder) -> None:
        progress = Progress.take_up(folder, NAMES, "f")
        progress.plan(PLAN)
        progress.note(checked=True)
        progress.remove()
        progress.remove()
        assert folder.names() == []


class TestNames:
    def test_tries_of_a_run_have_one_tag_and_other_runs_another(self) -> None:
        assert tag_of("dag", "run", 1) == tag_of("dag", "run", 1)
        assert (
            len({tag_of("dag", "run", 1), tag_of("dag", "run", 2), tag_of("dagr", "un", 1), tag_of("dag", None)}) == 4
        )
        assert len(tag_of("x")) == 12

    def test_files_follow_each_other_as_their_parts_do(self) -> None:
        names = [
            replace(NAMES, partition=partition).data(part, number, "csv")
            for partition in (0, 2, 10)
            for part in (0, 9, 11)
            for number in (0, 1, 12)
        ]
        assert sorted(names) == names

    def test_an_entity_type_leads_nowhere(self) -> None:
        with pytest.raises(EspoInputError):
            FileNames("../Lead", "0123456789ab")

    def test_only_what_nobody_names_any_more_is_cleaned_up(self, folder: Folder) -> None:
        old = FileNames("Lead", "ba9876543210")
        ours = [
            old.data(0, 0, "ndjson.gz"),
            replace(old, partition=1).data(2, 3, "parquet"),
            old.deleted(0, "ndjson"),
            old.progress,
            replace(old, partition=3).own("part"),
            old.own("ids", "ndjson.gz"),
        ]
        others = [
            "notes.txt",
            "Lead.csv",
            "Lead-2026-01.csv",
            "_SUCCESS",
            FileNames("Account", old.tag).data(0, 0, "csv"),
        ]
        kept = [NAMES.data(0, 0, "ndjson"), NAMES.own("ids", "ndjson.gz"), MANIFEST]
        for name in [*ours, *others, *kept]:
            folder.write_bytes(name, b"")
        assert clean_up(folder, "Lead", kept) == len(ours)
        assert folder.names() == sorted([*others, *kept])
        assert all(is_of_dataset(name, "Lead") for name in ours)

    def test_what_dead_tries_left_growing_goes_too(self, local: Folder) -> None:
        names = [f".{NAMES.data(0, 0, 'csv')}.0f.part", f".{MANIFEST}.0f.part", ".theirs.0f.part"]
        for name in names:
            local.write_bytes(name, b"")
        clean_up(local, "Lead", [])
        assert [path.name for path in local.path.iterdir()] == [".theirs.0f.part"]
