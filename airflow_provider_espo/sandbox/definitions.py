"""What entity types the sandbox has: fields, links and the attributes that follow from them.

Everything here is read from data files, one for each entity type (``data/entities/<EntityType>.json``). An
entity type is added by adding a file. The form of the files is described in ``docs/sandbox.md``;
``definition_files.py`` reads it.

Three layers, with EspoCRM's own words:

* a **field** is what an administrator sees (``opportunityAmount`` of type ``currency``),
* an **attribute** is a key of a record as the API shows it (``opportunityAmount``, ``opportunityAmountCurrency``,
  ``opportunityAmountConverted``); one field has one or several,
* a **link** is a relation to another entity type (``account``: ``belongsTo`` ``Account``).

For SQL: :meth:`AttributeDef.sql` gives an expression for any attribute that has a value in the database,
stored or computed, given the alias of the row's table. Definitions can change while the sandbox runs (a
custom field is added), so look them up in :class:`Definitions` for each request and keep none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LinkKind = Literal["belongsTo", "belongsToParent", "hasOne", "hasMany", "hasChildren", "manyMany"]

AttributeKind = Literal[
    "id",
    "varchar",
    "text",
    "int",
    "float",
    "bool",
    "date",
    "datetime",
    "jsonArray",
    "jsonObject",
    "foreignId",
    "foreignType",
]

#: Where the value of an attribute comes from. ``stored`` attributes are columns; ``link*``, ``emailData``,
#: ``phoneData`` and ``none`` have no SQL expression (they are loaded for one record at a time, or never).
AttributeSource = Literal[
    "stored",
    "foreign",  # attribute ``foreign`` of the record that ``link`` points to
    "hasOne",  # id of the record on the other side of a hasOne link
    "personName",
    "email",
    "emailFlag",
    "phone",
    "phoneFlag",
    "converted",  # amount in the base currency
    "sql",  # an expression stated in the data file
    "middle",  # column ``foreign`` of the middle table of ``link``; has a value only in a list of related records
    "linkIds",
    "linkNames",
    "linkColumns",
    "linkTypes",
    "emailData",
    "phoneData",
    "parentName",
    "none",
]


def quoted(name: str) -> str:
    """An SQL identifier; definitions hold only letters, digits and underscores, so quoting is all that is needed."""
    return f'"{name}"'


@dataclass(frozen=True, slots=True)
class FieldDef:
    """A field of an entity type.

    :param name: name, e.g. ``opportunityAmount``
    :param type: EspoCRM's field type, e.g. ``currency``
    :param options: allowed values of an enum, multi-enum or array; None if anything goes
    :param default: value of a new record; None for none
    :param has_default: whether a default is stated (``null`` may be one)
    :param max_length: in characters; None for the type's own bound
    :param min: lowest number
    :param max: highest number
    :param flags: every boolean property that is set, under EspoCRM's name (``readOnly``, ``notStorable``,
        ``noLoad``, ...)
    :param link: for ``foreign`` fields the link, for fields that show a middle table's column the many-to-many link
    :param foreign: for ``foreign`` fields the field on the other side
    :param columns: for link-multiple fields, the middle table's columns that go along
    :param primary_link: for link-multiple fields, the belongs-to link that holds the first of them
    :param any_of: for a person's name: attributes of which one has to be there if first and last name are not
    :param phone_types: for phone fields, the types; the first is the default
    :param entity_types: for parent links, the types that are allowed
    :param extra: further properties for the ``Metadata`` endpoint, as it shows them
    :param custom: True if it was added while the sandbox ran
    """

    name: str
    type: str
    options: tuple[Any, ...] | None = None
    default: Any = None
    has_default: bool = False
    max_length: int | None = None
    min: float | None = None
    max: float | None = None
    flags: frozenset[str] = frozenset()
    link: str | None = None
    foreign: str | None = None
    columns: tuple[str, ...] = ()
    primary_link: str | None = None
    any_of: tuple[str, ...] = ()
    phone_types: tuple[str, ...] = ()
    entity_types: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    custom: bool = False

    @property
    def required(self) -> bool:
        """Whether the field needs a value."""
        return "required" in self.flags

    @property
    def read_only(self) -> bool:
        """Whether clients may not set it."""
        return "readOnly" in self.flags

    @property
    def not_storable(self) -> bool:
        """Whether it is not in the database."""
        return "notStorable" in self.flags


@dataclass(frozen=True, slots=True)
class LinkDef:
    """A link of an entity type.

    :param kind: ``manyMany`` has a middle table, ``hasMany`` a key in the other type's table
    :param entity_type: type on the other side; empty for ``belongsToParent``
    :param foreign: name of the link back, if there is one
    :param key: ``belongsTo``, ``belongsToParent``: own column with the other record's id
    :param type_key: ``belongsToParent``: own column with the other record's type
    :param foreign_key: ``hasMany``, ``hasOne``, ``hasChildren``: column in the other type's table with this record's id
    :param foreign_type_key: ``hasChildren``: column in the other type's table with this record's type
    :param middle: ``manyMany``: the middle table; its columns are ``near_key``, ``distant_key``, those in
        ``columns`` and ``deleted``
    :param near_key: ``manyMany``: column of the middle table with this record's id
    :param distant_key: ``manyMany``: column of the middle table with the other record's id
    :param near_type: ``manyMany``: if not None, the middle table is shared by entity types and has
        ``entityType`` = this
    :param columns: ``manyMany``: the middle table's role columns: name -> ``varchar`` or ``bool``
    :param column_lengths: their lengths, where stated
    :param conditions: ``manyMany``: column values of the middle table that rows of this link have
    :param column_attributes: column of the middle table -> attribute of *this* type that shows it when
        records of this type are listed from the other side
    :param flags: ``massLink``, ``linkOnlyNotLinked``, ``readOnly``, ``audited``, ...
    :param foreign_access: right that is needed on the other record to link it (``edit`` unless stated)
    :param own_access: right that is needed on this record
    :param extra: further properties for the ``Metadata`` endpoint
    """

    name: str
    kind: LinkKind
    entity_type: str = ""
    foreign: str | None = None
    key: str = ""
    type_key: str = ""
    foreign_key: str = ""
    foreign_type_key: str = ""
    middle: str = ""
    near_key: str = ""
    distant_key: str = ""
    near_type: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    column_defaults: Mapping[str, Any] = field(default_factory=dict)
    column_lengths: Mapping[str, int] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    column_attributes: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    foreign_access: str = "edit"
    own_access: str = "edit"
    mandatory_attributes: tuple[str, ...] = ()
    entity_types: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_to_many(self) -> bool:
        """Whether there may be several records on the other side."""
        return self.kind in ("hasMany", "hasChildren", "manyMany")


@dataclass(frozen=True, slots=True)
class AttributeDef:
    """A key of a record.

    :param kind: how the value looks like (in the database and in JSON)
    :param field: the field that it belongs to
    :param source: where the value comes from; ``stored`` is a column named as the attribute
    :param link: link for ``foreign``, ``hasOne``, ``middle`` and the ``link*`` sources
    :param foreign: attribute of the other type (``foreign``) or column of the middle table (``middle``)
    :param expression: SQL with ``{t}`` for the alias of the row's table; None if the value cannot be computed in SQL
    :param in_list: whether it comes in a list for which no ``select`` is given
    """

    name: str
    kind: AttributeKind
    field: str
    source: AttributeSource = "stored"
    link: str | None = None
    foreign: str | None = None
    expression: str | None = None
    max_length: int | None = None
    in_list: bool = True

    @property
    def stored(self) -> bool:
        """Whether it is a column."""
        return self.source == "stored"

    def sql(self, alias: str) -> str | None:
        """SQL expression of the value for the row of ``alias``; None if there is none."""
        return None if self.expression is None else self.expression.replace("{t}", alias)


@dataclass(frozen=True, slots=True)
class EntityDef:
    """An entity type. See the parts for their meaning.

    :param order_by: attribute or field by which lists are ordered if nothing is asked; ``order`` is ``asc`` or ``desc``
    :param acl: ``record`` (levels own/team/all), ``boolean`` (on or off), ``admin`` (administrators only)
    :param routes: whether records are served by the plain record routes
    :param traits: ``object``, ``stream``, ``stars``, ``optimisticConcurrency``, ``lockable``, ``countDisabled``, ...
    :param duplicate_check: fields of the duplicate check; empty for none
    :param status_field: field that holds the status, if there is one
    :param list_attributes: attributes that come in lists whatever is selected
    :param selects: attributes that come along with another one that is selected or ordered by
    :param scope: further properties for ``scopes`` in ``Metadata``
    """

    name: str
    fields: Mapping[str, FieldDef]
    links: Mapping[str, LinkDef]
    attributes: Mapping[str, AttributeDef]
    order_by: str = "createdAt"
    order: str = "desc"
    text_filter_fields: tuple[str, ...] = ("name",)
    acl: str = "record"
    routes: bool = True
    traits: frozenset[str] = frozenset()
    duplicate_check: tuple[str, ...] = ()
    status_field: str | None = None
    indexes: tuple[tuple[str, ...], ...] = ()
    list_attributes: tuple[str, ...] = ()
    selects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scope: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_person(self) -> bool:
        """Whether records are called by first and last name."""
        name = self.fields.get("name")
        return name is not None and name.type == "personName"

    @property
    def stream(self) -> bool:
        """Whether records have a stream and followers."""
        return "stream" in self.traits

    @property
    def optimistic_concurrency(self) -> bool:
        """Whether records have a version number."""
        return "optimisticConcurrency" in self.traits

    @property
    def count_disabled(self) -> bool:
        """Whether lists come without a total."""
        return "countDisabled" in self.traits

    def stored_attributes(self) -> Iterator[AttributeDef]:
        """Attributes that are columns of the type's table."""
        return (a for a in self.attributes.values() if a.source == "stored")


class Definitions(Mapping[str, EntityDef]):
    """All entity types of a sandbox by name. Changed only by replacing a whole :class:`EntityDef`."""

    def __init__(self, entity_defs: Mapping[str, EntityDef]) -> None:
        self._entity_defs = dict(entity_defs)
        self._by_folded_name = {name.lower(): name for name in self._entity_defs}

    def __getitem__(self, entity_type: str) -> EntityDef:
        return self._entity_defs[entity_type]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entity_defs)

    def __len__(self) -> int:
        return len(self._entity_defs)

    def replace(self, entity_def: EntityDef) -> None:
        """Put a new definition in the place of the one with the same name (or add it)."""
        self._entity_defs = {**self._entity_defs, entity_def.name: entity_def}
        self._by_folded_name[entity_def.name.lower()] = entity_def.name

    def find(self, name: str) -> EntityDef | None:
        """The type of this name; letter case does not matter, as in the paths of a real server."""
        actual = self._by_folded_name.get(name.lower())
        return None if actual is None else self._entity_defs[actual]
