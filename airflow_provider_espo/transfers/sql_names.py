"""Names of tables and columns: read, made of attributes' names, and refused where a database would bend them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.errors import EspoInputError

if TYPE_CHECKING:
    from airflow_provider_espo.client.column_types.columns import Column

ColumnNames = Literal["attributes", "snake"]

#: What stands between a table's name and the tag of a run, in the name of the table that the run loads beside.
BESIDE = "__espo_"

_RESERVED_NAMES = ("sqlite_", "pg_")
_RESERVED_SCHEMAS = frozenset({"information_schema", "pg_catalog", "mysql", "performance_schema", "sys"})
_MYSQL_LONGEST_NAME = 64
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")


@dataclass(frozen=True)
class TableName:
    """Where a table is.

    :param name: of the table.
    :param schema: of the database; ``None`` for the connection's.
    """

    name: str
    schema: str | None = None

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @classmethod
    def of(cls, table: object, schema: object = None) -> TableName:
        """Read what a DAG's author gave.

        :param table: name, or schema and name with a dot between.
        :param schema: the schema, if it does not stand in ``table``.
        :raises EspoInputError: it is no name, or one that the database or this provider has for itself.
        """
        if schema is None and isinstance(table, str) and table.count(".") == 1:
            schema, table = table.split(".")
        for what, name in (("table", table), ("schema", schema)):
            if (what == "table" or name is not None) and not (isinstance(name, str) and name.strip() == name != ""):
                raise EspoInputError(f"{what} is empty, has blanks around it or is no text")
        name, where = str(table), None if schema is None else str(schema)
        if not name.isprintable() or '"' in name or "." in name:
            raise EspoInputError(f"table {name!r} is no name of a table")
        if name.lower().startswith(_RESERVED_NAMES) or (where or "").lower() in _RESERVED_SCHEMAS or BESIDE in name:
            raise EspoInputError(f"The table name {name!r} is reserved", hint="Give another one")
        return cls(name, where)


def column_names(columns: Sequence[Column], style: ColumnNames, dialect: Any) -> dict[str, Column]:
    """Return the attributes by the names of their columns.

    :param columns: of the extraction.
    :param style: ``attributes`` or ``snake``.
    :param dialect: SQLAlchemy's, for the longest name.
    :raises EspoInputError: two attributes have one name, or a name is too long.
    """
    names = {column.name: snake_case(column.name) if style == "snake" else column.name for column in columns}
    counts = Counter(name.casefold() for name in names.values())
    doubled = [attribute for attribute, name in names.items() if counts[name.casefold()] > 1]
    if doubled:
        raise EspoInputError(
            f"The attributes {', '.join(doubled)} would share a column: databases do not tell capitals apart",
            hint="Leave one of them out by select",
        )
    for name in names.values():
        check_length(name, dialect)
    return {names[column.name]: column for column in columns}


def snake_case(name: str) -> str:
    """Return a name in snake case: ``emailAddressIsOptedOut`` is ``email_address_is_opted_out``.

    :param name: of an attribute.
    """
    return "_".join(_WORD.findall(name)).lower() or name


def check_length(name: str, dialect: Any) -> None:
    """Refuse a name that the database would cut off.

    :param name: of a table or a column.
    :param dialect: SQLAlchemy's.
    :raises EspoInputError: it is too long.
    """
    longest = dialect.max_identifier_length
    if dialect.name in {"mysql", "mariadb"}:
        longest = min(longest, _MYSQL_LONGEST_NAME)
    if len(name.encode()) > longest:
        # Some databases would cut it off in silence.
        raise EspoInputError(f"The name {name} is too long for the database, which takes {longest} bytes")
