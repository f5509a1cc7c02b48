"""Operators on lists of values (array, multi-enum, checklist): ``arrayAnyOf``, ``arrayNoneOf``,
``arrayAllOf``, ``arrayIsEmpty``, ...

EspoCRM looks them up in a table of its own that has rows for fields of these types only; any other attribute
is as if it were empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search.failures import bad_request
from airflow_provider_espo.sandbox.search.sql import TRUE, Condition, Part, exists, one_of, text_compared

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.search.context import SearchContext

OPERATORS = frozenset({"arrayAnyOf", "arrayNoneOf", "arrayAllOf", "arrayIsEmpty", "arrayIsNotEmpty"})

_FIELD_TYPES = frozenset({"array", "multiEnum", "checklist", "urlMultiple"})


def convert(context: SearchContext, operator: str, attribute: str, value: Any) -> list[Part]:
    """Parts for one of :data:`OPERATORS`.

    :raises ApiError: 400 if values are needed and there are none
    """
    if operator in ("arrayIsEmpty", "arrayIsNotEmpty"):
        return [_part(context, attribute, TRUE, negate=operator == "arrayIsEmpty")]
    if php.is_empty(value) and not php.is_array(value):
        subject = "" if operator == "arrayAnyOf" else " 'array'"
        raise bad_request(f"Bad where item{subject}. No value.")
    values = [php.to_string(v) for v in (php.values(value) if php.is_array(value) else [value])]
    if operator == "arrayAllOf":
        # One part for each value: in an "or" any of them is enough.
        return [_part(context, attribute, _is_one_of([v])) for v in values]
    return [_part(context, attribute, _is_one_of(values), negate=operator == "arrayNoneOf")]


def _is_one_of(values: list[str]) -> Condition:
    return one_of(text_compared("j.value"), values)


def _part(context: SearchContext, attribute: str, wanted: Condition, *, negate: bool = False) -> Part:
    definition = context.entity_def.attributes[attribute]
    field_def = context.entity_def.fields.get(definition.field)
    sql = definition.sql(context.root)
    is_array = definition.kind == "jsonArray" and definition.source in ("stored", "foreign")
    if not is_array or sql is None or field_def is None or field_def.type not in (*_FIELD_TYPES, "foreign"):
        return Part(Condition("1" if negate else "0"))
    elements = Condition(f"SELECT 1 FROM json_each({sql}) j WHERE {wanted.sql}", wanted.params)  # noqa: S608
    return Part(exists(elements, negate=negate))
