"""How the where functions make their items: through the same check that hand-written items pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.where_check import check_item
from airflow_provider_espo.client.where_operators import OPERATORS, Shape
from airflow_provider_espo.client.where_values import Place

if TYPE_CHECKING:
    from airflow_provider_espo.client.where_check import WhereItem

_PYTHON_WORDS = ("and", "or", "in")


def function_name(operator: str) -> str:
    """Give the name of the function for an operator: ``lastXDays`` is made by ``last_x_days``."""
    if operator in _PYTHON_WORDS:
        return f"{operator}_"
    return re.sub(r"(?<!^)([A-Z])", r"_\1", operator).lower()


def build(
    operator: str,
    attribute: object = None,
    value: object = None,
    *,
    time_zone: object = None,
    date_time: bool = False,
    date: bool = False,
) -> WhereItem:
    """Make a checked where item.

    :param operator: EspoCRM's name of it.
    :param attribute: attribute or link, where the operator has one.
    :param value: its value, where it has one.
    :param time_zone: IANA name or ``ZoneInfo``; means ``date_time`` unless ``date`` is given.
    :param date_time: whether the attribute is a date-time; known by itself where days or months are counted from
        now and the attribute is named ``…At``.
    :param date: whether the attribute is a date.
    :raises EspoInputError: if the item would not make sense to EspoCRM.
    """
    item: dict[str, Any] = {"type": operator}
    if attribute is not None:
        item["attribute"] = attribute
    if value is not None:
        item["value"] = value
    if date_time or (not date and (time_zone is not None or _counts_moments(operator, attribute))):
        item["dateTime"] = True
    if date:
        item["date"] = True
    if time_zone is not None:
        item["timeZone"] = time_zone if isinstance(time_zone, str) else _zone_name(time_zone)
    return check_item(item, Place(f"{function_name(operator)}()"), rendered=False)


def _counts_moments(operator: str, attribute: object) -> bool:
    """Whether days or months from now on are compared with an attribute that is a date with time by its name.

    EspoCRM names those ``…At`` (``createdAt``). Compared as dates they lose the last day: a time on it is above its
    date.
    """
    known = OPERATORS.get(operator)
    from_now = known is not None and known.local_time and known.shape in (Shape.NOTHING, Shape.DAYS)
    return from_now and isinstance(attribute, str) and attribute.endswith("At")


def _zone_name(zone: object) -> object:
    # By type and not by its ``key``: Airflow's references to other tasks' results have a ``key`` too.
    import zoneinfo

    return zone.key if isinstance(zone, zoneinfo.ZoneInfo) else zone
