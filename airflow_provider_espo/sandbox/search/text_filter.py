"""The text filter: one text, looked for in the few fields of a type that are meant for it.

A text with ``*`` is a pattern. Otherwise texts are found by their beginning, long texts by any part of them
(from four letters on).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search import comparison, contact_data
from airflow_provider_espo.sandbox.search.sql import FALSE, any_of

if TYPE_CHECKING:
    from airflow_provider_espo.sandbox.search.context import SearchContext
    from airflow_provider_espo.sandbox.search.sql import Condition

#: Length from which a text is looked for anywhere in a long text (EspoCRM's ``textFilterContainsMinLength``).
MIN_LENGTH_ANYWHERE = 4

_PHONE_TEXT = re.compile(r"[0-9()\-+% ]+$")


def text_condition(context: SearchContext, text: str) -> Condition:
    """Records in which a text is found; none if the type has no field for this text."""
    # "ft:" asks for a full-text search; there is no index for that here, so it is an ordinary one.
    text = text.removeprefix("ft:")
    is_pattern = "*" in text
    text = text.replace("*", "%")
    conditions = [
        condition
        for name in context.entity_def.text_filter_fields
        if (condition := _in_attribute(context, name, text, is_pattern=is_pattern)) is not None
    ]
    return any_of(conditions) if conditions else FALSE


def _in_attribute(context: SearchContext, name: str, text: str, *, is_pattern: bool) -> Condition | None:
    definition = context.entity_def.attributes.get(name)
    field_def = context.entity_def.fields.get(name)
    field_type = field_def.type if field_def else ""
    if definition is None or definition.expression is None or (field_type == "email" and " " in text):
        return None
    if definition.kind == "int":
        if not php.is_numeric(text):
            return None
        return comparison.condition(context, name, "=", php.to_int(text))
    if field_type == "phone":
        return _in_phone(context, text, is_pattern=is_pattern)
    anywhere = definition.kind == "text" and len(text) >= MIN_LENGTH_ANYWHERE
    return comparison.condition(context, name, "*", _pattern(text, is_pattern=is_pattern, anywhere=anywhere))


def _in_phone(context: SearchContext, text: str, *, is_pattern: bool) -> Condition | None:
    digits = re.sub(r"[^0-9%]", "", text)
    if not _PHONE_TEXT.search(text) or php.is_empty(digits):
        return None
    return contact_data.numeric_condition(context, digits if is_pattern else f"{digits}%")


def _pattern(text: str, *, is_pattern: bool, anywhere: bool) -> str:
    text = text.replace("\\", "\\\\")
    if is_pattern:
        return text
    return f"%{text}%" if anywhere else f"{text}%"
