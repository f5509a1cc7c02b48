"""Reads the data files that state the entity types. Their form is described in ``docs/sandbox.md``.

A field is one line (``"varchar 100 required clean"``), a link is one line (``"cross Contact.accounts via=AccountContact"``). What follows
from a field's type (the parts of an address, the currency beside an amount) is not stated but made here.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.attributes import ATTRIBUTE_KINDS, attributes_of
from airflow_provider_espo.sandbox.definitions import Definitions, EntityDef, FieldDef, LinkDef, LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DATA_DIRECTORY = Path(__file__).parent / "data" / "entities"

#: Words of a field line and the property that they set.
FIELD_FLAGS = {
    "required": "required",
    "optional": "optional",
    "clean": "pattern",
    "audited": "audited",
    "readonly": "readOnly",
    "createonly": "readOnlyAfterCreate",
    "unstored": "notStorable",
    "unordered": "orderDisabled",
    "utility": "utility",
    "noload": "noLoad",
    "nodirect": "directAccessDisabled",
    "noupdate": "directUpdateDisabled",
    "internal": "internal",
    "strip": "strip",
    "protocol": "protocolRequired",
    "nodecimal": "decimalDisabled",
    "unlocked": "notLockable",
    "soft": "suppressRequired",
}
LINK_FLAGS = {
    "audited": "audited",
    "readonly": "readOnly",
    "mass": "massLink",
    "onlyfree": "linkOnlyNotLinked",
    "nojoin": "noJoin",
}
LINK_KINDS: Mapping[str, LinkKind] = {
    "one": "belongsTo",
    "any": "belongsToParent",
    "single": "hasOne",
    "many": "hasMany",
    "children": "hasChildren",
    "cross": "manyMany",
}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
WELL_KNOWN_STAMPS: Mapping[str, str] = {
    "createdAt": "datetime readonly",
    "modifiedAt": "datetime readonly",
    "createdBy": "link readonly",
    "modifiedBy": "link readonly",
}
#: Field types that bring a link along which no definition states.
IMPLICIT_LINKS = {
    "attachmentMultiple": "children Attachment.parent",
    "file": "one Attachment",
    "image": "one Attachment",
}
TRAITS = frozenset(
    [
        "object",
        "stream",
        "stars",
        "optimisticConcurrency",
        "lockable",
        "countDisabled",
        "activity",
        "calendar",
        "importable",
        "customizable",
        "tree",
    ]
)


class DefinitionError(ValueError):
    """A data file (or a field that is to be added) says something that cannot be understood."""


def load_definitions(directory: Path = DATA_DIRECTORY) -> Definitions:
    """Read every ``*.json`` of a directory.

    :raises DefinitionError: naming the file and the field or link at fault
    """
    parsed: dict[str, EntityDef] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DefinitionError(f"{path.name}: not JSON: {error}") from None
        try:
            entity_def = parse_entity(path.stem, data)
        except DefinitionError as error:
            raise DefinitionError(f"{path.name}: {error}") from None
        parsed[entity_def.name] = entity_def
    if not parsed:
        raise DefinitionError(f"no entity definitions in {directory}")
    return resolve(parsed)


def resolve(parsed: Mapping[str, EntityDef]) -> Definitions:
    """Work out the attributes, which may depend on other entity types (the name of a linked record)."""
    resolve_option_references(parsed)
    return Definitions({name: with_attributes(entity_def, parsed) for name, entity_def in parsed.items()})


def with_attributes(entity_def: EntityDef, entity_defs: Mapping[str, EntityDef]) -> EntityDef:
    """The same type with ``attributes`` made anew from its fields."""
    attributes = {a.name: a for a in attributes_of(entity_def, entity_defs)}
    return replace(entity_def, attributes=attributes)


def parse_entity(name: str, data: Any) -> EntityDef:
    """One data file, without attributes (see :func:`resolve`).

    :raises DefinitionError: naming the field or link at fault
    """
    if not isinstance(data, dict) or not NAME.fullmatch(name):
        raise DefinitionError("must be an object in a file named as the entity type")
    known = {
        "traits",
        "order",
        "text",
        "duplicates",
        "status",
        "acl",
        "stamps",
        "fields",
        "choices",
        "defaults",
        "computed",
        "links",
        "indexes",
    }
    if unknown := data.keys() - known - {"hidden", "scope", "listed"}:
        raise DefinitionError(f"unknown key {min(unknown)!r}")
    traits = frozenset(str(data.get("traits", "")).split())
    if unknown_traits := traits - TRAITS:
        raise DefinitionError(f"unknown trait {min(unknown_traits)!r}")
    lines = dict(data.get("fields", {}))
    lines |= {stamp: WELL_KNOWN_STAMPS[stamp] for stamp in str(data.get("stamps", "")).split()}
    if "stream" in traits:
        lines["streamUpdatedAt"] = "datetime readonly"
    choices = data.get("choices", {})
    computed = data.get("computed", {})
    defaults = data.get("defaults", {})
    fields: dict[str, FieldDef] = {}
    for field_name, line in lines.items():
        fields[field_name] = parse_field(field_name, line, choices.get(field_name), computed.get(field_name))
        if field_name in defaults:
            fields[field_name] = replace(fields[field_name], default=defaults[field_name], has_default=True)
    for part in [p for f in fields.values() for p in parts_of(f)]:
        fields.setdefault(part.name, part)
    if unknown := (choices.keys() | computed.keys() | defaults.keys()) - fields.keys():
        raise DefinitionError(f"{min(unknown)}: no such field")
    links: dict[str, LinkDef] = {}
    for link_name, line in data.get("links", {}).items():
        links[link_name] = parse_link(name, link_name, line)
    for stamp in ("createdBy", "modifiedBy"):
        if stamp in fields:
            links.setdefault(stamp, parse_link(name, stamp, "one User"))
    for field_def in fields.values():
        if field_def.type in IMPLICIT_LINKS and not field_def.not_storable:
            implicit = parse_link(name, field_def.name, IMPLICIT_LINKS[field_def.type])
            links.setdefault(field_def.name, replace(implicit, flags=implicit.flags | {"implicit"}))
        check_link_of(field_def, links)
    order_by, _, order = str(data.get("order", "createdAt desc")).partition(" ")
    return EntityDef(
        name=name,
        fields=fields,
        links=links,
        attributes={},
        order_by=order_by,
        order=order or "asc",
        text_filter_fields=tuple(str(data.get("text", "name")).split()),
        acl=data.get("acl", "record"),
        routes=not data.get("hidden", False),
        traits=traits,
        duplicate_check=tuple(str(data.get("duplicates", "")).split()),
        status_field=data.get("status"),
        indexes=tuple(tuple(index.split()) for index in data.get("indexes", [])),
        list_attributes=tuple(str(data.get("listed", "")).split()),
        scope=data.get("scope", {}),
    )


def parse_field(
    name: str, line: Any, choices: str | list[Any] | None = None, expression: str | None = None
) -> FieldDef:
    """One field line: type, then length, flags and ``key=value`` in any order.

    :param choices: ``"*New | Assigned"`` (the star marks the default), ``"@Account.industry"`` (those of another field)
    :param expression: SQL of a computed value
    :raises DefinitionError: naming the field and the word that is not understood
    """
    if not isinstance(line, str) or not line.split():
        raise DefinitionError(f"{name}: a field is one line of text")
    if not NAME.fullmatch(name):
        raise DefinitionError(f"{name}: not a field name")
    field_type, *words = line.split()
    if field_type not in ATTRIBUTE_KINDS:
        raise DefinitionError(f"{name}: unknown type {field_type!r}")
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    flags: set[str] = set()
    for word in words:
        key, equals, value = word.partition("=")
        if word.isdigit():
            values["max_length"] = int(word)
        elif word in FIELD_FLAGS:
            flags.add(FIELD_FLAGS[word])
        elif key == "default" and equals:
            values |= {"default": scalar(value), "has_default": True}
        elif key in ("min", "max") and equals:
            values[key] = scalar(value)
        elif key in ("link", "foreign") and value:
            values[key] = value
        elif key == "primary" and value:
            values["primary_link"] = value
        elif key in ("columns", "anyof", "types", "entities") and value:
            values[{"anyof": "any_of", "types": "phone_types", "entities": "entity_types"}.get(key, key)] = tuple(
                value.split(",")
            )
        elif key in ("entity", "orderBy", "maxCount", "after", "before") and value:
            extra[key] = scalar(value)
        else:
            raise DefinitionError(f"{name}: unknown word {word!r}")
    if choices is not None:
        options, default = parse_choices(choices)
        values["options"] = options
        if default is not None:
            values |= {"default": default, "has_default": True}
    if expression is not None:
        extra["sql"] = expression
    return FieldDef(name=name, type=field_type, flags=frozenset(flags), extra=extra, **values)


def parse_choices(choices: str | list[Any]) -> tuple[tuple[Any, ...], Any]:
    """Options and the default among them (None if no option is marked with a star)."""
    if isinstance(choices, list):
        return tuple(choices), None
    if choices.startswith("@"):
        return (choices,), None
    options = [option.strip() for option in choices.split("|")]
    starred = next((option[1:] for option in options if option.startswith("*")), None)
    return tuple(option.removeprefix("*") for option in options), starred


def resolve_option_references(parsed: Mapping[str, EntityDef]) -> None:
    """Replace ``@Account.industry`` by the options of that field."""
    for entity_def in parsed.values():
        fields = dict(entity_def.fields)
        for name, field_def in entity_def.fields.items():
            if field_def.options and str(field_def.options[0]).startswith("@"):
                other_type, _, other_field = str(field_def.options[0])[1:].partition(".")
                try:
                    fields[name] = replace(field_def, options=parsed[other_type].fields[other_field].options)
                except KeyError:
                    raise DefinitionError(
                        f"{entity_def.name}.json: {name}: no field {other_type}.{other_field}"
                    ) from None
        object.__setattr__(entity_def, "fields", fields)


def parts_of(field_def: FieldDef) -> Iterable[FieldDef]:
    """Fields that a compound field brings along."""
    name, unstored = field_def.name, "unstored " if field_def.not_storable else ""

    def part(suffix: str, line: str, choices: str | None = None) -> FieldDef:
        return parse_field(
            suffix if field_def.type == "personName" else name + suffix,
            (unstored and f"{line} {unstored}") or line,
            choices,
        )

    match field_def.type:
        case "personName":
            yield part("salutationName", "enum", "| Mr. | Ms. | Mrs. | Dr.")
            yield part("firstName", "varchar 100 clean")
            yield part("lastName", "varchar 100 clean")
            yield part("middleName", "varchar 100 clean")
        case "address":
            yield part("Street", "text 255")
            for suffix in ("City", "State", "Country"):
                yield part(suffix, "varchar 100 clean")
            yield part("PostalCode", "varchar 40 clean")
            yield part("Map", "map unstored unordered readonly")
        case "currency":
            yield part("Currency", "enum 3")
            yield part("Converted", "currencyConverted readonly")
        case "email" | "phone":
            yield part("IsOptedOut", "bool unstored")
            yield part("IsInvalid", "bool unstored")
        case "datetimeOptional":
            yield part("Date", "date utility")


def parse_link(entity_type: str, name: str, line: Any) -> LinkDef:
    """One link line: kind, ``Type.linkBack``, then flags and ``key=value``.

    :raises DefinitionError: naming the link and the word that is not understood
    """
    if not isinstance(line, str) or len(line.split()) < 1:
        raise DefinitionError(f"{name}: a link is one line of text")
    kind_word, *words = line.split()
    kind = LINK_KINDS.get(kind_word)
    if kind is None:
        raise DefinitionError(f"{name}: unknown link kind {kind_word!r}")
    other, _, foreign = (
        words.pop(0) if words and "=" not in words[0] and words[0] not in LINK_FLAGS else ""
    ).partition(".")
    if not other and kind != "belongsToParent":
        raise DefinitionError(f"{name}: a link needs an entity type")
    values: dict[str, Any] = {"foreign": foreign or None}
    flags: set[str] = set()
    for word in words:
        key, equals, value = word.partition("=")
        pairs = dict(pair.split(":", 1) for pair in value.split(",") if ":" in pair)
        if word in LINK_FLAGS:
            flags.add(LINK_FLAGS[word])
        elif not equals or not value:
            raise DefinitionError(f"{name}: unknown word {word!r}")
        elif key == "via":
            values["middle"] = value
        elif key == "columns":
            values["columns"] = {column: kind_.partition("*")[0] for column, kind_ in pairs.items()}
            values["column_defaults"] = {c: scalar(k.partition("*")[2]) for c, k in pairs.items() if "*" in k}
        elif key == "shows":
            values["column_attributes"] = pairs
        elif key == "where":
            values["conditions"] = pairs
        elif key in ("near", "distant"):
            values[f"{key}_key"] = value
        elif key == "always":
            values["mandatory_attributes"] = tuple(value.split(","))
        elif key in ("access", "own"):
            values["foreign_access" if key == "access" else "own_access"] = value
        elif key == "entities":
            values["entity_types"] = tuple(value.split(","))
        else:
            raise DefinitionError(f"{name}: unknown word {word!r}")
    if kind == "belongsToParent":
        values |= {"foreign": other.lstrip("*") or foreign or None}
        return LinkDef(name, kind, key=f"{name}Id", type_key=f"{name}Type", flags=frozenset(flags), **values)
    if kind == "belongsTo":
        values["key"] = f"{name}Id"
    elif kind == "manyMany":
        if not values.get("middle"):
            raise DefinitionError(f"{name}: a cross link needs via=<middle table>")
        shared = values["middle"].startswith("Entity")
        values.setdefault("near_key", "entityId" if shared else lower_first(entity_type) + "Id")
        values.setdefault("distant_key", lower_first(other) + "Id")
        values["near_type"] = entity_type if shared else None
    elif not foreign:
        raise DefinitionError(f"{name}: needs the link back ({other}.<link>)")
    else:
        values["foreign_key"] = f"{foreign}Id"
        values["foreign_type_key"] = f"{foreign}Type" if kind == "hasChildren" else ""
    return LinkDef(name, kind, entity_type=other, flags=frozenset(flags), **values)


def check_link_of(field_def: FieldDef, links: Mapping[str, LinkDef]) -> None:
    """Link fields need their link, unless they only carry a value that is not stored."""
    needs = {"link": "belongsTo", "linkOne": "hasOne", "linkParent": "belongsToParent"}.get(field_def.type)
    is_multiple = field_def.type in ("linkMultiple", "attachmentMultiple")
    if (needs is None and not is_multiple) or field_def.not_storable:
        return
    link = links.get(field_def.name)
    if link is None or (link.kind != needs if needs else not link.is_to_many):
        raise DefinitionError(
            f"{field_def.name}: a field of type {field_def.type} needs a link of the same name and kind"
        )


def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def scalar(text: str) -> Any:
    """A word as a value: number, ``true``, ``false``, ``null``, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
