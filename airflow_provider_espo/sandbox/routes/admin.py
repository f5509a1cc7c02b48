"""What only administrators may do: maintenance, and custom fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.definition_lines import DefinitionError
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.metadata import field_metadata
from airflow_provider_espo.sandbox.routes.common import need_admin

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef
    from airflow_provider_espo.sandbox.http import Context, Router


def register(router: Router) -> None:
    """Register the routes."""
    router.add("POST", "/Admin/clearCache", done, action="clearCache")
    router.add("POST", "/Admin/rebuild", done, action="rebuild")
    router.add("GET", "/Admin/jobs", jobs, action="jobs")
    router.add("POST", "/Admin/fieldManager/{scope}", create_field, action="create")
    router.add("GET", "/Admin/fieldManager/{scope}/{name}", read_field, action="read")
    router.add("DELETE", "/Admin/fieldManager/{scope}/{name}", delete_field, action="delete")


def done(context: Context) -> bool:
    """There is no cache to clear and nothing to rebuild."""
    need_admin(context)
    return True


def jobs(context: Context) -> list[Any]:
    """There are no background jobs."""
    need_admin(context)
    return []


def scope_of(context: Context) -> EntityDef:
    """The entity type of a field manager path."""
    need_admin(context)
    entity_def = context.sandbox.storage.definitions.get(context.params["scope"])
    if entity_def is None:
        raise ApiError(404, "")
    return entity_def


def create_field(context: Context) -> dict[str, Any]:
    """Add a custom field. Its name gets a ``c`` in front, as on a real server, unless it has one.

    :raises ApiError: 400 without name or type or with a definition that is not understood, 409 if there is such a field
    """
    entity_def = scope_of(context)
    body = context.body
    name, field_type = body.get("name"), body.get("type")
    if not name or not field_type:
        raise ApiError(400, "")
    name = custom_name(str(name))
    if name in entity_def.fields:
        raise ApiError(409, f"Field '{name}' already exists in '{entity_def.name}'.")
    spec = {key: value for key, value in body.items() if key != "name"}
    try:
        field_def = context.sandbox.custom_fields.add(entity_def.name, name, spec)
    except DefinitionError as error:
        raise ApiError(400, str(error)) from None
    return {"name": name, **field_metadata(field_def)}


def custom_name(name: str) -> str:
    """The name that a custom field gets."""
    return name if len(name) > 1 and name[0] == "c" and name[1].isupper() else f"c{name[:1].upper()}{name[1:]}"


def found_field(context: Context) -> FieldDef:
    """The field of a field manager path."""
    field_def = scope_of(context).fields.get(context.params["name"])
    if field_def is None:
        raise ApiError(404, "")
    return field_def


def read_field(context: Context) -> dict[str, Any]:
    """One field."""
    return field_metadata(found_field(context))


def delete_field(context: Context) -> bool:
    """Remove a custom field; its values stay in the database, unseen."""
    field_def = found_field(context)
    if not field_def.custom:
        raise ApiError(403, "")
    context.sandbox.custom_fields.remove(context.params["scope"], field_def.name)
    return True
