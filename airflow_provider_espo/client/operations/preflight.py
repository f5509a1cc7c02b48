"""Check before any work that a server has what a DAG needs, and that the user may use it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

from airflow_provider_espo.client.errors import EspoInputError, EspoPreflightError, EspoUnknownNameError
from airflow_provider_espo.client.operations.rights import my_rights
from airflow_provider_espo.client.operations.schema import checked_schema
from airflow_provider_espo.client.operations.system import metadata, server_version
from airflow_provider_espo.client.schema import (
    EntitySchema,
    check_link,
    check_readable,
    entity_defs_from_metadata,
)
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, entity_type_segment
from airflow_provider_espo.client.wording import a_kind

RIGHTS = ("create", "read", "edit", "delete", "stream")
_VERSION = re.compile(r"\s*v?(\d+)(?:\.(\d+))?(?:\.(\d+))?")
#: A field may take its values from a field that takes them from a third one.
_MOST_REFERENCES = 3
_WITH_OPTIONS = frozenset({"enum", "list"})


class Needs(TypedDict, total=False):
    """What is needed of an entity type.

    ``rights``: some of ``create``, ``read``, ``edit``, ``delete``, ``stream``.
    ``attributes``: names of attributes.
    ``links``: names of links.
    ``values``: values that an enum has to have, by attribute.
    """

    rights: Sequence[str]
    attributes: Sequence[str]
    links: Sequence[str]
    values: Mapping[str, Sequence[str]]


def preflight(
    state: ClientState,
    needs: Mapping[str, Needs] | None = None,
    *,
    min_version: str | None = None,
    scopes: Sequence[str] | None = None,
) -> Operation[Record]:
    """Check connection, version, rights, entity types, attributes, links and enum values, all in one go.

    :param needs: by entity type what is needed of it: ``rights``, ``attributes``, ``links``, ``values`` (by attribute
        the values that an enum has to have). ``{}`` for an entity type that has to be there.
    :param min_version: lowest version of EspoCRM, such as ``9.1``.
    :param scopes: scopes that the user's role must allow, such as ``Import`` or ``GlobalStream``.
    :return: ``{"version", "user_name", "user_type", "checked"}``, the last being the number of things checked.
    :raises EspoPreflightError: something is missing; ``problems`` lists all of it.
    :raises EspoInputError: ``needs`` is not of this form.
    """
    wanted = {entity_type_segment(name): _checked(name, given) for name, given in _mapping("needs", needs).items()}
    least = None if min_version is None else _numbers(min_version)
    wanted_scopes = _names("scopes", scopes)
    rights = yield from my_rights()
    version = yield from server_version(state)
    problems = list(_version_problems(version, min_version, least))
    problems += [f"The user's role does not allow {scope}" for scope in wanted_scopes if not rights.has(scope)]
    for entity_type, need in wanted.items():
        schema = yield from _schema(state, entity_type, problems)
        if schema is None:
            continue
        problems += [
            f"The user has no right to {right} {entity_type}"
            for right in need["rights"]
            if not rights.may(right, entity_type)
        ]
        problems += _name_problems(schema, need)
        yield from _value_problems(state, schema, need, problems)
    if problems:
        raise EspoPreflightError(
            f"{len(problems)} thing{'s' if len(problems) > 1 else ''} missing: {'; '.join(problems)}",
            problems=problems,
            hint="Nothing was changed",
        )
    return {
        "version": version,
        "user_name": rights.user.get("userName"),
        "user_type": rights.user.get("type"),
        "checked": sum(_count(need) for need in wanted.values()) + (min_version is not None) + len(wanted_scopes),
    }


def _mapping(name: str, given: object) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise EspoInputError(f"{name} is {a_kind(given)} and not a dict")
    return given or {}


def _names(what: str, given: object) -> list[str]:
    """A list of names; one alone is no list, but it is clear what is meant."""
    names = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else given
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise EspoInputError(f"{what} is not a list of names")
    return names


def _checked(entity_type: str, given: object) -> Needs:
    if not isinstance(given, Mapping) or set(given) - set(Needs.__annotations__):
        raise EspoInputError(
            f"What is needed of {entity_type} is not of the right form",
            hint=f"Give a dict with some of {', '.join(Needs.__annotations__)}",
        )
    need: Needs = {
        "rights": _names(f"rights of {entity_type}", given.get("rights")),
        "attributes": _names(f"attributes of {entity_type}", given.get("attributes")),
        "links": _names(f"links of {entity_type}", given.get("links")),
        "values": {
            name: _names(f"values of {entity_type}.{name}", values)
            for name, values in _mapping(f"values of {entity_type}", given.get("values")).items()
        },
    }
    if unknown := [right for right in need["rights"] if right not in RIGHTS]:
        raise EspoInputError(f"There is no right {', '.join(unknown)}", hint=f"There are {', '.join(RIGHTS)}")
    return need


def _schema(state: ClientState, entity_type: str, problems: list[str]) -> Operation[EntitySchema | None]:
    # What was learnt earlier in the process may be old by now.
    state.schemas.pop(entity_type, None)
    try:
        return (yield from checked_schema(state, entity_type, lambda _schema: None))
    except EspoUnknownNameError:
        problems.append(f"There is no entity type {entity_type}, or the user may not see it")
        return None


def _version_problems(version: str | None, named: str | None, least: list[int] | None) -> Iterator[str]:
    if least is None:
        return
    if version is None:
        yield f"The version is not told (EspoCRM before 8.1), and {named} is needed"
        return
    try:
        there = _numbers(version)
    except EspoInputError:
        yield f"EspoCRM calls its version {version}, and {named} is needed"
        return
    if there < least:
        yield f"EspoCRM is {version}, and {named} is needed"


def _numbers(version: object) -> list[int]:
    found = _VERSION.match(version) if isinstance(version, str) else None
    if found is None:
        raise EspoInputError("A version is not one", hint="Write it as '9.1' or '9.1.2', in quotes")
    return [int(part or 0) for part in found.groups()]


def _name_problems(schema: EntitySchema, need: Needs) -> Iterator[str]:
    names = [*need["attributes"], *need["values"]]
    checks = [partial(check_readable, schema, names, "attribute")]
    checks += [partial(check_link, schema, link, for_write=False) for link in need["links"]]
    for check in checks:
        try:
            check()
        except EspoUnknownNameError as error:
            yield error.message


def _value_problems(state: ClientState, schema: EntitySchema, need: Needs, problems: list[str]) -> Operation[None]:
    for name, values in need["values"].items():
        attribute = schema.attribute(name)
        if attribute is None:
            continue
        options: Sequence[str] = attribute.options
        if not options and attribute.kind in _WITH_OPTIONS:
            options = yield from _options_of_another(state, schema.entity_type, attribute.field)
        if not options:
            problems.append(f"{schema.entity_type}.{name} has no fixed values")
        elif lacking := [value for value in values if value not in options]:
            problems.append(f"{schema.entity_type}.{name} has no value {', '.join(map(repr, lacking))}")


def _options_of_another(state: ClientState, entity_type: str, field: str) -> Operation[Sequence[str]]:
    """Values of a field that has those of another one, such as ``Lead.industry`` those of ``Account.industry``."""
    for _ in range(_MOST_REFERENCES):
        answer = yield from metadata(state, f"entityDefs.{entity_type}")
        defs = (entity_defs_from_metadata(answer, entity_type) or {}).get("fields", {}).get(field) or {}
        if options := defs.get("options"):
            return [str(option) for option in options]
        reference = str(defs.get("optionsReference") or "").split(".")
        if len(reference) != 2:
            break
        entity_type, field = reference
    return ()


def _count(need: Needs) -> int:
    return 1 + len(need["rights"]) + len(need["attributes"]) + len(need["links"]) + len(need["values"])
