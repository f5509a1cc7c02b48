"""Parquet: typed columns, bounded row groups, and the files of others."""

from __future__ import annotations

import datetime as dt
import errno
import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_espo.client.column_types.columns import Column
from airflow_provider_espo.client.dataset import parquet
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.formats import FileFormat, writer_for
from airflow_provider_espo.client.dataset.part_files import PartFiles
from airflow_provider_espo.client.dataset.reading import rows_of
from airflow_provider_espo.client.extraction import Part
from airflow_provider_espo.exceptions import EspoBadAnswerError, EspoInputError, EspoStorageError
from tests.unit.client.dataset.datasets import files_in, page_of, pages_of, rows, store

PARQUET = FileFormat("parquet")

KINDS = (
    Column("id", "id", nullable=False),
    Column("amount", "decimal", scale=2),
    Column("closeDate", "date"),
    Column("createdAt", "datetime"),
    Column("number", "int"),
    Column("teamsIds", "ids"),
    Column("teamsNames", "names"),
    Column("phoneNumberData", "phone_data"),
)
RECORD: dict[str, Any] = {
    "id": "1",
    "amount": "12.50",
    "closeDate": "2026-02-28",
    "createdAt": "0987-02-28 23:59:59",
    "number": 2**53 + 1,
    "teamsIds": ["a", "b"],
    "teamsNames": {"a": "A"},
    "phoneNumberData": [{"phoneNumber": "+1", "primary": True}],
}
NOTHING = {column.name: None for column in KINDS} | {"id": "2"}


def write(folder: Folder, records: list[dict[str, Any]], columns: tuple[Column, ...] = KINDS) -> str:
    files = PartFiles(folder, writer_for(PARQUET, columns), lambda _: "x.parquet", Part())
    files.write(page_of(records))
    files.finish()
    return "x.parquet"


def write_table(folder: Folder, values: dict[str, Any]) -> Any:
    pq.write_table(pa.table(values), str(folder / "x.parquet"))
    return folder / "x.parquet"


def test_columns_have_types_that_other_tools_know(local: Folder) -> None:
    schema = pq.read_schema(str(local / write(local, [RECORD])))
    assert schema.field("createdAt").type == pa.timestamp("us", tz="UTC")
    assert schema.field("closeDate").type == pa.date32()
    assert pa.types.is_decimal(schema.field("amount").type)
    assert schema.field("teamsIds").type == pa.list_(pa.string())
    assert not schema.field("id").nullable


def test_values_of_each_kind_come_back(folder: Folder) -> None:
    assert list(rows_of(folder / write(folder, [RECORD, NOTHING]))) == [RECORD, NOTHING]


@pytest.mark.parametrize(("compression", "codec"), [(None, "SNAPPY"), ("gzip", "GZIP")])
def test_it_compresses_within(local: Folder, compression: Any, codec: str) -> None:
    (file,) = store(local, rows(10), FileFormat("parquet", compression))
    assert file.name.endswith(".parquet")
    assert pq.read_metadata(str(local / file.name)).row_group(0).column(0).compression == codec


