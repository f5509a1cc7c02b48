"""The table that records are loaded into: looked at, made, widened, and refused before any data moves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.transfers.sql_database import sql_errors
from airflow_provider_espo.transfers.sql_names import ColumnNames, TableName, check_length, column_names, snake_case
from airflow_provider_espo.transfers.sql_types import binder, misfit, sql_type

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

    from airflow_provider_espo.client.column_types.columns import Column

log = logging.getLogger(__name__)

OnDrift = Literal["fail", "warn"]

#: Column with the moment at which a record was found to be gone.
MARK = "espoDeletedAt"


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What may be done to a table that does not fit.

    :param create: make it if it is not there.
    :param add_columns: add columns that it lacks.
    :param on_drift: ``fail``, or ``warn`` and leave out the attributes that do not fit.
    :param column_names: how columns are named: as the ``attributes``, or in ``snake`` case.
    :param mark: whether it has a column with the moment at which a record was found to be gone.
    """

    create: bool = True
    add_columns: bool = False
    on_drift: OnDrift = "fail"
    column_names: ColumnNames = "attributes"
    mark: bool = False


@dataclass(kw_only=True)
class Target:
    """A table that fits.

    :param name: where it is.
    :param table: for SQLAlchemy, with the columns that are written.
    :param attributes: attribute by name of the table's column, in order; the id first.
    :param binders: by name of the table's column, what turns EspoCRM's value into the database's.
    :param mark: name of the column for :data:`MARK`, if it has one.
    :param created: whether it was made just now.
    :param added: columns that were added just now.
    :param left_out: attributes that do not fit.
    """

    name: TableName
    table: Table
    attributes: dict[str, Column]
    binders: dict[str, Callable[[Any], Any]]
    mark: str | None = None
    created: bool = False
    added: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=())

    @property
    def id_column(self) -> str:
        """Name of the column with the records' ids."""
        return next(iter(self.attributes))


def prepare(engine: Engine, name: TableName, columns: Sequence[Column], options: TableOptions) -> Target:
    """Look at the table, and make or widen it as far as that is allowed.

    :param engine: of the database.
    :param name: of the table.
    :param columns: of the extraction; the id first.
    :param options: what may be done.
    :raises EspoInputError: the table does not fit, or is not there and may not be made.
    :raises EspoStorageError: the database refused it.
    """
    named = column_names(columns, options.column_names, engine.dialect)
    mark = (snake_case(MARK) if options.column_names == "snake" else MARK) if options.mark else None
    if mark is not None and mark.casefold() in {one.casefold() for one in named}:
        raise EspoInputError(f"An attribute has the name {mark}, which deleted='mark' needs", hint="Use 'remove'")
    check_length(name.name, engine.dialect)
    with sql_errors(f"Looking at the table {name}"):
        there = _columns_there(engine, name)
        created = there is None
        if there is None:
            if not options.create:
                raise EspoInputError(f"There is no table {name}", hint="Make it, or set create_table=True")
            there = _create(engine, name, named, mark)
        else:
            _check_key(engine, name, there, named)
    return _Fitting(engine, name, options, there).target(named, mark, created=created)


def _columns_there(engine: Engine, name: TableName) -> dict[str, Mapping[str, Any]] | None:
    """Look at the columns of a table; ``None`` if it is not there."""
    import sqlalchemy as sa

    inspector = sa.inspect(engine)
    if not inspector.has_table(name.name, schema=name.schema):
        return None
    return {str(one["name"]): one for one in inspector.get_columns(name.name, schema=name.schema)}


def _create(engine: Engine, name: TableName, named: Mapping[str, Column], mark: str | None) -> dict[str, Any]:
    import sqlalchemy as sa

    made = [
        sa.Column(one, sql_type(column, engine.dialect.name), primary_key=column.name == "id", nullable=column.nullable)
        for one, column in named.items()
    ]
    if mark is not None:
        made.append(sa.Column(mark, sa.DateTime(timezone=True)))
    try:
        with engine.begin() as connection:
            sa.Table(name.name, sa.MetaData(), *made, schema=name.schema).create(connection)
    except sa.exc.SQLAlchemyError:
        # Another mapped task may have been faster.
        there = _columns_there(engine, name)
        if there is None:
            raise
        return there
    log.info("Made the table %s with %d columns", name, len(made))
    return _columns_there(engine, name) or {}


def _check_key(
    engine: Engine, name: TableName, there: Mapping[str, Mapping[str, Any]], named: Mapping[str, Column]
) -> None:
    """Refuse a table in which one record could have two rows, or no row could be written."""
    import sqlalchemy as sa

    inspector = sa.inspect(engine)
    wanted = next(iter(named))
    found = _found(wanted, there)
    keys = [inspector.get_pk_constraint(name.name, schema=name.schema).get("constrained_columns") or []]
    keys += [it["column_names"] for it in inspector.get_unique_constraints(name.name, schema=name.schema)]
    # SQLite tells of some constraints by their indexes alone.
    auto = {"include_auto_indexes": True} if engine.dialect.name == "sqlite" else {}
    keys += [
        [str(column) for column in it["column_names"]]
        for it in inspector.get_indexes(name.name, schema=name.schema, **auto)
        if it.get("unique") and not any("where" in option for option in it.get("dialect_options", {}))
    ]
    if found is None or [found] not in keys:
        raise EspoInputError(
            f"The table {name} has no column {wanted} that is its key",
            hint="Its primary key, or a unique constraint, has to be the id alone",
        )
    ours = {_found(one, there) for one in named}
    needed = [
        one
        for one, said in there.items()
        if one not in ours and not said.get("nullable", True) and not _fills_itself(said)
    ]
    if needed:
        raise EspoInputError(
            f"The table {name} has columns that need a value and are no attributes: {', '.join(needed)}",
            hint="Give them a default",
        )


