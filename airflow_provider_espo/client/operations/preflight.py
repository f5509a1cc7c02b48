"""Check before any work that a server has what a DAG needs, and that the user may use it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TypedDict

from airflow_provider_espo.client.errors import EspoInputError, EspoPreflightError, EspoUnknownNameError
from airflow_provider_espo.client.operations.schema import checked_schema
from airflow_provider_espo.client.operations.system import server_version
from airflow_provider_espo.client.schema import EntitySchema, check_link, check_readable
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import Operation, Record, build_request, entity_type_segment, expect_object

RIGHTS = ("create", "read", "edit", "delete", "stream")
_NO = (None, False, "no")


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
    wanted = {entity_type_segment(name): _checked(name, given) for name, given in (needs or {}).items()}
    asking = build_request("GET", "App/user")
    answer = expect_object(asking, (yield asking))
    user, table = answer.get("user") or {}, (answer.get("acl") or {}).get("table") or {}
    version = yield from server_version(state)
    is_admin = user.get("type") in ("admin", "super-admin")
    problems = list(_version_problems(version, min_version))
    if not is_admin:
        problems += [f"The user's role does not allow {scope}" for scope in scopes or () if table.get(scope) in _NO]
    for entity_type, need in wanted.items():
        schema = yield from _schema(state, entity_type, problems)
        if schema is None:
            continue
        if not is_admin:
            problems += _right_problems(entity_type, need, table.get(entity_type))
        problems += _name_problems(schema, need)
    if problems:
        raise EspoPreflightError(
            f"{len(problems)} thing{'s' if len(problems) > 1 else ''} missing: {'; '.join(problems)}",
            problems=problems,
            hint="Nothing was changed",
        )
    return {
        "version": version,
        "user_name": user.get("userName"),
        "user_type": user.get("type"),
        "checked": sum(_count(need) for need in wanted.values()) + bool(min_version) + len(scopes or ()),
    }


def _checked(entity_type: str, given: object) -> Needs:
    if not isinstance(given, Mapping) or set(given) - set(Needs.__annotations__):
        raise EspoInputError(
            f"What is needed of {entity_type} is not of the right form",
            hint=f"Give a dict with some of {', '.join(Needs.__annotations__)}",
        )
    need: Needs = {
        "rights": list(given.get("rights") or ()),
        "attributes": list(given.get("attributes") or ()),
        "links": list(given.get("links") or ()),
        "values": dict(given.get("values") or {}),
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


def _version_problems(version: str | None, least: str | None) -> Iterator[str]:
    if least is None:
        return
    if version is None:
        yield f"The version is not told (EspoCRM before 8.1), and {least} is needed"
    elif _numbers(version) < _numbers(least):
        yield f"EspoCRM is {version}, and {least} is needed"


def _numbers(version: str) -> list[int]:
    found = [int(part) for part in re.findall(r"\d+", version)[:3]]
    if not found:
        raise EspoInputError(f"{version!r} is not a version", hint="Write it as 9.1 or 9.1.2")
    return found


def _right_problems(entity_type: str, need: Needs, granted: object) -> Iterator[str]:
    for right in need["rights"]:
        level = granted.get(right) if isinstance(granted, Mapping) else granted
        if level in _NO:
            yield f"The user has no right to {right} {entity_type}"


def _name_problems(schema: EntitySchema, need: Needs) -> Iterator[str]:
    names = [*need["attributes"], *need["values"]]
    checks = [partial(check_readable, schema, names, "attribute")]
    checks += [partial(check_link, schema, link, for_write=False) for link in need["links"]]
    for check in checks:
        try:
            check()
        except EspoUnknownNameError as error:
            yield error.message
    for name, values in need["values"].items():
        attribute = schema.attribute(name)
        if attribute is not None and (lacking := [value for value in values if value not in attribute.options]):
            yield f"{schema.entity_type}.{name} has no value {', '.join(map(repr, lacking))}"


def _count(need: Needs) -> int:
    return 1 + len(need["rights"]) + len(need["attributes"]) + len(need["links"]) + len(need["values"])
