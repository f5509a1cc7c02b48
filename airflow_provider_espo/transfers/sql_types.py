"""Columns of a database for the attributes of EspoCRM: which type they get, whether one that is there fits, and values.

SQLAlchemy is loaded when the functions are called. Moments go into columns with a time zone as aware ones, into others
in UTC. Lists and maps are JSON where the database has such a type, and text with JSON in it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.column_types.values import MOST_DIGITS, converter, json_text, value_type

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

    from airflow_provider_espo.client.column_types.columns import Column
    from airflow_provider_espo.client.column_types.values import ValueType

Family = Literal["text", "integer", "number", "decimal", "boolean", "date", "datetime", "json"]

#: Databases whose texts need no length, and cost nothing more without one: then a field that is made longer in EspoCRM
#: is no change.
_TEXT_WITHOUT_LENGTH = frozenset({"postgresql", "sqlite", "snowflake", "duckdb"})

#: Longest text that gets a column with a length; a row of MySQL has no room for many long ones.
_LONGEST_WITH_LENGTH = 255

#: Ids have 17 characters, others up to 36 by EspoCRM's settings.
_ID_LENGTH = 64
_LEAST_ID_LENGTH = 17

_NATIVE_JSON = frozenset({"postgresql", "mysql", "mariadb", "sqlite"})

#: Which kinds of columns hold the values of a type without loss.
_HOLDS: Mapping[ValueType, frozenset[Family]] = {
    "text": frozenset({"text"}),
    "integer": frozenset({"integer", "decimal", "number", "text"}),
    "number": frozenset({"number", "text"}),
    "decimal": frozenset({"decimal", "text"}),
    "boolean": frozenset({"boolean", "integer", "text"}),
    "date": frozenset({"date", "datetime", "text"}),
    "datetime": frozenset({"datetime", "text"}),
    "texts": frozenset({"json", "text"}),
    "integers": frozenset({"json", "text"}),
    "json": frozenset({"json", "text"}),
}


def sql_type(column: Column, dialect: str) -> TypeEngine[Any]:
    """Return the type for a new column.

    :param column: the attribute's column.
    :param dialect: SQLAlchemy's name of the database.
    """
    import sqlalchemy as sa

    found = value_type(column)
    if found == "text":
        return _text_type(column, dialect)
    if found == "decimal":
        # SQLite has floating-point numbers alone: the digits are kept as text.
        return sa.String() if dialect == "sqlite" else sa.Numeric(MOST_DIGITS, column.scale or 0)
    if found in {"texts", "integers", "json"}:
        return _long_text(dialect) if dialect not in _NATIVE_JSON or column.kind == "any" else _json_type(dialect)
    types: Mapping[ValueType, Callable[[], TypeEngine[Any]]] = {
        "integer": sa.BigInteger,
        "number": lambda: sa.Float(53),
        "boolean": sa.Boolean,
        "date": sa.Date,
        "datetime": lambda: sa.DateTime(timezone=True),
    }
    return types[found]()


def _text_type(column: Column, dialect: str) -> TypeEngine[Any]:
    import sqlalchemy as sa

    if column.kind == "id":
        return sa.String(_ID_LENGTH)
    if dialect in _TEXT_WITHOUT_LENGTH:
        return sa.Text()
    length = _LONGEST_WITH_LENGTH if column.kind in {"enum", "email", "phone"} else column.max_length
    if length is not None and max(length, column.max_length or 0) <= _LONGEST_WITH_LENGTH:
        return sa.Unicode(length) if dialect == "mssql" else sa.String(length)
    return _long_text(dialect)


def _long_text(dialect: str) -> TypeEngine[Any]:
    import sqlalchemy as sa
    from sqlalchemy.dialects import mssql, mysql

    if dialect == "mssql":
        # Its other texts have the characters of one code page alone, and a question mark for all others.
        return mssql.NVARCHAR()
    # MySQL's TEXT ends at 64 KB.
    return mysql.LONGTEXT() if dialect in {"mysql", "mariadb"} else sa.Text()


def _json_type(dialect: str) -> TypeEngine[Any]:
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql

    # No value is the database's null, and not JSON's.
    return postgresql.JSONB(none_as_null=True) if dialect == "postgresql" else sa.JSON(none_as_null=True)


def family(of: TypeEngine[Any]) -> Family | None:
    """Return what kind of column it is; ``None`` of those that hold something else, or are not known.

    :param of: type of the column.
    """
    import sqlalchemy as sa

    kinds: tuple[tuple[type[TypeEngine[Any]], Family], ...] = (
        (sa.JSON, "json"),
        (sa.Boolean, "boolean"),
        (sa.DateTime, "datetime"),
        (sa.Date, "date"),
        (sa.Integer, "integer"),
        # Before its base in some versions of SQLAlchemy.
        (sa.Float, "number"),
        (sa.Numeric, "decimal"),
        (sa.String, "text"),
    )
    return next((name for kind, name in kinds if isinstance(of, kind)), None)


def misfit(column: Column, of: TypeEngine[Any]) -> str | None:
    """Say why a column that is there does not hold an attribute's values; ``None`` if it does.

    What is of a type that SQLAlchemy does not know is trusted.

    :param column: the attribute's column.
    :param of: type of the database's column.
    """
    kind = family(of)
    if kind is None:
        return None
    if kind not in _HOLDS[value_type(column)]:
        return f"{column.name} ({value_type(column)}, in a column for {kind})"
    length = getattr(of, "length", None) if kind == "text" else None
    needed = _LEAST_ID_LENGTH if column.kind == "id" else column.max_length or 0
    if length is not None and length < needed:
        return f"{column.name} (up to {needed} characters, in a column for {length})"
    scale = getattr(of, "scale", None) if kind == "decimal" else None
    if scale is not None and column.scale is not None and scale < column.scale:
        return f"{column.name} ({column.scale} digits behind the point, in a column for {scale})"
    return None


def binder(column: Column, of: TypeEngine[Any]) -> Callable[[Any], Any]:
    """Return a function that turns EspoCRM's value into what SQLAlchemy takes for a database's column.

    It raises ``ValueError`` for a value that does not fit the attribute's type, without the value in it.

    :param column: the attribute's column.
    :param of: type of the database's column.
    """
    typed = converter(column)
    kind = family(of)
    if kind == "json":
        return _checked(typed, lambda given, found: found if isinstance(found, list) else given)
    if kind == "datetime":
        return _moment_binder(typed, with_zone=has_zone(of))
    if kind == "text" or (kind is None and value_type(column) in {"texts", "integers"}):
        return _checked(typed, _as_text)
    if kind == "integer":
        return _checked(typed, lambda _given, found: int(found))
    if kind == "number":
        return _checked(typed, lambda _given, found: float(found))
    return typed


def _checked(typed: Callable[[Any], Any], then: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    def bound(given: Any) -> Any:
        return None if given is None else then(given, typed(given))

    return bound


def _moment_binder(typed: Callable[[Any], Any], *, with_zone: bool) -> Callable[[Any], Any]:
    def bound(_given: Any, found: Any) -> datetime:
        moment = found if isinstance(found, datetime) else datetime.combine(found, time(), UTC)
        return moment if with_zone else moment.replace(tzinfo=None)

    return _checked(typed, bound)


def _as_text(given: Any, found: Any) -> str:
    """What a column for text holds: the server's own form, and JSON for lists and maps."""
    if isinstance(found, str):
        return found
    return given if isinstance(given, str) else json_text(given) if not isinstance(found, list) else json_text(found)


def has_zone(of: TypeEngine[Any]) -> bool:
    """Whether a column for moments keeps a time zone, so that it takes aware ones.

    :param of: type of the column.
    """
    name = str(getattr(of, "__visit_name__", "")).upper()
    return bool(getattr(of, "timezone", False)) or name in {"DATETIMEOFFSET", "TIMESTAMP_TZ", "TIMESTAMP_LTZ"}
