"""Operators on columns of middle tables: ``columnEquals``, ``columnIn``, ``columnLike``, ``columnIsNull``,
...

They are for the few fields that state a link and a column of it, such as a contact's acceptance of meetings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search.failures import bad_request
from airflow_provider_espo.sandbox.search.sql import Condition, Part, among, middle_rows
from airflow_provider_espo.sandbox.search.values import Operand, compare

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.search.context import SearchContext

_COMPARISONS = {
    "columnEquals": "=",
    "columnIn": "=",
    "columnIsNull": "=",
    "columnNotEquals": "!=",
    "columnNotIn": "!=",
    "columnIsNotNull": "!=",
    "columnLike": "*",
}
OPERATORS = frozenset(_COMPARISONS)


def convert(context: SearchContext, operator: str, attribute: str, value: Any) -> list[Part]:
    """Parts for one of :data:`OPERATORS`. A record without any link has NULL in the column.

    :raises ApiError: 400 if the attribute is no such field
    """
    field_def = context.entity_def.fields.get(attribute)
    link = context.entity_def.links.get(field_def.link or "") if field_def else None
    if field_def is None or link is None or field_def.type == "foreign" or field_def.foreign is None:
        raise bad_request("Bad where item 'column'.")
    if operator in ("columnIsNull", "columnIsNotNull"):
        value = None
    belongs = middle_rows(link)
    wanted = compare(Operand(f"m.{quoted(field_def.foreign)}", "varchar"), _COMPARISONS[operator], value)
    sql = (
        f"SELECT q.id FROM {quoted(context.entity_def.name)} q LEFT JOIN {quoted(link.middle)} m"  # noqa: S608
        f" ON m.{quoted(link.near_key)} = q.id AND {belongs.sql} WHERE {wanted.sql}"
    )
    return [Part(among(context.root_id, Condition(sql, (*belongs.params, *wanted.params))))]
