"""Part files: of a set size, whole, the same for the same records, and taken up where an earlier try stopped."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import json
from typing import Any

import pytest

from airflow_provider_espo.client.dataset.entries import FileEntry
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.formats import FileFormat, writer_for
from airflow_provider_espo.client.dataset.part_files import PartFiles
from airflow_provider_espo.client.extraction import Part
from airflow_provider_espo.exceptions import EspoInputError
from tests.unit.client.dataset.datasets import COLUMNS, FORMATS, NDJSON, files_in, page_of, pages_of, rows, store


def test_files_have_so_many_records_and_pages_stay_whole(folder: Folder) -> None:
    files = store(folder, rows(45), page_size=10, records_per_file=15)
    assert [file.records for file in files] == [20, 20, 5]
    assert folder.names() == [file.name for file in files]
    assert files[0].name == "Lead-0123456789ab-00000-0000.ndjson"


def test_an_entry_tells_size_checksum_and_where_the_file_begins_and_ends(folder: Folder) -> None:
    part = Part(number=2, of=3, after="00000000000000003", up_to="z")
    files = store(folder, rows(20, first=4), part=part, records_per_file=10)
    for file in files:
        content = folder.read_bytes(file.name)
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert file.part == 2
    ids = ["00000000000000003", "00000000000000013", "00000000000000023"]
    assert [(file.after, file.last_id) for file in files] == list(itertools.pairwise(ids))


def test_ndjson_holds_the_records_as_they_came(folder: Folder) -> None:
    given = rows(5)
    (file,) = store(folder, given)
    assert folder.read_bytes(file.name) == b"".join(json.dumps(row).encode() + b"\n" for row in given)


def test_csv_is_rfc_4180_with_a_header_and_json_in_cells(folder: Folder) -> None:
    (file,) = store(folder, rows(2), FileFormat("csv"))
    content = folder.read_bytes(file.name)
    assert content.startswith(b"id,name,amount,active,tags\r\n")
    assert content.endswith(b"\r\n")
    assert list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))[1:] == [
        ["0" * 17, 'Mårten\n"0", Ltd', "0.0", "false", ""],
        ["0" * 16 + "1", 'Mårten\n"1", Ltd', "0.25", "true", '["a","b,c"]'],
    ]


def test_each_file_of_csv_has_the_header(folder: Folder) -> None:
    for file in store(folder, rows(20), FileFormat("csv"), records_per_file=10):
        assert folder.read_bytes(file.name).startswith(b"id,name")


@pytest.mark.parametrize("name", ["ndjson", "csv"])
def test_gzip_holds_the_same_and_neither_time_nor_name(local: Folder, name: Any) -> None:
    (plain,) = store(local, rows(50), FileFormat(name))
    (packed,) = store(local, rows(50), FileFormat(name, "gzip"))
    content = local.read_bytes(packed.name)
    assert gzip.decompress(content) == local.read_bytes(plain.name)
    assert packed.name == plain.name + ".gz"
    # Flags say that no name follows; then the time.
    assert content[3:8] == bytes(5)


@pytest.mark.parametrize("file_format", FORMATS, ids=lambda it: it.extension)
def test_the_same_records_give_the_same_bytes(local: Folder, file_format: FileFormat) -> None:
    first = store(local, rows(30), file_format, records_per_file=20)
    assert store(local, rows(30), file_format, records_per_file=20) == first


@pytest.mark.parametrize("file_format", FORMATS, ids=lambda it: it.extension)
def test_a_later_try_makes_the_same_files_as_one_that_was_not_broken_off(
    local: Folder, file_format: FileFormat
) -> None:
    given = rows(60)
    whole = store(local, given, file_format, records_per_file=20)
    told: list[FileEntry] = []
    broken = files_in(local, file_format, records_per_file=20, on_file=told.append)
    for page in pages_of(given[:50], 10):
        broken.write(page)
    broken.discard()
    assert [file.records for file in told] == [20, 20]

    again = files_in(local, file_format, records_per_file=20, done=told)
    assert again.after == given[39]["id"]
    for page in pages_of(given[40:], 10):
        again.write(page)
    again.finish()
    assert again.files == whole


def test_a_file_is_told_of_when_it_is_stored_and_a_part_when_all_of_it_is(folder: Folder) -> None:
    told: list[Any] = []

    def on_file(entry: FileEntry) -> None:
        told.append((entry.records, folder.exists(entry.name)))

    store(folder, rows(30), part=Part(number=4, of=5), records_per_file=20, on_file=on_file, on_finish=told.append)
    assert told == [(20, True), (10, True), 4]


def test_a_part_without_records_has_no_file_and_is_finished(folder: Folder) -> None:
    told: list[int] = []
    assert store(folder, [], on_finish=told.append) == []
    assert (folder.names(), told) == ([], [0])


def test_records_that_were_left_out_of_a_page_count_as_walked_over(local: Folder) -> None:
    files = files_in(local, records_per_file=3)
    given = rows(9)
    files.write(page_of(given[:2]), up_to=given[3]["id"])
    files.write(page_of([]), up_to=given[5]["id"])
    files.write(page_of(given[6:7]), up_to=given[7]["id"])
    files.write(page_of([]), up_to=given[8]["id"])
    files.finish()
    (file,) = files.files
    assert (file.records, file.last_id) == (3, given[7]["id"])


def test_what_a_writer_raises_leaves_no_file(local: Folder) -> None:
    files = files_in(local, FileFormat("csv", "gzip"))
    files.write(page_of(rows(1)))
    broken = page_of(rows(2))
    broken.rows = [b"no JSON"]
    with pytest.raises(Exception, match="JSON"):
        files.write(broken)
    assert list((local.path).iterdir()) == []


@pytest.mark.parametrize("size", [0, -1, True, 1.5])
def test_a_file_has_a_number_of_records(local: Folder, size: Any) -> None:
    with pytest.raises(EspoInputError, match="whole number"):
        PartFiles(local, writer_for(NDJSON, COLUMNS), str, Part(), records_per_file=size)


class TestFormats:
    @pytest.mark.parametrize(
        ("name", "compression", "words"),
        [("xlsx", None, "file format xlsx"), (None, None, "of type NoneType"), ("csv", "zip", "compression zip")],
    )
    def test_an_unknown_one_is_refused(self, name: Any, compression: Any, words: str) -> None:
        with pytest.raises(EspoInputError, match=words):
            FileFormat.of(name, compression)

    def test_none_is_no_compression(self) -> None:
        assert FileFormat.of("csv", "none") == FileFormat.of("csv") == FileFormat("csv")

    @pytest.mark.parametrize(
        ("name", "known"),
        [
            ("a.ndjson", FileFormat("ndjson")),
            ("a.b.JSONL.gz", FileFormat("ndjson", "gzip")),
            ("a.csv.gz", FileFormat("csv", "gzip")),
            ("a.parquet", FileFormat("parquet")),
            ("a.parquet.gz", None),
            ("csv", None),
            (".csv", None),
            ("a.txt", None),
        ],
    )
    def test_a_name_tells_it_or_not(self, name: str, known: FileFormat | None) -> None:
        assert FileFormat.of_file(name) == known

    @pytest.mark.parametrize("file_format", FORMATS, ids=lambda it: it.extension)
    def test_names_that_are_given_tell_it(self, file_format: FileFormat) -> None:
        # Of Parquet the file itself tells how it is compressed.
        known = FileFormat("parquet") if file_format.name == "parquet" else file_format
        assert FileFormat.of_file(f"x.{file_format.extension}") == known
