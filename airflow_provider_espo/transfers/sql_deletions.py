"""Rows of a table whose records are gone from EspoCRM: found by asking for the ids that the table has."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from airflow_provider_espo.client.errors import EspoError
from airflow_provider_espo.transfers.sql_database import sql_errors
from airflow_provider_espo.transfers.sql_types import has_zone
from airflow_provider_espo.transfers.sql_writing import IDS_AT_ONCE, remove

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from airflow_provider_espo.client.extraction import Question
    from airflow_provider_espo.client.wire import Operation
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.transfers.sql_table import Target

DeletedRows = Literal["ignore", "mark", "remove"]

#: Ids that are read from the table at once.
_PAGE = 5_000

#: So few rows may always go: of a small table they are soon more than its share.
_FEW = 100


@dataclass
class Gone:
    """What was found.

    :param ids: of rows whose records are gone, and that do not say so yet.
    :param back: of rows that say so, though their records are there.
    """

    ids: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)


def find_gone(hook: EspoHook, engine: Engine, target: Target, question: Question, max_share: float) -> Gone:
    """Ask EspoCRM for every id of the table whether its record is still there.

    :param hook: hook over the connection.
    :param engine: of the database.
    :param target: the table.
    :param question: what is loaded, without a window: its filters count.
    :param max_share: share of the rows that may be gone.
    :raises EspoError: more are gone: then it is rather the filter, or the rights of the connection's user. Or what
        EspoCRM answered.
    """
    found = Gone()
    most = max(_FEW, int(_count(engine, target) * max_share))
    for batch, marked, missing in _asked(hook, engine, target, question):
        gone = set(missing)
        found.ids += [one for one in missing if one not in marked]
        found.back += [one for one in batch if one in marked and one not in gone]
        if len(found.ids) > most:
            raise EspoError(
                f"More than {most} rows of {target.name} have no record any more, so that none was touched",
                hint="Did the filter change, or the role of the connection's user? Else raise max_deleted_share",
            )
    return found


def remove_gone(engine: Engine, target: Target, gone: Gone) -> None:
    """Remove the rows.

    :raises EspoStorageError: the database refused it.
    """
    with sql_errors(f"Removing rows of {target.name}"):
        for ids in _chunks(gone.ids):
            with engine.begin() as connection:
                remove(connection, target.table, target.id_column, ids)


def mark_gone(engine: Engine, target: Target, gone: Gone, at: datetime) -> None:
    """Write into the rows since when their records are known to be gone, and remove it from those that are back.

    :param at: the moment, aware.
    :raises EspoStorageError: the database refused it.
    """
    if target.mark is None:
        return
    table, mark = target.table, target.mark
    moment = at.astimezone(UTC) if has_zone(table.c[mark].type) else at.astimezone(UTC).replace(tzinfo=None)
    with sql_errors(f"Marking rows of {target.name}"):
        for value, of in ((moment, gone.ids), (None, gone.back)):
            for ids in _chunks(of):
                with engine.begin() as connection:
                    chosen = table.c[target.id_column].in_(ids)
                    connection.execute(table.update().where(chosen).values({mark: value}))


def _asked(
    hook: EspoHook, engine: Engine, target: Target, question: Question
) -> Iterator[tuple[list[str], set[str], list[str]]]:
    """Give ids of the table in batches, those of them that are marked, and those that are gone."""
    from airflow_provider_espo.client.operations.existing import batches_of, missing_of

    marked: set[str] = set()
    batches: deque[list[str]] = deque()

    def ids() -> Iterator[str]:
        for page in _pages(engine, target):
            marked.update(record_id for record_id, is_marked in page if is_marked)
            yield from (record_id for record_id, _ in page)

    def operations() -> Iterator[Operation[list[str]]]:
        for batch in batches_of(ids()):
            batches.append(batch)
            yield missing_of(question, batch)

    for missing in hook.run_many(operations()):
        if isinstance(missing, EspoError):
            raise missing
        batch = batches.popleft()
        own = marked.intersection(batch)
        marked.difference_update(own)
        yield batch, own, missing


def _pages(engine: Engine, target: Target) -> Iterator[list[tuple[str, bool]]]:
    """Give the ids of the table in the database's order, with whether they are marked."""
    import sqlalchemy as sa

    key = target.table.c[target.id_column]
    mark = sa.null() if target.mark is None else target.table.c[target.mark]
    last: str | None = None
    while True:
        wanted = sa.select(key, mark).order_by(key).limit(_PAGE)
        with sql_errors(f"Reading the ids of {target.name}"), engine.connect() as connection:
            rows = connection.execute(wanted if last is None else wanted.where(key > last)).all()
        if rows:
            yield [(str(row[0]), row[1] is not None) for row in rows]
            last = rows[-1][0]
        if len(rows) < _PAGE:
            return


def _count(engine: Engine, target: Target) -> int:
    import sqlalchemy as sa

    with sql_errors(f"Counting the rows of {target.name}"), engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(target.table)).scalar_one())


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
