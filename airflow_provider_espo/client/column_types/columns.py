"""The columns of an extraction: names in order, and of each what its values are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, get_args

from airflow_provider_espo.client.attributes import DEFAULT_SCALE, Attribute, Kind
from airflow_provider_espo.client.errors import EspoInputError, EspoUnknownNameError

if TYPE_CHECKING:
    from airflow_provider_espo.client.schema import EntitySchema

_KINDS: frozenset[str] = frozenset(get_args(Kind))

#: Kinds whose values are lists or maps.
NESTED_KINDS: frozenset[Kind] = frozenset({"ids", "names", "columns", "email_data", "phone_data", "list", "object"})

#: Lists of one kind of item, by field type; the items of others (``jsonArray``) may be anything.
_ITEM_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("multiEnum", "multienum", "array", "checklist", "urlMultiple"), "string"),
    "arrayInt": "int",
}

#: Kinds whose ``maxLength`` bounds a text. Of a list the metadata's limit is one for each item.
_SIZED_KINDS: frozenset[Kind] = frozenset({"string", "text", "enum", "email", "phone"})


@dataclass(frozen=True)
class Column:
    """One column of an extraction.

    :param name: the attribute's name.
    :param kind: what its values are.
    :param nullable: whether a record may have no value; all but the id may, also where EspoCRM requires one, since
        the user's roles may hide it.
    :param max_length: in characters; ``None`` where the metadata has no limit.
    :param scale: digits behind the point; only of decimals.
    :param options: values that an enum or multi-enum has today; empty where the metadata names none.
    :param items: kind of a list's items; ``None`` of what is no list, and where they may be anything.
    """

    name: str
    kind: Kind
    nullable: bool = True
    max_length: int | None = None
    scale: int | None = None
    options: tuple[str, ...] = ()
    items: Kind | None = None

    @property
    def is_nested(self) -> bool:
        """Whether values may be lists or maps."""
        return self.kind in NESTED_KINDS

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON; what is not known is left out."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind, "nullable": self.nullable}
        if self.max_length is not None:
            found["max_length"] = self.max_length
        if self.scale is not None:
            found["scale"] = self.scale
        if self.options:
            found["options"] = list(self.options)
        if self.items is not None:
            found["items"] = self.items
        return found

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returned.

        :raises EspoInputError: it is something else.
        """
        name, kind, items = given.get("name"), given.get("kind"), given.get("items")
        max_length, scale = given.get("max_length"), given.get("scale")
        nullable, options = given.get("nullable", True), given.get("options", [])
        if (
            not isinstance(name, str)
            or not name
            or kind not in _KINDS
            or (items is not None and items not in _KINDS)
            or not isinstance(nullable, bool)
            or not all(it is None or (isinstance(it, int) and it >= 0) for it in (max_length, scale))
            or not isinstance(options, list | tuple)
        ):
            raise EspoInputError(
                "This is no column: it lacks a name or a known kind, or has a value of the wrong type",
                hint="Columns are written by this provider; a newer version may know more kinds",
            )
        return cls(
            name=name,
            kind=kind,
            nullable=nullable,
            max_length=max_length,
            scale=scale,
            options=tuple(str(option) for option in options),
            items=items,
        )


def columns_of(schema: EntitySchema, names: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of an extraction.

    :param schema: of the entity type.
    :param names: attributes, in the order of the columns; a name that comes twice counts once.
    :raises EspoUnknownNameError: the entity type does not have one of them.
    """
    wanted = list(dict.fromkeys(names))
    found = {name: schema.attribute(name) for name in wanted}
    if lacking := [name for name, attribute in found.items() if attribute is None]:
        raise EspoUnknownNameError(f"{schema.entity_type} does not have the attributes {', '.join(lacking)}")
    return tuple(_column(attribute) for attribute in found.values() if attribute is not None)


def _column(attribute: Attribute) -> Column:
    kind = attribute.kind
    return Column(
        name=attribute.name,
        kind=kind,
        nullable=attribute.name != "id",
        max_length=attribute.max_length if kind in _SIZED_KINDS else None,
        scale=(DEFAULT_SCALE if attribute.scale is None else attribute.scale) if kind == "decimal" else None,
        options=attribute.options,
        items="id" if kind == "ids" else _ITEM_KINDS.get(attribute.field_type) if kind == "list" else None,
    )
