"""Attributes and links of an entity type, asked for once in a process.

EspoCRM drops unknown names in silence, so names are checked here before anything is sent. A name may be new: a
custom field that was added a minute ago. So the description is read once more before a name is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from airflow_provider_espo.client.errors import EspoUnknownNameError
from airflow_provider_espo.client.operations.system import metadata
from airflow_provider_espo.client.schema import (
    EntitySchema,
    check_link,
    check_readable,
    check_writable,
    entity_defs_from_metadata,
)
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, entity_type_segment


def checked_schema(
    state: ClientState, entity_type: str, check: Callable[[EntitySchema], object]
) -> Operation[EntitySchema]:
    """Return the entity type's schema after a check of names has passed on it.

    :param check: raises :class:`EspoUnknownNameError` for a name the schema does not have.
    :raises EspoUnknownNameError: also by a schema that is fresh from the server.
    """
    known = state.schemas.get(entity_type_segment(entity_type))
    if known is not None:
        try:
            check(known)
        except EspoUnknownNameError:
            known = None
    if known is None:
        known = state.schemas[entity_type] = yield from _fetch(state, entity_type)
        check(known)
    return known


def writable(
    state: ClientState, entity_type: str, names: Iterable[str], *, validate: bool, updating: bool = False
) -> Operation[EntitySchema | None]:
    """Check names of attributes that are to be written; ``None`` instead of a schema if not to validate.

    :param updating: whether a record that exists is to be written, which has fewer writable attributes.
    """
    wanted = list(names)
    if not validate:
        return None
    return (
        yield from checked_schema(state, entity_type, lambda schema: check_writable(schema, wanted, updating=updating))
    )


def readable(
    state: ClientState, entity_type: str, select: Iterable[str] | None, *, validate: bool
) -> Operation[EntitySchema | None]:
    """Check the names to read of a single record; ``None`` instead of a schema if there is nothing to check."""
    wanted = list(select or ())
    if not validate or not wanted:
        return None
    return (yield from checked_schema(state, entity_type, lambda schema: check_readable(schema, wanted)))


def listable(
    state: ClientState, entity_type: str, select: Iterable[str] | None, order_by: str | None, *, validate: bool
) -> Operation[EntitySchema | None]:
    """Check the names to read of, and to order by, a list; ``None`` instead of a schema if nothing is to check."""
    # Every entity type has an id: to ask for nothing else costs no look at the description.
    selected = [name for name in select or () if name != "id"]
    ordered = [order_by] if order_by not in (None, "id") else []
    if not validate or not (selected or ordered):
        return None

    def check(schema: EntitySchema) -> None:
        check_readable(schema, selected, "select", in_list=True)
        check_readable(schema, ordered, "order_by")

    return (yield from checked_schema(state, entity_type, check))


def linkable(
    state: ClientState, entity_type: str, link: str, *, validate: bool, for_write: bool
) -> Operation[EntitySchema | None]:
    """Check a link's name; ``None`` instead of a schema if not to validate."""
    if not validate:
        return None
    return (yield from checked_schema(state, entity_type, lambda schema: check_link(schema, link, for_write=for_write)))


def _fetch(state: ClientState, entity_type: str) -> Operation[EntitySchema]:
    answer = yield from metadata(state, f"entityDefs.{entity_type}")
    definitions = entity_defs_from_metadata(answer, entity_type)
    if definitions is None:
        raise EspoUnknownNameError(
            f"The server has no entity type {entity_type!r} that this user may see",
            hint="Check its spelling (Lead, not lead or leads; custom types begin with C) and the user's roles; "
            "validate=False sends the request without this check",
        )
    return EntitySchema.from_entity_defs(entity_type, definitions)
