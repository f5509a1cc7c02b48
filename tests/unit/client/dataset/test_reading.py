"""Reading back: exactly what was stored, or an error that says which file and where in it."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.formats import FileFormat, writer_for
from airflow_provider_espo.client.dataset.manifest import TOMBSTONE_COLUMNS
from airflow_provider_espo.client.dataset.part_files import PartFiles
from airflow_provider_espo.client.dataset.reading import open_dataset, rows_of
from airflow_provider_espo.client.extraction import Part
from airflow_provider_espo.exceptions import EspoInputError, EspoStorageError
from tests.unit.client.dataset.datasets import FORMATS, NDJSON, manifest_of, page_of, rows, store

each_format = pytest.mark.parametrize("file_format", FORMATS, ids=lambda it: f"{it.name}-{it.compression}")
gzipped = pytest.mark.parametrize("name", ["ndjson", "csv"])


def stored(folder: Folder, file_format: FileFormat = NDJSON, **more: Any) -> None:
    """A dataset of 30 records in three files."""
    manifest_of(store(folder, rows(30), file_format, records_per_file=10), file_format, **more).write(folder)


def damage(folder: Folder, name: str, position: int = 40) -> None:
    """Change one bit; the size stays."""
    content = bytearray(folder.read_bytes(name))
    content[position] ^= 1
    folder.write_bytes(name, bytes(content))


class TestDatasets:
    @each_format
    def test_by_the_manifest_the_records_come_back_as_they_were(self, folder: Folder, file_format: FileFormat) -> None:
        stored(folder, file_format)
        assert list(open_dataset(folder).rows(verify=True)) == rows(30)
        assert list(rows_of(folder.path)) == [
            {name: value for name, value in row.items() if file_format.name != "csv" or value is not None}
            for row in rows(30)
        ]

    def test_files_that_the_manifest_does_not_name_are_not_read(self, folder: Folder) -> None:
        stored(folder)
        folder.write_bytes("Lead-ba9876543210-00000-0000.ndjson", b'{"id": "of the next run"}\n')
        assert list(open_dataset(folder).rows()) == rows(30)

    def test_without_one_all_files_of_known_formats_are_read_in_order(self, folder: Folder) -> None:
        folder.write_bytes("b.csv", b"id,name\r\n3,\r\n")
        folder.write_bytes("a.ndjson.gz", gzip.compress(b'{"id": "1"}\n{"id": "2"}\n'))
        folder.write_bytes("_progress.ndjson", b"no record")
        folder.write_bytes("notes.txt", b"no record")
        assert list(rows_of(folder)) == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
        assert list(rows_of(folder, empty_cells="none"))[2] == {"id": "3", "name": None}

    @each_format
    def test_tombstones_are_apart(self, folder: Folder, file_format: FileFormat) -> None:
        gone = {"id": "1", "deleted": True, "detectedAt": "2026-01-01 00:00:00"}
        name = f"Lead-0123456789ab-deleted-0000.{file_format.extension}"
        tombstones = PartFiles(folder, writer_for(file_format, TOMBSTONE_COLUMNS), lambda _: name, Part())
        tombstones.write(page_of([gone]))
        tombstones.finish()
        manifest_of(store(folder, rows(3), file_format), file_format, deleted=tuple(tombstones.files)).write(folder)
        dataset = open_dataset(folder)
        assert (list(dataset.rows()), list(dataset.deleted())) == (rows(3), [gone])

    def test_an_empty_one_has_no_rows(self, folder: Folder) -> None:
        manifest_of([]).write(folder)
        assert list(open_dataset(folder).rows(verify=True)) == []

    def test_a_folder_with_nothing_to_read_is_the_callers_mistake(self, folder: Folder) -> None:
        folder.write_bytes("notes.txt", b"")
        with pytest.raises(EspoInputError, match="no manifest and no file of a known format"):
            open_dataset(folder)

    @each_format
    def test_a_changed_file_is_found_before_the_first_row(self, local: Folder, file_format: FileFormat) -> None:
        stored(local, file_format)
        name = local.names()[1]
        damage(local, name)
        for reader in (open_dataset(local).rows(verify=True), rows_of(local)):
            with pytest.raises(EspoInputError, match=f"{name} has another checksum"):
                next(reader)

    def test_a_file_that_changes_between_the_look_and_the_read_is_found(self, folder: Folder) -> None:
        stored(folder)
        reader = open_dataset(folder).rows()
        next(reader)
        folder.write_bytes(folder.names()[2], b"")
        with pytest.raises(EspoInputError, match="has 0 bytes"):
            list(reader)

    def test_a_file_that_was_cut_off_is_found_without_checksums(self, folder: Folder) -> None:
        stored(folder)
        name = folder.names()[2]
        folder.write_bytes(name, folder.read_bytes(name)[:-1])
        with pytest.raises(EspoInputError, match=rf"{name} has \d+ bytes, and not \d+ as stored"):
            next(open_dataset(folder).rows())

    def test_a_missing_file_is_named(self, folder: Folder) -> None:
        stored(folder)
        name = folder.names()[1]
        folder.remove(name)
        with pytest.raises(EspoInputError, match=f"{name} is not there, and the manifest names it") as caught:
            next(open_dataset(folder).rows())
        assert "Restore the file" in str(caught.value)

    def test_records_are_counted(self, local: Folder) -> None:
        (file,) = store(local, rows(3))
        manifest_of([replace(file, records=4)]).write(local)
        with pytest.raises(EspoInputError, match="holds 3 records, and not 4 as stored"):
            list(open_dataset(local).rows())

    def test_sidecars_are_verified_too(self, local: Folder) -> None:
        (file,) = store(local, rows(3))
        manifest_of([], sidecars={"ids": (file,)}).write(local)
        open_dataset(local).check(contents=True)
        damage(local, file.name)
        open_dataset(local).check()
        with pytest.raises(EspoInputError, match="another checksum"):
            open_dataset(local).check(contents=True)


class TestSingleFiles:
    @each_format
    def test_the_name_tells_the_format(self, folder: Folder, file_format: FileFormat) -> None:
        (file,) = store(folder, rows(20), file_format)
        assert [row["id"] for row in rows_of(folder / file.name)] == [row["id"] for row in rows(20)]

    @pytest.mark.parametrize(("name", "content"), [("x", b"id\n1\n"), ("x.gz", gzip.compress(b"id\n1\n", mtime=0))])
    def test_or_the_caller_does(self, folder: Folder, name: str, content: bytes) -> None:
        folder.write_bytes(name, content)
        assert list(rows_of(folder / name, "csv")) == [{"id": "1"}]

    def test_or_nobody(self, local: Folder) -> None:
        local.write_bytes("x.dat", b"")
        with pytest.raises(EspoInputError, match=r"x\.dat does not tell.*file_format"):
            list(rows_of(local / "x.dat"))
        with pytest.raises(EspoInputError, match="file format xml"):
            rows_of(local / "x.dat", "xml")

    def test_a_missing_one_is_the_callers_mistake(self, folder: Folder) -> None:
        with pytest.raises(EspoInputError, match="is not there"):
            list(rows_of(folder / "x.csv"))

    def test_a_missing_folder_is_told_as_such(self, folder: Folder) -> None:
        with pytest.raises(EspoInputError, match="neither as a file nor as a folder"):
            list(rows_of(folder / "inbox"))

    def test_a_local_path_may_be_text(self, tmp_path: Path) -> None:
        (tmp_path / "x.jsonl").write_text('{"id": "1"}\n')
        assert list(rows_of(str(tmp_path / "x.jsonl"))) == [{"id": "1"}]

    @gzipped
    def test_a_gzip_file_that_is_cut_off_is_no_file(self, folder: Folder, name: Any) -> None:
        (file,) = store(folder, rows(2_000), FileFormat(name, "gzip"), page_size=200)
        content = folder.read_bytes(file.name)
        for cut in (content[: len(content) // 2], content[:-4], content[:5]):
            folder.write_bytes(file.name, cut)
            with pytest.raises(EspoInputError, match=f"{file.name} is no gzip file, or is damaged or broken off"):
                list(rows_of(folder / file.name))

    @gzipped
    def test_nor_is_one_that_is_damaged_or_none_at_all(self, local: Folder, name: Any) -> None:
        (file,) = store(local, rows(2_000), FileFormat(name, "gzip"), page_size=200)
        whole = local.read_bytes(file.name)
        for position in (0, 400, len(whole) - 6):
            local.write_bytes(file.name, whole)
            damage(local, file.name, position)
            with pytest.raises(EspoInputError, match=f"{file.name} is no"):
                list(rows_of(local / file.name))

    def test_a_disk_that_goes_away_is_not_the_files_fault(self, local: Folder) -> None:
        class Gone:
            name = "x.ndjson"

            def is_dir(self) -> bool:
                return False

            def iterdir(self) -> Any:
                raise AssertionError

            def stat(self) -> Any:
                raise AssertionError

            def open(self, _mode: str) -> Any:
                raise OSError(5, "Input/output error")

        with pytest.raises(EspoStorageError, match=r"cannot be read: Input/output error\. Mend the way"):
            list(rows_of(Gone()))

    def test_an_object_store_is_read_in_blocks(self, memory: fsspec.AbstractFileSystem) -> None:
        path = ObjectStoragePath("memory://blocks/x.ndjson")
        path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows(5_000)))
        assert sum(1 for _ in rows_of(path)) == 5_000
        memory.rm("/blocks", recursive=True)


class TestNdjson:
    def test_empty_lines_a_mark_at_the_beginning_and_a_missing_last_break_do_not_matter(self, local: Folder) -> None:
        local.write_bytes("x.ndjson", b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}')
        assert list(rows_of(local / "x.ndjson")) == [{"a": 1}, {"a": 2}]

    @pytest.mark.parametrize("line", [b"{", b"[1]", b'"text"', b'{"a": "\xff"}', b"{} {}", b"null", b'{"SECRET": NaN}'])
    def test_a_line_that_is_no_object_is_told_by_its_number(self, local: Folder, line: bytes) -> None:
        local.write_bytes("x.ndjson", b'{"a": 1}\n\n' + line + b"\n")
        with pytest.raises(EspoInputError, match=r"x\.ndjson is no NDJSON: line 3 ") as caught:
            list(rows_of(local / "x.ndjson"))
        assert "SECRET" not in str(caught.value)

    def test_rows_before_it_come(self, local: Folder) -> None:
        local.write_bytes("x.ndjson", b'{"a": 1}\n{')
        assert next(iter(rows_of(local / "x.ndjson"))) == {"a": 1}

    def test_a_line_without_an_end_does_not_fill_the_memory(
        self, local: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_espo.client.dataset.ndjson._LONGEST_LINE", 100)
        local.write_bytes("x.ndjson", b'{"a": "' + b"x" * 200)
        with pytest.raises(EspoInputError, match="line 1 has no end"):
            list(rows_of(local / "x.ndjson"))


class TestCsv:
    def read(self, folder: Folder, content: bytes, **options: Any) -> list[Any]:
        folder.write_bytes("x.csv", content)
        return list(rows_of(folder / "x.csv", **options))

    def test_cells_are_text_as_they_stand(self, local: Folder) -> None:
        content = '\ufeffid,n,"a ""b"""\r\n1, 2 ,"x\r\ny,"\r\n\r\n2,3,é\n'.encode()
        assert self.read(local, content) == [
            {"id": "1", "n": " 2 ", 'a "b"': "x\r\ny,"},
            {"id": "2", "n": "3", 'a "b"': "é"},
        ]

    def test_empty_cells_are_left_out_or_none(self, local: Folder) -> None:
        assert self.read(local, b"a,b\n,1\n") == [{"b": "1"}]
        assert self.read(local, b"a,b\n,1\n", empty_cells="none") == [{"a": None, "b": "1"}]

    def test_another_delimiter_can_be_given(self, local: Folder) -> None:
        assert self.read(local, b"a;b\n1,5;2\n", delimiter=";") == [{"a": "1,5", "b": "2"}]

    def test_long_texts_are_read(self, local: Folder) -> None:
        assert self.read(local, b"a\n" + b"x" * 1_000_000)[0]["a"] == "x" * 1_000_000

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"a,b\n1,2\n1\n", "line 3: the row has 1 cells, the header 2"),
            (b'a,b\n"1\n1",2\n1,2,3\n', "line 4: the row has 3 cells, the header 2"),
            (b'a,b\n1,"2\n', "no CSV at line 2"),
            (b'a,b\n1,"2"x\n', "no CSV at line 2"),
            (b"a,b\n1,\xff\n", "not UTF-8"),
            (b"a,\n1,2\n", "a column of the header has no name"),
            (b"a,b,a\n1,2,3\n", "names a column twice"),
        ],
    )
    def test_what_is_no_table_is_told_with_its_line(self, local: Folder, content: bytes, words: str) -> None:
        with pytest.raises(EspoInputError, match=words):
            self.read(local, content)

    def test_a_cell_that_is_not_of_its_columns_kind_is_an_error(self, local: Folder) -> None:
        (file,) = store(local, rows(1), FileFormat("csv"))
        content = local.read_bytes(file.name).replace(b"false", b"SECRT")
        local.write_bytes(file.name, content)
        manifest_of([file], FileFormat("csv")).write(local)
        with pytest.raises(EspoInputError, match=r"csv, row 1: active: a cell is not of the kind bool") as caught:
            list(open_dataset(local).rows())
        assert "SECRT" not in str(caught.value)


def test_a_reader_that_is_left_closes_its_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for file_format in FORMATS:
        (file,) = store(folder, rows(100), file_format)
        reader = rows_of(folder / file.name)
        next(reader)
        reader.close()  # type: ignore[attr-defined]
        folder.remove(file.name)


def test_pages_may_be_empty(local: Folder) -> None:
    for file_format in FORMATS:
        assert store(local, [], file_format) == []
        page = page_of([])
        assert len(page) == 0
