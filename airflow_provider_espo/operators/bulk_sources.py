"""Where the rows of a bulk write come from: a list, a file, a dataset. Read as they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.paths import file_at

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_espo.client.dataset.reading import EmptyCells

#: What becomes of an empty cell of CSV, in our words and in those of the reader.
_EMPTY_CELLS: Final[Mapping[str, EmptyCells]] = {"leave": "omit", "clear": "none"}


@dataclass(frozen=True)
class Source:
    """Rows, and whether their values are texts.

    :param rows: read one after the other.
    :param texts: whether they come from CSV, which has nothing but texts.
    """

    rows: Iterable[Any]
    texts: bool = False


def from_list(rows: object) -> Source:
    """Return rows that were given.

    :raises EspoInputError: they are no list.
    """
    from airflow_provider_espo.client.wording import a_kind

    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise EspoInputError(
            f"rows is {a_kind(rows)} and not a list of dicts",
            hint="With a template that gives a list, set render_template_as_native_obj=True in the DAG or pass XCom's "
            "output directly",
        )
    return Source(rows)


def from_path(path: str | ObjectStoragePath, file_format: str | None, empty_cells: str) -> Source:
    """Return the rows of a file, of a folder's files, or of a dataset.

    :param path: where it is.
    :param file_format: ``ndjson``, ``csv`` or ``parquet``; by default the name tells.
    :param empty_cells: ``leave`` or ``clear``.
    :raises EspoInputError: there is no such file, or it is of no known format.
    """
    from pathlib import Path

    from airflow_provider_espo.client.dataset.folder import Folder, is_folder
    from airflow_provider_espo.client.dataset.formats import FileFormat
    from airflow_provider_espo.client.dataset.reading import Dataset, open_dataset, rows_of

    if empty_cells not in _EMPTY_CELLS:
        raise EspoInputError("empty_cells is neither leave nor clear")
    if file_format is not None:
        FileFormat.of(file_format)
    given = file_at("path", path)
    where = Path(given) if isinstance(given, str) else given
    source: Dataset | Any = where
    known = [file_format]
    if is_folder(where):
        source = open_dataset(Folder(where))
        known = [None if (one := FileFormat.of_file(name)) is None else one.name for name in source.names]
    elif file_format is None:
        known = [None if (one := FileFormat.of_file(str(where))) is None else one.name]
    rows = rows_of(source, file_format, empty_cells=_EMPTY_CELLS[empty_cells])
    return Source(rows, texts="csv" in known)
