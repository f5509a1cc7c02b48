"""The file that an import task works on, and what its columns mean."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.paths import file_at

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_espo.client.csv_files import CsvFacts
    from airflow_provider_espo.hooks.espo import EspoHook

#: Parts of the format that rows do not leave to the author: they are written in the one that EspoCRM takes by default.
_NOT_OF_ROWS = frozenset(
    {"header_row", "delimiter", "text_qualifier", "date_format", "time_format", "timezone", "decimal_mark"}
)
CSV_FORMAT = _NOT_OF_ROWS | {"currency", "person_name_format"}

#: Attributes in the order of the columns, or by the name that a column has in the file; ``None`` leaves one out.
Columns: TypeAlias = "Sequence[str | None] | Mapping[str, str | None] | None"


@dataclass(frozen=True)
class ImportFile:
    """A CSV file that was looked through.

    :param file: where it is.
    :param columns: attributes of its columns, ``""`` for those to be left out.
    :param facts: what it holds.
    """

    file: Any
    columns: list[str]
    facts: CsvFacts


def check_csv_format(csv_format: object, *, of_rows: bool) -> dict[str, Any]:
    """Return the parts of a format that are not the default, or say what is wrong with them.

    :param csv_format: as the author gave it.
    :param of_rows: whether the file is written of rows.
    """
    if csv_format is None:
        return {}
    if not isinstance(csv_format, Mapping):
        raise EspoInputError(f"csv_format is a {type(csv_format).__name__} and not a dict")
    if unknown := sorted(str(name) for name in csv_format if name not in CSV_FORMAT):
        raise EspoInputError(f"csv_format has {', '.join(unknown)}", hint=f"There are {', '.join(sorted(CSV_FORMAT))}")
    if of_rows and (taken := sorted(_NOT_OF_ROWS & csv_format.keys())):
        raise EspoInputError(f"csv_format has {', '.join(taken)}, which is about files and not about rows")
    for name in ("delimiter", "text_qualifier"):
        value = csv_format.get(name, ",")
        if not isinstance(value, str) or len(value) != 1:
            raise EspoInputError(f"{name} is not one character")
    return dict(csv_format)


@contextmanager
def import_file(
    hook: EspoHook,
    entity_type: str,
    *,
    path: str | ObjectStoragePath | None,
    rows: Sequence[Mapping[str, Any]] | None,
    columns: Columns,
    csv_format: Mapping[str, Any],
) -> Iterator[ImportFile]:
    """Look through the file, or write one of the rows, and tell what its columns mean.

    :raises EspoInputError: the file cannot be read; the columns do not fit it; a row cannot be sent.
    """
    from airflow_provider_espo.client.csv_files import examine, write_rows
    from airflow_provider_espo.client.files import Source
    from airflow_provider_espo.client.operations.imports import check_columns

    if rows is None and path is not None:
        file = file_at("path", path)
        source = Source(file)
        try:
            facts = examine(
                source,
                delimiter=csv_format.get("delimiter", ","),
                text_qualifier=csv_format.get("text_qualifier", '"'),
                header_row=csv_format.get("header_row", True),
            )
        finally:
            source.close()
        names = check_columns(_columns_of(facts, columns))
        _refuse_other_number(facts, names)
        yield ImportFile(file, names, facts)
        return
    wire = _as_sent(hook, entity_type, rows)
    names = check_columns(_columns_of_rows(wire, columns))
    if "" in names:
        raise EspoInputError("columns leaves something out", hint="Of rows, name only the attributes to import")
    with tempfile.TemporaryDirectory(prefix="espo-") as folder:
        written = Path(folder) / "rows.csv"
        facts = write_rows(written, names, wire)
        yield ImportFile(written, names, facts)


def _columns_of(facts: CsvFacts, columns: Columns) -> Sequence[str | None]:
    if columns is not None and not isinstance(columns, Mapping):
        return columns
    if not facts.header:
        raise EspoInputError(
            "The file has no header row that names its columns", hint="Give columns as a list, one for each column"
        )
    header = [name.strip() for name in facts.header]
    if columns is None:
        return header
    if missing := sorted(name for name in columns if name not in header):
        raise EspoInputError(f"The file has no column {', '.join(map(repr, missing))}")
    return [columns.get(name) for name in header]


def _refuse_other_number(facts: CsvFacts, names: Sequence[str]) -> None:
    if facts.header and len(facts.header) != len(names):
        raise EspoInputError(f"The file has {len(facts.header)} columns and columns names {len(names)}")
    if facts.most_values > len(names):
        raise EspoInputError(
            f"Line {facts.longest_line} has {facts.most_values} values for {len(names)} columns",
            hint="EspoCRM would leave out what is too much. Look at the delimiter and at missing quotes",
        )


def _as_sent(hook: EspoHook, entity_type: str, rows: Sequence[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """Rows with values as they are sent to EspoCRM."""
    from airflow_provider_espo.client.operations.schema import checked_schema
    from airflow_provider_espo.client.values import to_wire

    if isinstance(rows, str | Mapping) or not isinstance(rows, Sequence):
        raise EspoInputError(f"rows is a {type(rows).__name__} and not a list of dicts")
    schema = hook.run(checked_schema(hook.state, entity_type, lambda _: None))
    sent: list[Mapping[str, Any]] = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise EspoInputError(f"Row {number} is a {type(row).__name__} and not a dict")
        try:
            sent.append(to_wire(row, schema))
        except EspoInputError as error:
            raise EspoInputError(f"Row {number}: {error.message}", hint=error.hint) from None
    return sent


def _columns_of_rows(rows: Sequence[Mapping[str, Any]], columns: Columns) -> Sequence[str | None]:
    if isinstance(columns, Mapping):
        raise EspoInputError("columns goes by the names in a file; of rows, the keys are the attributes")
    named = list(dict.fromkeys(name for row in rows for name in row))
    if columns is None:
        return named
    if extra := [name for name in named if name not in columns]:
        raise EspoInputError(f"rows have {', '.join(extra)}, which columns does not name")
    return columns
