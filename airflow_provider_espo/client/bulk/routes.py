"""Which way a chunk of rows goes: record by record, by EspoCRM's import, or by a mass action.

Measured on EspoCRM 10.0 with two cores: records one after the other 11 a second, eight side by side 23, an import 60.
An import writes no notes to streams and tells nobody; for an update that shows in the CRM what it should not, so only
new records go that way by themselves. A mass action sets the same values in a hundred records with one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from airflow_provider_espo.client.errors import EspoInputError

Route: TypeAlias = Literal["records", "import", "mass_action"]
WantedRoute: TypeAlias = Literal["auto", "records", "import", "mass_action"]

#: Rows from which an import pays for its upload and the look at what became of the rows.
LEAST_TO_IMPORT: Final = 200
#: Records from which a mass action pays for the look at them before.
LEAST_FOR_MASS_ACTION: Final = 20


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the choice depends on.

    :param operation: ``create``, ``update``, ``upsert`` or ``delete``.
    :param rows: rows that are fit to be written.
    :param importable: those of them that an import takes as they are meant.
    :param not_importable: attributes that an import does not take.
    :param key_importable: whether records that an import made can be told by the key.
    :param match_by: attributes that make the key; empty where none was given.
    :param on_duplicate: what a create is to do about duplicates.
    :param same_values: whether all rows set the same values.
    :param values_listed: whether lists show those values, so that it can be seen which records have them.
    :param known: whether names are checked, so that the entity type's attributes are known.
    :param may_import: whether the user has the right to import; ``None`` where nobody asked.
    :param may_mass: whether the user has the right to the mass action; ``None`` where nobody asked.
    """

    operation: str
    rows: int
    importable: int = 0
    not_importable: tuple[str, ...] = ()
    key_importable: bool = True
    match_by: tuple[str, ...] = ()
    on_duplicate: str = "fail"
    same_values: bool = False
    values_listed: bool = True
    known: bool = True
    may_import: bool | None = None
    may_mass: bool | None = None


@dataclass(frozen=True)
class Choice:
    """The way that a chunk goes.

    :param route: its name.
    :param why: what decided, in words for a log.
    """

    route: Route
    why: str


def check_route(route: object) -> WantedRoute:
    """Return a route's name, or refuse what is none."""
    if route not in get_args(WantedRoute):
        raise EspoInputError(f"route is {route!r}"[:80], hint=f"Give one of {', '.join(get_args(WantedRoute))}")
    return route  # type: ignore[return-value]  # looked up above


def candidates(operation: str, wanted: WantedRoute, rows: int) -> tuple[Route, ...]:
    """Return the routes beside ``records`` whose rights are worth asking for."""
    if wanted != "auto":
        return () if wanted == "records" else (wanted,)
    if operation in ("create", "upsert"):
        return ("import",) if rows >= LEAST_TO_IMPORT else ()
    return ("mass_action",) if rows >= LEAST_FOR_MASS_ACTION else ()


def choose(wanted: WantedRoute, facts: Facts) -> Choice:
    """Choose the route of a chunk.

    :param wanted: what the author asked for.
    :param facts: what is known.
    :raises EspoInputError: a route was asked for by name that this input cannot go.
    """
    if wanted == "records":
        return Choice("records", "as asked for")
    if wanted != "auto":
        if (why_not := obstacle(wanted, facts)) is not None:
            raise EspoInputError(f"route={wanted!r} is not possible: {why_not}", hint="route='auto' finds one that is")
        return Choice(wanted, "as asked for")
    for route in candidates(facts.operation, "auto", facts.rows):
        if (why_not := obstacle(route, facts)) is not None:
            return Choice("records", why_not)
        if route == "import" and facts.importable < LEAST_TO_IMPORT:
            return Choice("records", f"an import would take {facts.importable} of {facts.rows} rows only")
        return Choice(route, "the fastest one that is safe")
    return Choice("records", f"{facts.rows} rows are too few for anything else")


def obstacle(route: Route, facts: Facts) -> str | None:
    """Say why a route cannot be gone; ``None`` if it can."""
    if route == "import":
        return _no_import(facts)
    return _no_mass_action(facts) if route == "mass_action" else None


def _no_import(facts: Facts) -> str | None:
    if facts.operation == "delete":
        return "an import deletes nothing"
    if facts.operation == "create" and facts.on_duplicate != "force":
        return "an import creates duplicates all the same, which only on_duplicate='force' allows"
    if not facts.match_by:
        return "an import does not say which row became which record, so it needs match_by"
    if not facts.known:
        return "what an import takes is known by the entity type's attributes, and validate=False does not ask for them"
    if facts.not_importable:
        return f"an import does not take {', '.join(facts.not_importable)} as they are meant"
    if not facts.key_importable:
        return f"records that an import made cannot be told by {', '.join(facts.match_by)}"
    if facts.may_import is False:
        return "the user's role has no access to Import"
    return None


def _no_mass_action(facts: Facts) -> str | None:
    if facts.operation not in ("update", "delete"):
        return "a mass action creates nothing"
    if facts.match_by != ("id",):
        return "a mass action goes by ids, and match_by names other attributes"
    if facts.may_mass is False:
        return "the user has no right to such mass actions"
    if facts.operation == "update" and not facts.same_values:
        return "the rows set different values"
    if facts.operation == "update" and not (facts.known and facts.values_listed):
        return "lists do not show the values, so it could not be seen what a mass action did"
    return None
