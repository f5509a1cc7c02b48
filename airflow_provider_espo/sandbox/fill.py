"""Many synthetic records in a short time, for benchmarks: straight into the tables, past all rules."""


# ruff: noqa: S608 - identifiers come from the definitions, values are parameters

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.definitions import AttributeDef, EntityDef, quoted

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.storage import Storage

SEED = 20_26
#: Time over which ``createdAt`` is spread, up to now.
SPREAD = dt.timedelta(days=365)
FIRST_NAMES = (
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Fatima",
    "Goran",
    "Hélène",
    "Ines",
    "Jørgen",
    "Kenji",
    "Łucja",
)
LAST_NAMES = (
    "Abbott",
    "Brandt",
    "Castro",
    "Dvořák",
    "Eriksen",
    "Fischer",
    "García",
    "Hansen",
    "Ito",
    "Jansen",
    "Müller",
)
WORDS = ("steel", "coffee", "paper", "robots", "solar", "shoes", "music", "travel", "cloud", "garden")

Maker = Callable[[int], Any]


def fill(storage: Storage, entity_type: str, count: int) -> None:
    """Add records of a type, with values in their usual fields and an e-mail address each where the type has them.

    :param count: how many
    :raises ValueError: if there is no such type
    """
    entity_def = storage.definitions.get(entity_type)
    if entity_def is None or not entity_def.routes or entity_type in ("User", "Role", "Team", "Webhook"):
        raise ValueError(f"cannot fill {entity_type!r}: no such entity type")
    makers = dict(column_makers(storage, entity_def, count))
    columns = ", ".join(map(quoted, makers))
    marks = ", ".join("?" * len(makers))
    ids: list[str] = []

    def rows() -> Iterator[tuple[Any, ...]]:
        for index in range(count):
            values = tuple(make(index) for make in makers.values())
            ids.append(values[0])
            yield values

    with storage.transaction() as connection:
        sql = f"INSERT INTO {quoted(entity_type)} ({columns}) VALUES ({marks})"
        connection.executemany(sql, rows())
        if any(f.type == "email" and not f.not_storable for f in entity_def.fields.values()):
            add_emails(storage, entity_type, ids)


def column_makers(storage: Storage, entity_def: EntityDef, count: int) -> Iterator[tuple[str, Maker]]:
    """For each column a function from the number of the record to its value."""
    chance = random.Random(SEED)  # noqa: S311 - sample data
    start = storage.clock() - SPREAD
    step = SPREAD / max(count, 1)
    creator = storage.value("SELECT id FROM \"User\" WHERE type IN ('admin', 'regular') ORDER BY type DESC LIMIT 1")

    # Several columns of a record ask for the same moment.
    @lru_cache(maxsize=1)
    def moment(index: int) -> str:
        return (start + step * (index + 1)).isoformat(" ", "seconds")[:19]

    yield "id", lambda index: storage.new_id()
    yield "deleted", lambda index: 0
    for attribute in entity_def.stored_attributes():
        name = attribute.name
        if name in ("createdAt", "modifiedAt", "streamUpdatedAt"):
            yield name, moment
        elif name == "createdById":
            yield name, lambda index: creator
        elif name == "versionNumber":
            yield name, lambda index: 1
        elif name not in ("id", "deleted"):
            maker = value_maker(attribute, entity_def, chance, moment)
            if maker is not None:
                yield name, maker


def value_maker(
    attribute: AttributeDef, entity_def: EntityDef, chance: random.Random, moment: Callable[[int], str]
) -> Maker | None:
    """A function that makes values of an attribute; None to leave it empty."""
    field_def = entity_def.fields.get(attribute.field)
    fixed: dict[str, Maker] = {
        "firstName": lambda index: chance.choice(FIRST_NAMES),
        "lastName": lambda index: f"{chance.choice(LAST_NAMES)} {index:06d}",
        "name": lambda index: f"{entity_def.name} {chance.choice(WORDS)} {index:06d}",
        "accountName": lambda index: f"{chance.choice(LAST_NAMES)} {chance.choice(WORDS)} Ltd",
        "description": lambda index: f"Sample record {index}, {chance.choice(WORDS)} and {chance.choice(WORDS)}.",
    }
    if attribute.name in fixed:
        return fixed[attribute.name]
    if field_def is None or field_def.read_only:
        return (lambda index: 0) if attribute.kind == "bool" else None
    if field_def.options and attribute.kind == "varchar":
        options = field_def.options
        return lambda index: chance.choice(options)
    if field_def.type == "autoincrement":
        return lambda index: index + 1
    makers: dict[str, Maker] = {
        "bool": lambda index: int(chance.random() < 0.1),
        "float": lambda index: round(chance.uniform(10, 100_000), 2),
        "int": lambda index: chance.randrange(100),
        "date": lambda index: moment(index)[:10],
        "datetime": moment,
    }
    if attribute.kind == "varchar" and attribute.name.endswith("Currency"):
        return lambda index: chance.choice(("USD", "EUR", "GBP"))
    return makers.get(attribute.kind)


def add_emails(storage: Storage, entity_type: str, ids: list[str]) -> None:
    """Give each record an e-mail address."""
    addresses = [(storage.new_id(), f"{entity_type.lower()}.{record_id}@example.org") for record_id in ids]
    with storage.transaction() as connection:
        connection.executemany(
            'INSERT INTO "EmailAddress" (id, name, lower) VALUES (?, ?, ?)', [(i, a, a) for i, a in addresses]
        )
        connection.executemany(
            'INSERT INTO "EntityEmailAddress" ("entityId", "entityType", "emailAddressId", "primary")'
            " VALUES (?, ?, ?, 1)",
            [(record_id, entity_type, i) for record_id, (i, _) in zip(ids, addresses, strict=True)],
        )
