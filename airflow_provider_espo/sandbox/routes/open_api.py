"""A description of the API for tools: OpenAPI, made from the definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import acl
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.routes.metadata import known_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.definitions import AttributeDef, EntityDef
    from airflow_provider_espo.sandbox.http import Context, Router

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"},
    "jsonArray": {"type": "array"},
    "jsonObject": {"type": "object"},
}
LIST_PARAMETERS = (("searchParams", "string"), ("maxSize", "integer"), ("offset", "integer"), ("select", "string"))


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/OpenApi", describe)


def describe(context: Context) -> dict[str, Any]:
    """The description, as far as the caller may know about types.

    :raises ApiError: 403 without the right to it
    """
    if not acl.may(context.user, "OpenApi", "read"):
        raise ApiError(403, "")
    known = {name: entity_def for name, entity_def in known_types(context).items() if entity_def.routes}
    paths: dict[str, Any] = {}
    for name in known:
        paths |= paths_of(name)
    return {
        "openapi": "3.1.1",
        "info": {"title": "EspoCRM API", "version": "1.0.0"},
        "paths": paths,
        "components": {"schemas": {name: schema_of(entity_def) for name, entity_def in known.items()}},
    }


def paths_of(name: str) -> dict[str, Any]:
    """What can be done with a type and with one of its records."""
    record = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    answer = {"200": {"description": "Success.", "content": record}}
    body = {"content": record}
    of_list = {
        "type": "object",
        "properties": {
            "total": {"type": "integer"},
            "list": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
        },
    }
    page = {"200": {"description": "Success.", "content": {"application/json": {"schema": of_list}}}}
    done = {"200": {"description": "Success.", "content": {"application/json": {"schema": {"const": True}}}}}
    parameters = [{"in": "query", "name": n, "schema": {"type": kind}} for n, kind in LIST_PARAMETERS]
    record_id = [{"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}]
    common = {"tags": [name]}
    return {
        f"/{name}": {
            "get": {**common, "parameters": parameters, "responses": page},
            "post": {**common, "requestBody": body, "responses": answer},
        },
        f"/{name}/{{id}}": {
            "parameters": record_id,
            "get": {**common, "responses": answer},
            "put": {**common, "requestBody": body, "responses": answer},
            "delete": {**common, "responses": done},
        },
    }


def schema_of(entity_def: EntityDef) -> dict[str, Any]:
    """The attributes of a type."""
    required = [name for name, field_def in entity_def.fields.items() if field_def.required]
    return {
        "type": "object",
        "properties": {a.name: attribute_schema(a, entity_def) for a in entity_def.attributes.values()},
        **({"required": required} if required else {}),
    }


def attribute_schema(attribute: AttributeDef, entity_def: EntityDef) -> dict[str, Any]:
    """The values of an attribute."""
    found = dict(SCHEMAS.get(attribute.kind, {"type": "string"}))
    field_def = entity_def.fields.get(attribute.field)
    if field_def is None or field_def.name != attribute.name:
        return found
    if field_def.read_only:
        found["readOnly"] = True
    if field_def.max_length and found["type"] == "string":
        found["maxLength"] = field_def.max_length
    if field_def.type == "enum" and field_def.options:
        found["enum"] = list(field_def.options)
    return found
