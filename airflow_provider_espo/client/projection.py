"""Which attributes an extraction takes when its author names none.

Without a ``select`` EspoCRM joins a name for every link and looks up stars for every record, which nobody loads into a
warehouse: the linked record has its own name. So the default is what the entity type itself holds. Anything left out
here comes when it is named.
"""

from __future__ import annotations

from airflow_provider_espo.client.attributes import Attribute
from airflow_provider_espo.client.schema import EntitySchema

#: Said by the server about the user who asks, or the same for every record that a list shows.
_NOT_OF_THE_RECORD = frozenset(
    {"isFollowed", "isStarred", "followersIds", "followersNames", "deleted", "versionNumber"}
)

#: Lists of other records' ids, their names and columns: a query of its own for every page.
_LOOKED_UP_KINDS = frozenset({"ids", "names", "columns"})

_LINK_FIELDS = frozenset({"link", "linkOne", "linkParent", "file", "image", "attachment", "foreign"})


def default_select(schema: EntitySchema) -> list[str]:
    """Return the attributes that an entity type itself holds, ``id`` first, then in the metadata's order.

    :param schema: of the entity type.
    """
    own = [name for name, attribute in schema.attributes.items() if name != "id" and _is_own(attribute)]
    return ["id", *own]


def split_select(schema: EntitySchema, names: list[str]) -> tuple[list[str], list[str]]:
    """Part names into those that lists show and those that only the answer for a single record has.

    :param schema: of the entity type.
    :param names: checked names.
    :return: names for the list, names for the single records.
    """
    single = [name for name in names if (it := schema.attribute(name)) is not None and not it.listed]
    return [name for name in names if name not in single], single


def _is_own(attribute: Attribute) -> bool:
    if not attribute.listed or attribute.name in _NOT_OF_THE_RECORD or attribute.kind in _LOOKED_UP_KINDS:
        return False
    # Of a link the id (and a parent's type) is the record's own, the name the other record's.
    return not (attribute.field_type in _LINK_FIELDS and _is_foreign(attribute))


def _is_foreign(attribute: Attribute) -> bool:
    return attribute.field_type == "foreign" or (attribute.kind == "string" and attribute.name.endswith("Name"))
