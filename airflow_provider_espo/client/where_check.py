"""The check of where items before they are sent.

EspoCRM answers a malformed item with an empty 500 or, worse, ignores it and returns every record. So each
item is checked here and given its plain, final form, whether a function of ``airflow_provider_espo.where``
made it or a person wrote the dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_espo.client import where_values as values
from airflow_provider_espo.client.where_operators import (
    FORBIDDEN,
    OPERATORS,
    Shape,
    hint_for_unknown,
    near_names,
)
from airflow_provider_espo.client.where_shapes import LIST_AS_TEXT, checked_value, kind_of
from airflow_provider_espo.client.where_values import Place
from airflow_provider_espo.client.wording import a_kind

if TYPE_CHECKING:
    from airflow_provider_espo.client.where_operators import Operator

#: A where item as EspoCRM takes it.
WhereItem = dict[str, Any]

_KEYS = ("type", "attribute", "field", "value", "dateTime", "timeZone", "date")
#: Without a value EspoCRM adds no condition for these.
_NULL_IS_ALL = ("inCategory", "isUserFromTeams", "bool", "primary", "textFilter")
_PATTERNS = ("contains", "startsWith", "endsWith", "like")
_JSON_STRING = (
    "EspoCRM ignores a where that is a JSON string and would return every record. Give a list of items; a "
    "whole list from another task comes as its .output, or by Jinja with render_template_as_native_obj=True"
)


def check_where(items: object, *, rendered: bool) -> list[WhereItem]:
    """Check a filter and give it the form that is sent.

    ``field`` becomes ``attribute``, times become EspoCRM's UTC form, tuples become lists; the given objects
    are not changed. A second check changes nothing.

    :param items: a list of where items, top-level items are and-ed. ``None`` is an empty list.
    :param rendered: whether Airflow has filled in templates. If not, Jinja text and objects that are not JSON
        values (references to other tasks' results) are let through, also in place of the whole list.
    :return: new items; what is still open is in its place in them.
    :raises EspoInputError: naming the position and operator of what is wrong, never a value.
    """
    place = Place("where")
    if items is None:
        return []
    if not rendered and values.is_open(items):
        return cast("list[WhereItem]", items)
    if isinstance(items, str):
        raise place.error("a list of where items is needed, not a str", _JSON_STRING)
    if isinstance(items, Mapping):
        raise place.error("a list of where items is needed, not a single item", "Put the item into a list")
    listed = values.elements(items)
    if listed is None:
        values.refuse(items, place)
        raise place.error(f"a list of where items is needed, not {a_kind(items)}")
    return [check_item(item, place[index], rendered=rendered) for index, item in enumerate(listed)]


def check_item(item: object, place: Place, *, rendered: bool, in_group: bool = False) -> WhereItem:
    """Check one where item and give it the form that is sent.

    :param item: the item.
    :param place: where it is.
    :param rendered: as in :func:`check_where`.
    :param in_group: whether the item is inside of an ``and`` or ``or``.
    :return: a new item with EspoCRM's keys in a fixed order.
    :raises EspoInputError: naming the position and operator of what is wrong, never a value.
    """
    if not rendered and values.is_open(item):
        return cast("WhereItem", item)
    if not isinstance(item, Mapping):
        hint = "Give the items of that list one by one" if values.elements(item) is not None else None
        raise place.error(f"a where item is a dict, not {a_kind(item)}", hint)
    given = _known_keys(item, place)
    kind = given.get("type")
    if not rendered and values.is_open(kind):
        return given
    operator = _operator(kind, place)
    place = Place(place.path, operator.name)
    result: WhereItem = {"type": operator.name}
    if operator.has_attribute:
        result["attribute"] = _attribute(given.get("attribute"), place, rendered=rendered)
    elif given.get("attribute") is not None:
        raise place.error("it takes no attribute")
    options = _time_options(given, operator, place, rendered=rendered)
    value = given.get("value")
    if operator.shape is Shape.NOTHING:
        if value is not None:
            raise place.error("it takes no value", "Leave the value out")
    elif operator.shape is Shape.ITEMS:
        result["value"] = _group(value, place, rendered=rendered)
    else:
        result["value"], options = checked_value(value, operator, options, place, rendered=rendered)
    result.update(options)
    return _as_meant(result, place, in_group=in_group)


def is_match_all(items: object) -> bool:
    """Tell whether a filter leaves no record out, openly or in disguise.

    To be asked before something is done to all records that match. In doubt the answer is yes for what
    EspoCRM may drop (an item without conditions beside others in an ``or``), and no for what Airflow still
    has to fill in.

    :param items: a filter as for :func:`check_where`, checked or not.
    :return: whether it is empty or made of ``any``, ``expression``, empty groups and lists, ``%`` patterns.
    """
    if items is None:
        return True
    if values.is_open(items):
        return False
    if isinstance(items, str):
        return True  # EspoCRM ignores a where that is a JSON string
    listed = [items] if isinstance(items, Mapping) else values.elements(items) or []
    return not any(_narrows(item) for item in listed)


def _narrows(item: object) -> bool:
    if not isinstance(item, Mapping):
        return values.is_open(item)
    kind, value = item.get("type"), item.get("value")
    listed = values.elements(value)
    if kind in ("and", "or"):
        if listed:
            return (any if kind == "and" else all)(_narrows(inner) for inner in listed)
        return values.is_open(value)
    if kind in ("any", "expression") or listed == []:
        return False
    if kind in _NULL_IS_ALL:
        return value is not None and value != ""
    if kind in _PATTERNS:
        return not (isinstance(value, str) and not value.strip("%") and (value or kind != "like"))
    attribute = item.get("attribute", item.get("field"))
    return not (attribute == "id" and kind in ("isNotNull", "ever"))


def _known_keys(item: Mapping[Any, Any], place: Place) -> WhereItem:
    for key in item:
        if key in _KEYS:
            continue
        if not values.is_name(key):
            raise place.error("a key of the item is not one that EspoCRM knows", f"Keys are {', '.join(_KEYS)}")
        near = near_names(key, _KEYS)
        hint = f"Its name may be {near}" if near else f"Keys are {', '.join(_KEYS)}"
        raise place.error(f"EspoCRM does not know the key {key}", hint)
    given = {key: item[key] for key in _KEYS if key in item}
    if "field" in given:
        field = given.pop("field")
        if given.setdefault("attribute", field) != field:
            raise place.error("attribute and field are the same key and differ here", "Leave field out")
    return given


def _operator(kind: object, place: Place) -> Operator:
    if kind is None:
        raise place.error("the item has no type", "type is the operator, such as equals")
    if not isinstance(kind, str):
        raise place.error(f"type is an operator's name, not {a_kind(kind)}")
    if kind in FORBIDDEN:
        raise place.error(f"EspoCRM refuses the operator {kind} over its API", FORBIDDEN[kind])
    if kind not in OPERATORS:
        # What does not look like a name may be a value at the wrong place: it is not repeated.
        named = f" {kind}" if len(kind) <= 40 and (values.is_name(kind) or not kind[:1].isalnum()) else ""
        raise place.error(f"EspoCRM has no operator{named}", hint_for_unknown(kind))
    return OPERATORS[kind]


def _attribute(name: object, place: Place, *, rendered: bool) -> Any:
    if name is None:
        hint = "To let every record through leave the item out" if place.operator == "any" else None
        raise place.error("the item has no attribute", hint)
    if not rendered and values.is_open(name):
        return name
    if not isinstance(name, str):
        raise place.error(f"attribute is a name, not {a_kind(name)}")
    if not name.strip():
        raise place.error("the attribute's name is empty")
    if any(mark in name for mark in ".:("):
        raise place.error(
            "the attribute is a path or an expression, which EspoCRM refuses over its API",
            "Name an attribute of the record itself, such as accountId or accountName, or use linkedWith",
        )
    if not values.is_name(name):
        raise place.error("attribute is not an attribute's name", "The attribute comes first, then the value")
    return name


def _time_options(given: WhereItem, operator: Operator, place: Place, *, rendered: bool) -> WhereItem:
    """Give the item's time options as they are to be sent; refuse them where EspoCRM ignores them."""
    date_time = _flag(given, "dateTime", place)
    date = _flag(given, "date", place)
    zone = given.get("timeZone")
    if operator.shape is Shape.NOTHING and not operator.local_time:
        return {}  # EspoCRM's own user interface sends them along with isNull and the like
    if date_time and date:
        raise place.error("dateTime is for date-time attributes and date for date attributes: give one of them")
    if date_time and not operator.local_time:
        raise place.error(
            "EspoCRM ignores dateTime and timeZone here and compares the value as UTC",
            "Use after, before, on or between, or give an aware datetime",
        )
    if date and not operator.local_date:
        raise place.error("date works with today, past, future, lastSevenDays and …XDays only")
    if zone is None:
        return {"dateTime": True} if date_time else {"date": True} if date else {}
    if not (date_time or date):
        raise place.error("EspoCRM ignores timeZone without dateTime (or date)", "Add dateTime: true")
    if rendered or not values.is_open(zone):
        if not isinstance(zone, str):
            raise place.error(f"timeZone is a name, not {a_kind(zone)}")
        values.zone_named(zone, place)
    return {"dateTime": True, "timeZone": zone} if date_time else {"date": True, "timeZone": zone}


def _flag(given: WhereItem, key: str, place: Place) -> bool:
    flag = given.get(key)
    if flag is not None and not isinstance(flag, bool):
        raise place.error(f"{key} is true or false, not {a_kind(flag)}")
    return bool(flag)


def _group(value: object, place: Place, *, rendered: bool) -> Any:
    if not rendered and values.is_open(value):
        return value
    listed = values.elements(value)
    if listed is None:
        values.refuse(value, place)
        raise place.error(
            f"it needs {Shape.ITEMS.value}, not {kind_of(value)}",
            LIST_AS_TEXT if isinstance(value, str) else None,
        )
    inside = Place(f"{place.path}.value")
    return [check_item(item, inside[index], rendered=rendered, in_group=True) for index, item in enumerate(listed)]


def _as_meant(item: WhereItem, place: Place, *, in_group: bool) -> WhereItem:
    """Write an item that EspoCRM takes for something else in another form of the same meaning."""
    kind = item["type"]
    if kind == "notOn" and item.get("dateTime"):
        # EspoCRM converts on, before and after to local time and forgets notOn: rows of that day come too.
        return {"type": "or", "value": [{**item, "type": "before"}, {**item, "type": "after"}]}
    if in_group and item.get("value") == "0":
        # PHP takes the text "0" for "empty", and EspoCRM drops such an item from an or/and; a list stays.
        if kind in ("equals", "like"):
            return {**item, "type": "in", "value": ["0"]}
        if kind in ("notEquals", "notLike"):
            return {**item, "type": "notIn", "value": ["0"]}
        if OPERATORS[kind].shape is Shape.ONE and not kind.startswith("column"):
            raise place.error("EspoCRM drops the text 0 inside of and/or without a word", "Give the number 0")
    return item
