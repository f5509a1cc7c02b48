"""Which attributes an extraction takes when its author names none, and how those come that lists do not show.

Without a ``select`` EspoCRM joins a name for every link and looks up stars for every record, which nobody loads into a
warehouse: the linked record has its own name. So the default is what the entity type itself holds. Anything left out
here comes when it is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_espo.client.attributes import Attribute
from airflow_provider_espo.client.errors import EspoUnknownNameError
from airflow_provider_espo.client.schema import EntitySchema

#: Said by the server about the user who asks, or the same for every record that a list shows.
_NOT_OF_THE_RECORD = frozenset(
    {"isFollowed", "isStarred", "followersIds", "followersNames", "deleted", "versionNumber"}
)

#: Who has them may act for somebody: they go nowhere unless they are asked for by name.
_SECRET: Mapping[str, frozenset[str]] = {
    "User": frozenset({"apiKey"}),
    "LeadCapture": frozenset({"apiKey"}),
    "Webhook": frozenset({"secretKey"}),
}

#: Lists of other records' ids, their names and columns: a query of its own for every page.
_LOOKED_UP_KINDS = frozenset({"ids", "names", "columns"})

_LINK_FIELDS = frozenset({"link", "linkOne", "linkParent", "file", "image", "attachment", "foreign"})

#: Said for a single record alone.
_OF_A_SINGLE_RECORD = frozenset({"isFollowed", "followersIds", "followersNames"})

#: No answer has them, and the metadata does not tell.
_NEVER_SHOWN: Mapping[str, frozenset[str]] = {
    "Call": frozenset({"uid"}),
    "Meeting": frozenset({"uid"}),
}

#: Lists show them although no column stands behind them. Not every server's metadata has the expression for them.
_SHOWN_BY_LISTS: Mapping[str, frozenset[str]] = {
    "Contact": frozenset({"title", "accountIsInactive", "hasPortalUser"}),
    "Email": frozenset({"subject", "fromName", "fromAddress", "replyToName", "replyToAddress"}),
    "Opportunity": frozenset({"amountWeightedConverted"}),
    "TargetList": frozenset({"entryCount", "optedOutCount"}),
}


def default_select(schema: EntitySchema) -> list[str]:
    """Return the attributes that an entity type itself holds, ``id`` first, then in the metadata's order.

    :param schema: of the entity type.
    """
    return ["id", *(name for name, it in schema.attributes.items() if name != "id" and _is_own(schema, it))]


def split_select(schema: EntitySchema, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Part names into those that lists show and those that only the answer for a single record is sure to have.

    :param schema: of the entity type.
    :param names: names that the schema knows.
    :return: names for the list, names for the single records.
    :raises EspoUnknownNameError: no answer has one of them.
    """
    wanted = {name: schema.attribute(name) for name in names}
    if lacking := [name for name, it in wanted.items() if it is not None and _is_never_shown(schema, it)]:
        raise EspoUnknownNameError(
            f"{schema.entity_type}: no answer of the server has {', '.join(lacking)}",
            hint="For records at the other end of a link, extract them with the id that links them back, such as "
            "Contact with accountId for the contacts of accounts",
        )
    single = {name for name, it in wanted.items() if it is not None and not _is_listed(schema, it)}
    return [name for name in wanted if name not in single], [name for name in wanted if name in single]


def _is_own(schema: EntitySchema, attribute: Attribute) -> bool:
    if attribute.name in _NOT_OF_THE_RECORD or attribute.kind in _LOOKED_UP_KINDS:
        return False
    if attribute.name in _SECRET.get(schema.entity_type, ()):
        return False
    if not _is_listed(schema, attribute) or _is_never_shown(schema, attribute):
        return False
    # Of a link the id (and a parent's type) is the record's own, the name the other record's.
    return not (attribute.field_type in _LINK_FIELDS and _is_foreign(attribute))


def _is_foreign(attribute: Attribute) -> bool:
    return attribute.field_type == "foreign" or (attribute.kind == "string" and attribute.name.endswith("Name"))


def _is_listed(schema: EntitySchema, attribute: Attribute) -> bool:
    if attribute.name in _SHOWN_BY_LISTS.get(schema.entity_type, ()):
        return True
    # The columns of a link come with the record, in lists they do not.
    if attribute.kind == "columns" or attribute.name in _OF_A_SINGLE_RECORD:
        return False
    return attribute.listed and not attribute.worked_out


def _is_never_shown(schema: EntitySchema, attribute: Attribute) -> bool:
    if attribute.name in _NEVER_SHOWN.get(schema.entity_type, ()) or attribute.field_type == "password":
        return True
    # A link of many without a field is read over the link alone.
    return attribute.kind in {"ids", "names"} and not attribute.listed and attribute.field not in schema.fields
