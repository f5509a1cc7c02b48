"""Reads the lines of the data files: fields, links, choices. ``docs/sandbox.md`` describes their form."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.attributes import ATTRIBUTE_KINDS
from airflow_provider_espo.sandbox.definitions import FieldDef, LinkDef, LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
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
    "noinput": "inputIgnored",
    "strip": "strip",
    "protocol": "protocolRequired",
    "nodecimal": "decimalDisabled",
    "unlocked": "notLockable",
    "soft": "suppressRequired",
}
#: ``key=value`` words of a field line with one value, and with several (``a,b``).
FIELD_VALUES = {"link": "link", "foreign": "foreign", "primary": "primary_link"}
FIELD_LISTS = {"columns": "columns", "anyof": "any_of", "types": "phone_types", "entities": "entity_types"}
FIELD_EXTRAS = frozenset({"entity", "orderBy", "maxCount", "maxFileSize", "after", "before"})
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
LINK_VALUES = {
    "via": "middle",
    "near": "near_key",
    "distant": "distant_key",
    "access": "foreign_access",
    "own": "own_access",
}
LINK_LISTS = {"always": "mandatory_attributes", "entities": "entity_types"}
LINK_PAIRS = {"shows": "column_attributes", "where": "conditions"}


class DefinitionError(ValueError):
    """A data file (or a field that is to be added) says something that cannot be understood."""


def parse_field(
    name: str, line: Any, choices: str | list[Any] | None = None, expression: str | None = None
) -> FieldDef:
    """Read one field line: type, then length, flags and ``key=value`` in any order.

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
    flags = frozenset(FIELD_FLAGS[word] for word in words if word in FIELD_FLAGS)
    values: dict[str, Any] = {"extra": {} if expression is None else {"sql": expression}}
    for word in words:
        if word not in FIELD_FLAGS:
            read_field_word(name, word, values)
    if choices is not None:
        values |= parse_choices(choices)
    return FieldDef(name=name, type=field_type, flags=flags, **values)


def read_field_word(name: str, word: str, values: dict[str, Any]) -> None:
    """Read a word of a field line that is not a flag into the arguments of a field.

    :raises DefinitionError: if it is not understood
    """
    key, _, value = word.partition("=")
    if word.isdigit():
        values["max_length"] = int(word)
    elif not value:
        raise DefinitionError(f"{name}: unknown word {word!r}")
    elif key == "default":
        values |= {"default": scalar(value), "has_default": True}
    elif key in ("min", "max"):
        values[key] = scalar(value)
    elif key in FIELD_VALUES:
        values[FIELD_VALUES[key]] = value
    elif key in FIELD_LISTS:
        values[FIELD_LISTS[key]] = tuple(value.split(","))
    elif key == "accept":
        values["extra"][key] = value.split(",")
    elif key in FIELD_EXTRAS:
        values["extra"][key] = scalar(value)
    else:
        raise DefinitionError(f"{name}: unknown word {word!r}")


def parse_choices(choices: str | list[Any]) -> dict[str, Any]:
    """Options of a field, and the default among them if one is marked with a star."""
    if isinstance(choices, list):
        return {"options": tuple(choices)}
    if choices.startswith("@"):
        return {"options": (choices,)}
    options = [option.strip() for option in choices.split("|")]
    starred = [option[1:] for option in options if option.startswith("*")]
    found: dict[str, Any] = {"options": tuple(option.removeprefix("*") for option in options)}
    return found | ({"default": starred[0], "has_default": True} if starred else {})


def parts_of(field_def: FieldDef) -> Iterable[FieldDef]:
    """Fields that a compound field brings along."""
    unstored = " unstored" if field_def.not_storable else ""
    prefix = "" if field_def.type == "personName" else field_def.name
    for suffix, line in PARTS.get(field_def.type, {}).items():
        yield parse_field(prefix + suffix, line + unstored, PART_CHOICES.get(suffix))


