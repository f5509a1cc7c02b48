"""What an entity type has: attributes and links, from the server's metadata, and checks of names against it.

EspoCRM drops unknown and read-only attributes of a write in silence, as it does unknown names of a
``select``. Therefore names are checked here before anything is sent. Where the metadata leaves a doubt, a
name passes: what the server takes is never refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client import name_hints
from airflow_provider_espo.client.attributes import (
    READ_ONLY_FIELD,
    Attribute,
    Kind,
    attributes_of_field,
    is_open,
)
from airflow_provider_espo.client.errors import EspoInputError, EspoUnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Attribute",
    "EntitySchema",
    "Kind",
    "Link",
    "check_link",
    "check_readable",
    "check_writable",
    "entity_defs_from_metadata",
]

_BY_THE_SERVER = "EspoCRM sets it"
_BY_FOLLOWING = "it says who follows the record: follow or unfollow instead"
_BY_STARRING = "it says whether the connection's user has starred the record"

#: Attributes that are in answers without being fields of the metadata. Whether a type has the later ones
#: depends on settings that an API user does not always see, so every type is taken to have them.
_IMPLICIT: tuple[tuple[str, Kind, str], ...] = (
    ("id", "id", _BY_THE_SERVER),
    ("deleted", "bool", _BY_THE_SERVER),
    ("versionNumber", "int", _BY_THE_SERVER),
    ("isFollowed", "bool", _BY_FOLLOWING),
    ("followersIds", "ids", _BY_FOLLOWING),
    ("followersNames", "names", _BY_FOLLOWING),
    ("isStarred", "bool", _BY_STARRING),
)

#: Dropped from every write, whatever the metadata says.
_SYSTEM = frozenset(
    {"id", "deleted", "versionNumber"}
    | {"createdAt", "createdById", "createdByName", "modifiedAt", "modifiedById", "modifiedByName"}
)

#: What a write may hold beside attributes: a flag of the duplicate check, the contents of an upload, and a
#: note's type, which EspoCRM's documentation says to send although it is Post in any case.
_WRITABLE_BESIDE = frozenset({"_skipDuplicateCheck"})
_WRITABLE_OF_TYPE: Mapping[str, frozenset[str]] = {
    "Attachment": frozenset({"file"}),
    "Note": frozenset({"type"}),
}

#: Paths that answer as a link does without being one in the metadata.
_READ_AS_LINK = frozenset({"followers", "stream", "posts", "updateStream", "streamAttachments"})
_READ_AS_LINK_OF_TYPE: Mapping[str, frozenset[str]] = {
    "Call": frozenset({"attendees"}),
    "Meeting": frozenset({"attendees"}),
    "TargetList": frozenset({"optedOut"}),
    "Import": frozenset({"imported", "updated", "duplicates", "errors"}),
}
_WRITE_AS_LINK = frozenset({"followers"})

_LINKABLE_KINDS = frozenset({"hasMany", "hasChildren", "manyMany"})
_HINT = "Names that the roles of this user hide look unknown too. validate=False skips this check"


@dataclass(frozen=True)
class Link:
    """One link of an entity type.

    :param name: name in the path of link requests.
    :param kind: EspoCRM's type of the link, such as ``hasMany`` or ``belongsTo``.
    :param entity_type: type of the linked records; ``None`` where it differs by record (a parent).
    :param foreign: the link's name on the other side, where it has one.
    :param columns: names of the columns that the link itself has, such as ``role``.
    """

    name: str
    kind: str
    entity_type: str | None = None
    foreign: str | None = None
    columns: tuple[str, ...] = ()

    @property
    def linkable(self) -> bool:
        """Whether EspoCRM links and unlinks records over it; others are set by an attribute of the record."""
        return self.kind in _LINKABLE_KINDS


@dataclass(frozen=True)
class EntitySchema:
    """Attributes and links of one entity type.

    :param entity_type: such as ``Lead``.
    :param attributes: by name.
    :param links: by name.
    :param fields: EspoCRM's field type by field name.
    :param open_fields: fields that may have attributes which the metadata does not name, with whether those
        can be written.
    :param required: attributes without which EspoCRM creates no record, as it has no default for them.
    """

    entity_type: str
    attributes: Mapping[str, Attribute]
    links: Mapping[str, Link]
    fields: Mapping[str, str]
    open_fields: Mapping[str, bool]
    required: tuple[str, ...] = ()

    @classmethod
    def from_entity_defs(cls, entity_type: str, defs: Mapping[str, Any]) -> EntitySchema:
        """Read the schema from ``entityDefs.<EntityType>`` of the metadata.

        :param entity_type: such as ``Lead``.
        :param defs: as :func:`entity_defs_from_metadata` gives it.
        """
        fields = _definitions(defs, "fields")
        links = {name: _link(name, link) for name, link in _definitions(defs, "links").items()}
        attributes: dict[str, Attribute] = {}
        for field, field_defs in fields.items():
            for attribute in attributes_of_field(field, field_defs):
                known = attributes.get(attribute.name)
                attributes[attribute.name] = _merged(known, attribute) if known else attribute
        for link in links.values():
            for attribute in _attributes_of_link(link):
                attributes.setdefault(attribute.name, attribute)
        for name, kind, why in _IMPLICIT:
            attributes.setdefault(
                name, Attribute(name, kind, writable=False, field=name, field_type="", why_read_only=why)
            )
        for name in _SYSTEM & attributes.keys():
            attributes[name] = replace(attributes[name], writable=False, why_read_only=_BY_THE_SERVER)
        return cls(
            entity_type=entity_type,
            attributes=MappingProxyType(attributes),
            links=MappingProxyType(links),
            fields=MappingProxyType({name: str(field.get("type") or "") for name, field in fields.items()}),
            open_fields=MappingProxyType(
                {
                    name: not field.get("readOnly") and field.get("type") != "foreign"
                    for name, field in fields.items()
                    if is_open(str(field.get("type") or ""))
                }
            ),
            required=tuple(_required(fields)),
        )

    def attribute(self, name: str) -> Attribute | None:
        """Find an attribute, also one of a field whose type is an extension's.

        :param name: the attribute's name.
        :return: the attribute, or ``None`` where there is none of this name.
        """
        found = self.attributes.get(name)
        if found:
            return found
        for field, writable in self.open_fields.items():
            if name.startswith(field) and name[len(field) : len(field) + 1].isupper():
                why = None if writable else READ_ONLY_FIELD
                return Attribute(name, "any", writable, field, self.fields[field], why)
        return None


def entity_defs_from_metadata(payload: Any, entity_type: str) -> Mapping[str, Any] | None:
    """Take an entity type's definition out of an answer with metadata.

    :param payload: the answer to ``GET Metadata?key=entityDefs.<EntityType>``. Before EspoCRM 8.2 the whole
        metadata comes, whatever the key.
    :param entity_type: such as ``Lead``.
    :return: the definition, or ``None`` where the type is unknown or hidden from the user (an empty answer).
    """
    if not isinstance(payload, Mapping):
        return None
    of_all = payload.get("entityDefs")
    defs = of_all.get(entity_type) if isinstance(of_all, Mapping) else payload
    return defs if isinstance(defs, Mapping) and isinstance(defs.get("fields"), Mapping) else None


def check_writable(schema: EntitySchema, names: Iterable[str], *, updating: bool = False) -> None:
    """Refuse names of attributes whose values EspoCRM would drop.

    :param schema: of the entity type that is written.
    :param names: names of the attributes to write.
    :param updating: an existing record is written: what is read-only after creation is refused too.
    :raises EspoUnknownNameError: naming every such name, why, and the nearest names.
    """
    beside = _WRITABLE_BESIDE | _WRITABLE_OF_TYPE.get(schema.entity_type, frozenset())
    bad = []
    for name in _names(names):
        attribute = schema.attribute(name)
        if name in beside:
            continue
        if attribute is None:
            bad.append(_unknown(schema, name, for_write=True))
        elif attribute.why_read_only:
            bad.append(f"{name_hints.quoted(name)} (read-only: {attribute.why_read_only})")
        elif updating and attribute.create_only:
            bad.append(f"{name_hints.quoted(name)} (read-only once the record exists)")
    if bad:
        raise EspoUnknownNameError(f"{schema.entity_type}: EspoCRM would drop in silence {', '.join(bad)}", hint=_HINT)


def check_readable(schema: EntitySchema, names: Iterable[str], what: str = "select", *, in_list: bool = False) -> None:
    """Refuse names that EspoCRM does not know.

    :param schema: of the entity type that is read.
    :param names: the names.
    :param what: the argument they stand in, for the message. In ``order_by`` names of fields pass as well, in
        ``where`` names of fields and links.
    :param in_list: the records come from a list, which lacks some attributes of a single record's answer.
    :raises EspoUnknownNameError: naming every such name, why, and the nearest names.
    """
    beside: set[str] = set()
    if what in {"order_by", "where"}:
        beside |= schema.fields.keys()
    if what == "where":
        beside |= schema.links.keys()
    bad = []
    for name in _names(names):
        # A path or an expression, such as account.type: only the server can say whether this user may use it.
        if name in beside or (beside and ("." in name or ":" in name)):
            continue
        attribute = schema.attribute(name)
        if attribute is None:
            bad.append(_unknown(schema, name, for_write=False))
        elif in_list and not attribute.listed:
            bad.append(f"{name_hints.quoted(name)} (lists never have it; read the record by its id)")
    if bad:
        raise EspoUnknownNameError(
            f"{schema.entity_type} does not have what {what} names: {', '.join(bad)}", hint=_HINT
        )


def check_link(schema: EntitySchema, link: str, *, for_write: bool) -> None:
    """Refuse a link that the entity type does not have, or over which nothing can be linked.

    :param schema: of the entity type whose record the link starts from.
    :param link: name of the link.
    :param for_write: records are to be linked or unlinked; otherwise only listed.
    :raises EspoUnknownNameError: with the nearest names, or with the attribute to set instead.
    """
    (link,) = _names([link])
    like_links = _WRITE_AS_LINK if for_write else _READ_AS_LINK
    if not for_write:
        like_links |= _READ_AS_LINK_OF_TYPE.get(schema.entity_type, frozenset())
    found = schema.links.get(link)
    if found is None:
        if link in like_links:
            return
        usable = [name for name, it in schema.links.items() if it.linkable or not for_write]
        meant = name_hints.or_these(name_hints.nearest(link, usable))
        raise EspoUnknownNameError(f"{schema.entity_type} has no link {name_hints.quoted(link)}{meant}", hint=_HINT)
    if for_write and not found.linkable:
        raise EspoUnknownNameError(
            f"{schema.entity_type}.{link} is a {found.kind} link: EspoCRM links and unlinks nothing over it",
            hint=_set_instead(schema, found),
        )


def _set_instead(schema: EntitySchema, link: Link) -> str:
    update = f"by an update of the {schema.entity_type} instead (null unlinks)"
    if link.kind == "belongsTo":
        return f"Set {link.name}Id {update}"
    if link.kind == "belongsToParent":
        return f"Set {link.name}Type and {link.name}Id {update}"
    attribute = f"{link.foreign}Id" if link.foreign else "the id attribute of the link"
    return f"Set {attribute} by an update of the {link.entity_type or 'other'} record instead"


def _unknown(schema: EntitySchema, name: str, *, for_write: bool) -> str:
    usable = [it for it in schema.attributes.values() if (it.writable if for_write else it.listed)]
    if name in schema.fields or name in schema.links:
        what = "a link" if name in schema.links else "a field"
        own = ", ".join(it.name for it in usable if it.field == name)
        instead = f"its attributes are {own}" if own else "it has no attribute to use here"
        return f"{name_hints.quoted(name)} ({what}: {instead})"
    meant = name_hints.nearest(name, (it.name for it in usable))
    return f"{name_hints.quoted(name)} (unknown{name_hints.or_these(meant)})"


def _names(names: Iterable[str]) -> list[str]:
    listed = [names] if isinstance(names, str) else list(names)
    for name in listed:
        if not isinstance(name, str) or not name:
            raise EspoInputError("Names of attributes and links must be texts that are not empty")
    return listed


def _merged(known: Attribute, other: Attribute) -> Attribute:
    """One attribute that two fields claim: by a field of its own name, and as part of a compound field.

    Its own field says what it is; the compound one says what it belongs to.
    """
    own, compound = (known, other) if known.field == known.name else (other, known)
    return replace(own, field=compound.field, field_type=compound.field_type, worked_out=compound.worked_out)


def _definitions(defs: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    # PHP writes an empty map as a list.
    found = defs.get(key)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): it for name, it in found.items() if isinstance(it, Mapping)}


def _required(fields: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for field, field_defs in fields.items():
        if field_defs.get("required") and field_defs.get("default") is None:
            yield from [part.name for part in attributes_of_field(field, field_defs) if part.writable][:1]


def _link(name: str, defs: Mapping[str, Any]) -> Link:
    columns = defs.get("additionalColumns")
    return Link(
        name=name,
        kind=str(defs.get("type") or ""),
        entity_type=str(defs["entity"]) if defs.get("entity") else None,
        foreign=str(defs["foreign"]) if defs.get("foreign") else None,
        columns=tuple(str(column) for column in columns) if isinstance(columns, Mapping) else (),
    )


def _attributes_of_link(link: Link) -> Iterable[Attribute]:
    """Attributes that a link brings along when no field of the metadata shows it."""
    if link.kind in {"belongsTo", "belongsToParent"}:
        field_type = "link" if link.kind == "belongsTo" else "linkParent"
        yield from attributes_of_field(link.name, {"type": field_type})
    elif link.linkable:
        # Such attributes are written as link-multiple attributes are, but no answer has them.
        for attribute in attributes_of_field(link.name, {"type": "linkMultiple"}):
            yield replace(attribute, listed=False)