def test_row_groups_are_bounded_by_rows(local: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_OF_A_GROUP", 40)
    (file,) = store(local, rows(100), PARQUET, page_size=20)
    metadata = pq.read_metadata(str(local / file.name))
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [40, 40, 20]


def test_and_by_bytes(local: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BYTES_OF_A_GROUP", 1)
    (file,) = store(local, rows(100), PARQUET, page_size=20)
    assert pq.read_metadata(str(local / file.name)).num_row_groups == 5


def test_a_value_that_does_not_fit_leaves_no_file(local: Folder) -> None:
    files = files_in(local, PARQUET)
    files.write(page_of(rows(1)))
    with pytest.raises(EspoBadAnswerError, match="amount of record"):
        files.write(page_of([rows(2)[1] | {"amount": "SECRET"}]))
    assert list(local.path.iterdir()) == []


def test_a_full_disk_is_told_as_for_any_format(local: Folder) -> None:
    files = files_in(local, PARQUET)
    for page in pages_of(rows(100), 50):
        files.write(page)

    class Full:
        def write(self, _data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name: str) -> Any:
            return getattr(part, name)

    assert files._file is not None
    part = files._file._part
    files._file._part = Full()  # type: ignore[assignment]
    with pytest.raises(EspoStorageError, match="No space left on device"):
        files.finish()
    assert list(local.path.iterdir()) == []


def test_a_broken_off_file_is_forgotten_without_a_word(local: Folder) -> None:
    files = files_in(local, PARQUET)
    files.write(page_of(rows(10)))
    files.discard()
    assert list(local.path.iterdir()) == []
    assert store(local, rows(3), PARQUET)[0].records == 3


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, local: Folder) -> None:
    monkeypatch.setattr(parquet, "find_spec", lambda _name: None)
    with pytest.raises(EspoInputError, match=r"pip install 'airflow-provider-espo\[parquet\]'"):
        FileFormat.of("parquet")
    extras = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    assert [it.partition(">")[0] for it in extras["optional-dependencies"]["parquet"]] == ["pyarrow"]
    local.write_bytes("x.parquet", b"")
    with pytest.raises(EspoInputError, match="pip install"):
        list(rows_of(local / "x.parquet"))


class TestFilesOfOthers:
    def test_moments_come_as_espocrm_writes_them(self, local: Folder) -> None:
        berlin = pa.array([1_767_225_599_999_999_999], pa.timestamp("ns", tz="Europe/Berlin"))
        path = write_table(
            local,
            {
                "zoned": berlin,
                "naive": pa.array([dt.datetime.fromisoformat("2026-01-01T12:00:00.000999")]),
                "day": pa.array([dt.date(2026, 1, 1)], pa.date64()),
            },
        )
        assert list(rows_of(path)) == [
            {"zoned": "2025-12-31 23:59:59", "naive": "2026-01-01 12:00:00", "day": "2026-01-01"}
        ]

    def test_numbers_and_texts_come_as_json_has_them(self, local: Folder) -> None:
        path = write_table(
            local,
            {
                "decimal": pa.array([Decimal("1E+3"), None]),
                "missing": pa.array([float("nan"), 1.5]),
                "choice": pa.array(["a", "b"]).dictionary_encode(),
                "large": pa.array(["x", None], pa.large_string()),
                "empty": pa.nulls(2),
                "small": pa.array([1, 2], pa.uint8()),
            },
        )
        assert list(rows_of(path)) == [
            {"decimal": "1000", "missing": None, "choice": "a", "large": "x", "empty": None, "small": 1},
            {"decimal": None, "missing": 1.5, "choice": "b", "large": None, "empty": None, "small": 2},
        ]

    def test_lists_and_structs_are_taken_apart(self, local: Folder) -> None:
        path = write_table(
            local,
            {
                "struct": [{"at": dt.datetime.fromisoformat("2026-01-01"), "list": [Decimal("1.5"), None]}],
                "list": pa.array([["a"]], pa.large_list(pa.string())),
                "map": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
            },
        )
        (row,) = rows_of(path)
        assert row == {
            "struct": {"at": "2026-01-01 00:00:00", "list": ["1.5", None]},
            "list": ["a"],
            "map": {"k": "v"},
        }
        assert json.dumps(row)

    @pytest.mark.parametrize(
        "array", [pa.array([b"SECRET"]), pa.array([dt.time(1)]), pa.array([[b"SECRET"]]), pa.array([dt.timedelta(1)])]
    )
    def test_what_json_has_no_form_for_is_named(self, local: Folder, array: pa.Array) -> None:
        path = write_table(local, {"id": ["1"], "blob": array})
        with pytest.raises(EspoInputError, match=r"x\.parquet.* column blob") as caught:
            list(rows_of(path))
        assert "SECRET" not in str(caught.value)

    def test_a_large_row_group_is_not_read_at_once(self, local: Folder) -> None:
        path = write_table(local, {"id": [str(number) for number in range(5_000)]})
        before = pa.total_allocated_bytes()
        reader = rows_of(path)
        assert next(reader) == {"id": "0"}
        assert sum(1 for _ in reader) == 4_999
        assert pa.total_allocated_bytes() - before < 1_000_000

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 30, b"id,name\n1,2\n" * 10])
    def test_a_file_that_is_none_is_told(self, folder: Folder, content: bytes) -> None:
        folder.write_bytes("x.parquet", content)
        with pytest.raises(EspoInputError, match=r"x\.parquet is no Parquet file"):
            list(rows_of(folder / "x.parquet"))

    def test_so_is_one_that_is_damaged_within(self, local: Folder) -> None:
        (file,) = store(local, rows(2_000), PARQUET, page_size=200)
        content = bytearray(local.read_bytes(file.name))
        content[200:1200] = bytes(1000)
        local.write_bytes(file.name, bytes(content))
        with pytest.raises(EspoInputError, match="is damaged"):
            list(rows_of(local / file.name))