#: Parts of compound fields: what is put behind the field's name, and the line.
PARTS: Mapping[str, Mapping[str, str]] = {
    "personName": {
        "salutationName": "enum",
        "firstName": "varchar 100 clean",
        "lastName": "varchar 100 clean",
        "middleName": "varchar 100 clean",
    },
    "address": {
        "Street": "text 255",
        "City": "varchar 100 clean",
        "State": "varchar 100 clean",
        "Country": "varchar 100 clean",
        "PostalCode": "varchar 40 clean",
        "Map": "map unstored unordered readonly",
    },
    "currency": {"Currency": "enum 3", "Converted": "currencyConverted readonly"},
    "email": {"IsOptedOut": "bool unstored", "IsInvalid": "bool unstored"},
    "phone": {"IsOptedOut": "bool unstored", "IsInvalid": "bool unstored"},
    "datetimeOptional": {"Date": "date utility"},
}
PART_CHOICES = {"salutationName": "| Mr. | Ms. | Mrs. | Dr."}


def parse_link(entity_type: str, name: str, line: Any) -> LinkDef:
    """Read one link line: kind, ``Type.linkBack``, then flags and ``key=value``.

    :raises DefinitionError: naming the link and the word that is not understood
    """
    if not isinstance(line, str) or not line.split():
        raise DefinitionError(f"{name}: a link is one line of text")
    kind_word, *words = line.split()
    kind = LINK_KINDS.get(kind_word)
    if kind is None:
        raise DefinitionError(f"{name}: unknown link kind {kind_word!r}")
    has_target = bool(words) and "=" not in words[0] and words[0] not in LINK_FLAGS
    other, _, foreign = (words.pop(0) if has_target else "").partition(".")
    if not other and kind != "belongsToParent":
        raise DefinitionError(f"{name}: a link needs an entity type")
    values: dict[str, Any] = {"entity_type": other, "foreign": foreign or None}
    values["flags"] = frozenset(LINK_FLAGS[word] for word in words if word in LINK_FLAGS)
    for word in words:
        if word not in LINK_FLAGS:
            read_link_word(name, word, values)
    return LinkDef(name=name, kind=kind, **with_keys(entity_type, name, kind, values))


def read_link_word(name: str, word: str, values: dict[str, Any]) -> None:
    """Read a ``key=value`` word of a link line into the arguments of a link.

    :raises DefinitionError: if it is not understood
    """
    key, _, value = word.partition("=")
    pairs = dict(pair.split(":", 1) for pair in value.split(",") if ":" in pair)
    if not value:
        raise DefinitionError(f"{name}: unknown word {word!r}")
    if key == "columns":
        kinds = {column: kind.partition("*")[0] for column, kind in pairs.items()}
        values["columns"] = {column: kind.rstrip("0123456789") for column, kind in kinds.items()}
        values["column_lengths"] = {
            c: int(k.lstrip("abcdefghijklmnopqrstuvwxyz")) for c, k in kinds.items() if k[-1:].isdigit()
        }
        values["column_defaults"] = {c: scalar(k.partition("*")[2]) for c, k in pairs.items() if "*" in k}
    elif key in LINK_PAIRS:
        values[LINK_PAIRS[key]] = pairs
    elif key in LINK_VALUES:
        values[LINK_VALUES[key]] = value
    elif key in LINK_LISTS:
        values[LINK_LISTS[key]] = tuple(value.split(","))
    else:
        raise DefinitionError(f"{name}: unknown word {word!r}")


def with_keys(entity_type: str, name: str, kind: LinkKind, values: dict[str, Any]) -> dict[str, Any]:
    """Add the columns that hold the link, by EspoCRM's rules for their names.

    :raises DefinitionError: if the line does not say enough
    """
    other, foreign = values["entity_type"], values["foreign"]
    if kind == "belongsToParent":
        return values | {"entity_type": "", "key": f"{name}Id", "type_key": f"{name}Type"}
    if kind == "belongsTo":
        return values | {"key": f"{name}Id"}
    if kind == "manyMany":
        if not values.get("middle"):
            raise DefinitionError(f"{name}: a cross link needs via=<middle table>")
        shared = values["middle"].startswith("Entity")
        near = "entityId" if shared else f"{lower_first(entity_type)}Id"
        keys = {"near_key": near, "distant_key": f"{lower_first(other)}Id"}
        return keys | values | {"near_type": entity_type if shared else None}
    if not foreign:
        raise DefinitionError(f"{name}: needs the link back ({other}.<link>)")
    type_key = f"{foreign}Type" if kind == "hasChildren" else ""
    return values | {"foreign_key": f"{foreign}Id", "foreign_type_key": type_key}


def lower_first(text: str) -> str:
    """A text with its first letter in lower case."""
    return text[:1].lower() + text[1:]


def scalar(text: str) -> Any:
    """A word as a value: number, ``true``, ``false``, ``null``, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
