"""Whether a where item's value has the shape that its operator takes, and its plain JSON form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client import where_values as values
from airflow_provider_espo.client.where_operators import Shape
from airflow_provider_espo.client.where_values import Place, Reading
from airflow_provider_espo.client.wording import a_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_espo.client.where_operators import Operator

LIST_AS_TEXT = "Jinja makes text; a list comes as another task's .output, or with render_template_as_native_obj=True"

_LIST_ONLY = (Shape.LIST, Shape.PAIR, Shape.NAMES)
_ONE_OR_LIST = (Shape.ONE_OR_LIST, Shape.IDS, Shape.ENTRIES)
_ISO_TEXT = (Shape.ONE, Shape.ONE_OR_LIST, Shape.LIST, Shape.PAIR, Shape.MOMENT)
_ALWAYS_LIST = ("linkedWith", "notLinkedWith", "linkedWithAll")
_NOT_EMPTY = ("contains", "notContains", "startsWith", "endsWith", "textFilter")


def kind_of(value: object) -> str:
    """Name the kind of a value for an error text, such as ``a str``."""
    return "null" if value is None else a_kind(value)


def checked_value(
    value: object, operator: Operator, options: dict[str, Any], place: Place, *, rendered: bool
) -> tuple[Any, dict[str, Any]]:
    """Check an item's value and make it plain.

    :param value: the value as given.
    :param operator: the item's operator, one that takes a value other than items.
    :param options: the item's ``dateTime``, ``date`` and ``timeZone``.
    :param place: where the item is.
    :param rendered: whether Airflow has filled in templates.
    :return: the value to send, and the options: a ``timeZone`` is added where the value brings one.
    :raises EspoInputError: naming the position and operator of what is wrong, never the value.
    """
    shape = operator.shape
    if value is None:
        hint = "Use isNull or isNotNull" if shape in (Shape.ONE, Shape.ONE_OR_LIST) else None
        raise place.error(f"it needs {shape.value}", hint)
    inside = Place(f"{place.path}.value", place.operator)
    if not rendered and values.is_open(value):
        return value, options
    listed = values.elements(value)
    _check_count(value, listed, shape, place)
    parts = [value] if listed is None else listed
    zone = options.get("timeZone")
    if options.get("dateTime") and zone is None and any(values.is_point_in_time(part) for part in parts):
        if not all(values.is_point_in_time(part) for part in parts):
            raise place.error("a point in time and a local date are mixed", "Give the time zone")
        # EspoCRM would read the time in its own system time zone, which is not known here.
        options = {**options, "timeZone": "UTC"}
        zone = "UTC"
    reading = _reading(shape, options, zone, parts, place, rendered=rendered)
    checked = [
        _part(part, operator, options, inside if listed is None else inside[index], reading)
        for index, part in enumerate(parts)
    ]
    single = listed is None and operator.name not in _ALWAYS_LIST
    return (checked[0] if single else checked), options


def _check_count(value: object, listed: list[Any] | None, shape: Shape, place: Place) -> None:
    if listed is None:
        values.refuse(value, place)
        if shape in _LIST_ONLY:
            hint = LIST_AS_TEXT if isinstance(value, str) else None
            raise place.error(f"it needs {shape.value}, not {kind_of(value)}", hint)
        return
    if shape not in _LIST_ONLY and shape not in _ONE_OR_LIST:
        raise place.error(f"it needs {shape.value}, not {kind_of(value)}")
    if not listed:
        raise place.error(
            "the list is empty, which EspoCRM refuses or ignores",
            "Skip the call when there is nothing to look for, or use none()",
        )
    if shape is Shape.PAIR and len(listed) != 2:
        raise place.error(f"it needs {shape.value}, not a list of {len(listed)}")


def _reading(
    shape: Shape, options: dict[str, Any], zone: object, parts: list[Any], place: Place, *, rendered: bool
) -> Reading:
    iso_text = shape in _ISO_TEXT
    if not iso_text or not options.get("dateTime") or zone is None:
        return Reading(rendered, iso_text)
    if values.is_open(zone):
        if any(values.is_point_in_time(part) for part in parts):
            raise place.error("a point in time needs a time zone that is known already")
        return Reading(rendered, iso_text)
    return Reading(rendered, iso_text, values.zone_named(str(zone), place))


def _part(part: object, operator: Operator, options: dict[str, Any], place: Place, reading: Reading) -> Any:
    if operator.shape is Shape.DAYS and isinstance(part, str) and part.strip().isdecimal():
        part = int(part)  # a rendered template is text
    result = values.plain(part, place, reading)
    if not reading.rendered and values.is_open(result):
        return result
    shape = Shape.MOMENT if operator.shape is Shape.PAIR and options.get("dateTime") else operator.shape
    fits = _FITS.get(shape)
    if fits is not None and not fits(result):
        raise place.error(f"it needs {_WORDS.get(shape, shape.value)}, not {_described(result, shape)}")
    if result == "" and operator.name in _NOT_EMPTY:
        raise place.error("the text is empty, so that it would say nothing", "Leave the item out")
    return result


def _described(result: object, shape: Shape) -> str:
    if isinstance(result, str) and shape in (Shape.MOMENT, Shape.NAME, Shape.NAMES, Shape.IDS):
        return "another text" if result else "an empty text"
    negative = shape is Shape.DAYS and isinstance(result, int) and not isinstance(result, bool)
    return "a negative number" if negative else kind_of(result)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_number_of_days(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_FITS: dict[Shape, Callable[[Any], bool]] = {
    Shape.TEXT: lambda value: isinstance(value, str),
    Shape.MOMENT: lambda value: isinstance(value, str) and values.is_moment(value),
    Shape.DAYS: _is_number_of_days,
    Shape.IDS: _is_id,
    Shape.NAME: values.is_name,
    Shape.NAMES: values.is_name,
}
_WORDS: dict[Shape, str] = {Shape.IDS: "an id", Shape.NAMES: "a filter name"}
