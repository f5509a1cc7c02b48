"""Search parameters of a list request, checked, and as the one query parameter that keeps their types."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.where_check import check_where
from airflow_provider_espo.client.where_values import Place, Reading, elements, is_name, plain
from airflow_provider_espo.client.wording import a_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_espo.client.where_check import WhereItem

_ORDERS = ("asc", "desc")


class _Checked(tuple["Mapping[str, Any]", ...]):
    """Where items that were checked: a walk narrows its search for each page and need not check it all again."""

    __slots__ = ()


def _checked(items: object) -> _Checked:
    return _Checked(check_where(items, rendered=True))


@dataclass(frozen=True, kw_only=True)
class Search:
    """What to list: filters, attributes, order and window.

    What is not given is left to EspoCRM: all storable attributes, the entity type's own order, 200 records.

    :param where: where items, and-ed; see :mod:`airflow_provider_espo.where`.
    :param select: names of the attributes to return; ``id`` always comes along.
    :param order_by: attribute to order by; EspoCRM adds ``id`` as tie-breaker.
    :param order: ``asc`` or ``desc``; ``asc`` when only ``order_by`` is given.
    :param primary_filter: name of one of the entity type's primary filters, such as ``actual`` of Lead.
    :param bool_filters: names of bool filters, such as ``onlyMy``.
    :param text_filter: text to search for in the entity type's text filter fields.
    :param max_size: page size in records; the server's limit is 200 unless its administrator changed it. 0
        gives an empty list with the total.
    :param offset: number of records to leave out first.
    :param max_text_length: characters after which long texts are cut; the server's default is 10,000.
    :raises EspoInputError: for what EspoCRM would ignore, answer with an empty 500, or take otherwise.
    """

    where: Sequence[Mapping[str, Any]] = ()
    select: Sequence[str] | None = None
    order_by: str | None = None
    order: str | None = None
    primary_filter: str | None = None
    bool_filters: Sequence[str] = ()
    text_filter: str | None = None
    max_size: int | None = None
    offset: int | None = None
    max_text_length: int | None = None

    def __post_init__(self) -> None:
        checked = {
            "where": self.where if isinstance(self.where, _Checked) else _checked(self.where),
            "select": _select(self.select),
            "order_by": _name("order_by", self.order_by),
            "order": _order(self.order),
            "primary_filter": _name("primary_filter", self.primary_filter),
            "bool_filters": _names("bool_filters", self.bool_filters or ()),
            "text_filter": _text(self.text_filter),
            "max_size": _count("max_size", self.max_size, least=0),
            "offset": _count("offset", self.offset, least=0),
            "max_text_length": _count("max_text_length", self.max_text_length, least=1),
        }
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    def to_params(self) -> dict[str, Any]:
        """Give the parameters under EspoCRM's names, as in the ``searchParams`` of a request body.

        :return: a new dict with only what is set; values are plain JSON.
        """
        params: dict[str, Any] = {
            "where": [dict(item) for item in self.where] or None,
            "select": None if self.select is None else list(self.select),
            "orderBy": self.order_by,
            "order": self.order,
            "primaryFilter": self.primary_filter,
            "boolFilterList": list(self.bool_filters) or None,
            "textFilter": self.text_filter,
            "maxSize": self.max_size,
            "offset": self.offset,
            "maxTextAttributeLength": self.max_text_length,
        }
        return {key: value for key, value in params.items() if value is not None}

    def to_query(self) -> tuple[tuple[str, str], ...]:
        """Give the query parameters to send.

        Always the one parameter ``searchParams``: PHP-style arrays would make text of numbers and bools, and
        EspoCRM then compares or drops them wrongly. The same search always gives the same text.

        :return: one pair, or none if nothing is set.
        """
        params = self.to_params()
        if not params:
            return ()
        text = json.dumps(params, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)
        return (("searchParams", text),)

    def with_(self, **changes: Any) -> Self:
        """Give a search with some fields changed.

        :param changes: fields of this class; ``None`` takes one back to EspoCRM's default.
        """
        return replace(self, **changes)

    def and_where(self, *items: WhereItem) -> Self:
        """Give a search that is narrowed further.

        :param items: where items to be added to those that are there.
        """
        return replace(self, where=_Checked((*self.where, *_checked(items))))


def _select(names: object) -> tuple[str, ...] | None:
    if names is None:
        return None
    checked = _names("select", names)
    if not checked:
        raise EspoInputError(
            "select names no attribute",
            hint="Leave it out for all attributes, or give ['id'] for none but the id",
        )
    return checked


def _names(field: str, names: object) -> tuple[str, ...]:
    listed = elements(names)
    if listed is None:
        hint = "Give a list of names, also for one name" if isinstance(names, str) else None
        raise EspoInputError(f"{field} is a list of names, not {a_kind(names)}", hint=hint)
    checked = [_name(f"{field}[{index}]", name) for index, name in enumerate(listed)]
    return tuple(dict.fromkeys(name for name in checked if name is not None))


def _name(field: str, name: object) -> str | None:
    if name is None and "[" not in field:
        return None
    if not isinstance(name, str):
        raise EspoInputError(f"{field} is a name, not {a_kind(name)}")
    if not name.strip():
        raise EspoInputError(f"{field} is empty")
    if not is_name(name):
        hint = "EspoCRM refuses paths and expressions. " if any(mark in name for mark in ".:(") else ""
        raise EspoInputError(f"{field} is not a name", hint=f"{hint}A name has letters, digits and _ only")
    return name


def _order(order: object) -> str | None:
    if order is None:
        return None
    if not isinstance(order, str) or order.lower() not in _ORDERS:
        raise EspoInputError("order is asc or desc")
    return order.lower()


def _text(text: object) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise EspoInputError(f"text_filter is text, not {a_kind(text)}")
    if not text.strip():
        raise EspoInputError("text_filter is empty, so that every record would match", hint="Leave it out")
    return str(plain(text, Place("text_filter"), Reading(rendered=True)))


def _count(field: str, number: object, *, least: int) -> int | None:
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int):
        raise EspoInputError(f"{field} is a whole number, not {a_kind(number)}")
    if number < least:
        raise EspoInputError(f"{field} is {number}, the least is {least}")
    return number