def _fills_itself(said: Mapping[str, Any]) -> bool:
    return (
        said.get("default") is not None
        or bool(said.get("computed") or said.get("identity"))
        or said.get("autoincrement") is True
    )


def _found(name: str, there: Mapping[str, object]) -> str | None:
    """Find a column by its name, or else by its name in other capitals."""
    if name in there:
        return name
    alike = [one for one in there if one.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


class _Fitting:
    """Brings columns of an extraction and those of a table together."""

    def __init__(
        self, engine: Engine, name: TableName, options: TableOptions, there: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._engine = engine
        self._name = name
        self._options = options
        self._there = dict(there)

    def target(self, named: Mapping[str, Column], mark: str | None, *, created: bool) -> Target:
        """Return the table with the columns that are written."""
        import sqlalchemy as sa

        lacking = [one for one in named if _found(one, self._there) is None]
        misfits = {
            column.name: why
            for one, column in named.items()
            if (own := _found(one, self._there)) is not None
            and (why := misfit(column, self._there[own]["type"])) is not None
        }
        added = self._widened(named, lacking, mark, misfits)
        lacking = [one for one in lacking if one not in added]
        left_out = [named[one].name for one in lacking] + list(misfits)
        chosen = {
            own: column
            for one, column in named.items()
            if column.name not in left_out and (own := _found(one, self._there)) is not None
        }
        types = {one: self._there[one]["type"] for one in chosen}
        if untouched := [one for one in self._there if one not in chosen and one.casefold() != (mark or "").casefold()]:
            # Its author's own, or of attributes that EspoCRM has no more.
            log.info("Columns of %s that stay as they are: %s", self._name, ", ".join(untouched))
        own_mark = None if mark is None else _found(mark, self._there)
        columns = [sa.Column(one, of, primary_key=chosen[one].name == "id") for one, of in types.items()]
        if own_mark is not None:
            columns.append(sa.Column(own_mark, self._there[own_mark]["type"]))
        return Target(
            name=self._name,
            table=sa.Table(self._name.name, sa.MetaData(), *columns, schema=self._name.schema),
            attributes=chosen,
            binders={one: binder(column, types[one]) for one, column in chosen.items()},
            mark=own_mark,
            created=created,
            added=tuple(added),
            left_out=tuple(left_out),
        )

    def _widened(
        self, named: Mapping[str, Column], lacking: Sequence[str], mark: str | None, misfits: Mapping[str, str]
    ) -> list[str]:
        """Add what is lacking, as far as allowed; raise or warn otherwise. Nothing is added where it would fail."""
        import sqlalchemy as sa

        lacks_mark = mark is not None and _found(mark, self._there) is None
        parts = [] if self._options.add_columns else [named[one].name for one in lacking]
        said = [f"no column for {', '.join(parts)}"] if parts else []
        said += [f"other types of {', '.join(misfits.values())}"] if misfits else []
        if lacks_mark and not self._options.add_columns:
            raise EspoInputError(
                f"The table {self._name} has no column {mark}, which deleted='mark' needs",
                hint="Add it, for a moment, or set add_columns=True",
            )
        if said and ("id" in misfits or self._options.on_drift == "fail"):
            raise EspoInputError(
                f"The table {self._name} does not fit the records: {'; '.join(said)}",
                hint="Alter the table, set add_columns=True, name fitting attributes in select, or set "
                "schema_drift='warn' to leave out the others",
            )
        if said:
            log.warning("The table %s does not fit the records, which go without: %s", self._name, "; ".join(said))
        if not self._options.add_columns or not (lacking or lacks_mark):
            return []
        types = {one: sql_type(named[one], self._engine.dialect.name) for one in lacking}
        if lacks_mark and mark is not None:
            types[mark] = sa.DateTime(timezone=True)
        self._add(types)
        return [one for one in types if one != mark]

    def _add(self, types: Mapping[str, Any]) -> None:
        import sqlalchemy as sa

        with sql_errors(f"Adding columns to the table {self._name}"):
            for one, of in types.items():
                try:
                    with self._engine.begin() as connection:
                        connection.exec_driver_sql(_add_column(self._engine, self._name, sa.Column(one, of)))
                except sa.exc.SQLAlchemyError:
                    # Another mapped task may have been faster.
                    if _found(one, _columns_there(self._engine, self._name) or {}) is None:
                        raise
            self._there = dict(_columns_there(self._engine, self._name) or {})
        log.info("Added %d columns to the table %s: %s", len(types), self._name, ", ".join(types))


def _add_column(engine: Engine, name: TableName, column: Any) -> str:
    """Return the statement; SQLAlchemy has none of its own, and no database takes names as parameters."""
    import sqlalchemy as sa
    from sqlalchemy.schema import CreateColumn

    table = sa.Table(name.name, sa.MetaData(), column, schema=name.schema)
    where = engine.dialect.identifier_preparer.format_table(table)
    return f"ALTER TABLE {where} ADD {CreateColumn(column).compile(dialect=engine.dialect)}"


def is_empty(engine: Engine, name: TableName) -> bool:
    """Whether a table has no rows, or is not there.

    :param engine: of the database.
    :param name: of the table.
    :raises EspoStorageError: the database refused it.
    """
    import sqlalchemy as sa

    table = sa.table(name.name, schema=name.schema)
    with sql_errors(f"Looking at the table {name}"):
        if not sa.inspect(engine).has_table(name.name, schema=name.schema):
            return True
        with engine.connect() as connection:
            return connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is None
