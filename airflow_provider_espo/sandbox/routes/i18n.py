"""Labels of the front end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.labels import field_label, type_label, type_plural, words
from airflow_provider_espo.sandbox.routes.metadata import known_types

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef
    from airflow_provider_espo.sandbox.http import Context, Router

#: Labels that every page has.
GLOBAL_LABELS = (
    "Save",
    "Cancel",
    "Edit",
    "Create",
    "Remove",
    "Search",
    "Reset",
    "Select",
    "Home",
    "Activities",
    "History",
    "Stream",
    "Import",
    "Export",
    "Mass Update",
    "Merge",
    "Follow",
    "Unfollow",
    "Loading...",
)


def register(router: Router) -> None:
    """Register the routes."""
    router.add("GET", "/I18n", labels, auth=False)


def labels(context: Context) -> dict[str, Any]:
    """All labels of what the caller may know about; without a login only those that belong to no type."""
    found: dict[str, Any] = {"Global": {"labels": {label: label for label in GLOBAL_LABELS}}}
    if not context.user.id:
        return found
    known = known_types(context)
    found["Global"]["scopeNames"] = {name: type_label(name) for name in known}
    found["Global"]["scopeNamesPlural"] = {name: type_plural(name) for name in known}
    return found | {name: labels_of(entity_def) for name, entity_def in known.items()}


def labels_of(entity_def: EntityDef) -> dict[str, Any]:
    """Labels of a type: its fields, links, and the options of its fields."""
    options = {name: options_of(field_def) for name, field_def in entity_def.fields.items() if field_def.options}
    create = f"Create {type_label(entity_def.name)}"
    return {
        "fields": {name: field_label(name) for name in entity_def.fields},
        "links": {name: words(name) for name in entity_def.links},
        "options": options,
        "labels": {create: create},
    }


def options_of(field_def: FieldDef) -> dict[str, str]:
    """Labels of a field's options: they are called what they are."""
    return {str(option): str(option) for option in field_def.options or ()}
