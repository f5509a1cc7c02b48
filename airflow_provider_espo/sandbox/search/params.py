"""Reads the parameters of a list request.

They come in one of two ways: each in its own query parameter, with ``where`` as PHP arrays (all values are
strings then), or all together as JSON in ``searchParams``, which makes the server ignore the others. Both end
in :class:`SearchParams`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search.failures import bad_request, crash, forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Records of one answer if nothing is asked, and the most that can be asked (EspoCRM's
#: ``recordListMaxSizeLimit``).
MAX_SIZE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class SearchParams:
    """What a list request asks for.

    :param select: attributes; None for all. Unknown names are still in it
    :param where: raw where items (dicts, if the client did right); None if there is no filter
    :param order_by: field or attribute; None for the default of the type
    :param order: ``ASC``, ``DESC`` or None
    :param offset: records to skip; None for 0
    :param max_size: records to return
    :param text_filter: text of a search over the type's text filter fields
    :param primary_filter: name of a predefined filter
    :param bool_filters: names of predefined filters of which one has to match
    :param no_total: whether the request does without a count (a quick search does)
    :param max_text_length: texts longer than this are cut in the answer; None for the server's own bound
    """

    select: tuple[str, ...] | None = None
    where: tuple[Any, ...] | None = None
    order_by: str | None = None
    order: str | None = None
    offset: int | None = None
    max_size: int = MAX_SIZE_LIMIT
    text_filter: str | None = None
    primary_filter: str | None = None
    bool_filters: tuple[str, ...] = ()
    no_total: bool = False
    max_text_length: int | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, Any], *, limit: int = MAX_SIZE_LIMIT) -> SearchParams:
        """Read the parameters of a request.

        :param query: query parameters as :func:`~airflow_provider_espo.sandbox.php.parse_query` gives them
        :param limit: highest ``maxSize``
        :raises ApiError: 400 or 403 with the reason; 500 for input of a type that PHP refuses
        """
        raw = _read_json(query) if "searchParams" in query else _read_separate(query)
        quick = _text(query, "q")
        return cls.from_raw(raw, limit=limit, no_total=not php.is_empty(quick or ""))

    @classmethod
    def from_raw(cls, raw: Mapping[Any, Any], *, limit: int = MAX_SIZE_LIMIT, no_total: bool = False) -> SearchParams:
        """Check parameters that are already taken apart, as in the body of a mass action or an export.

        :raises ApiError: 400 or 403 with the reason; 500 for input of a type that PHP refuses
        """
        max_size = _checked_max_size(raw, limit)
        where = raw.get("where")
        text_filter = _optional_text(raw, "textFilter") if raw.get("textFilter") is not None else raw.get("q")
        max_text_length = raw.get("maxTextAttributeLength") or None
        select = _checked_select(raw.get("select"))
        order_by = _optional_text(raw, "orderBy")
        order = _optional_text(raw, "order")
        bool_filters = _checked_names(raw.get("boolFilterList"))
        primary_filter = _optional_text(raw, "primaryFilter")
        if where is not None and not php.is_array(where):
            raise bad_request("where should be array.")
        offset = _checked_offset(raw.get("offset"))
        if max_text_length is not None and not _is_int(max_text_length):
            raise bad_request("maxTextAttributeLength should be int.")
        if order:
            order = order.upper()
            if order not in ("ASC", "DESC"):
                raise bad_request("order value is bad.")
        params = cls(
            select=select,
            where=None if where is None else tuple(php.values(where)),
            order_by=order_by,
            order=order or None,
            offset=offset,
            max_size=max_size,
            text_filter=text_filter,
            primary_filter=primary_filter,
            bool_filters=bool_filters,
            no_total=no_total,
            max_text_length=max_text_length,
        )
        return _fold_filters(params)


def _read_json(query: Mapping[str, Any]) -> Mapping[Any, Any]:
    try:
        raw = json.loads(_text(query, "searchParams") or "", parse_constant=_no_constant)
        # PHP refuses half of a surrogate pair, which Python lets pass.
        json.dumps(raw, ensure_ascii=False).encode()
    except ValueError:
        raise bad_request("Invalid search params JSON.") from None
    if isinstance(raw, list):
        return dict(enumerate(raw))
    if not isinstance(raw, dict):
        raise crash()
    return raw


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _read_separate(query: Mapping[str, Any]) -> dict[str, Any]:
    where = query.get("whereGroup", query.get("where"))
    raw: dict[str, Any] = {"where": where if php.is_array(where) else None}
    for name in ("maxSize", "offset"):
        text = _text(query, name)
        raw[name] = None if text in (None, "") else php.to_int(text)
    raw["orderBy"] = _filled(query, "orderBy") or _filled(query, "sortBy")
    raw["order"] = _filled(query, "order")
    if raw["order"] is None and (ascending := _filled(query, "asc")) is not None:
        raw["order"] = "ASC" if ascending == "true" else "DESC"
    if (quick := _filled(query, "q")) is not None:
        raw["q"] = quick.strip()
    for name in ("textFilter", "primaryFilter"):
        raw[name] = _filled(query, name)
    bool_filters = query.get("boolFilterList")
    if not php.is_empty(bool_filters):
        raw["boolFilterList"] = bool_filters if php.is_array(bool_filters) else [bool_filters]
    select = _text(query, "attributeSelect")
    if select is None:
        select = _text(query, "select")
    if not php.is_empty(select):
        raw["select"] = (select or "").split(",")
    return raw


def _text(query: Mapping[str, Any], name: str) -> str | None:
    """A query parameter; None if it is absent or an array."""
    value = query.get(name)
    return value if isinstance(value, str) else None


def _filled(query: Mapping[str, Any], name: str) -> str | None:
    """A query parameter that PHP does not call empty."""
    value = _text(query, name)
    return None if php.is_empty(value) else value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _checked_max_size(raw: Mapping[Any, Any], limit: int) -> int:
    value = raw.get("maxSize")
    if value is not None and not _is_int(value):
        raise bad_request("maxSize must be integer.")
    if raw.get("q") is not None and not isinstance(raw["q"], str):
        raise bad_request("q must be string.")
    if value is not None and value > limit:
        raise forbidden(f"Max size should not exceed {limit}. Use offset and limit.")
    return limit if value is None else int(value)


def _checked_offset(value: Any) -> int | None:
    if isinstance(value, str) and php.is_numeric(value):
        value = php.to_int(value)
    if value is not None and not _is_int(value):
        raise bad_request("offset should be int.")
    return None if value is None else int(value)


def _optional_text(raw: Mapping[Any, Any], name: str) -> str | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_request(f"{name} should be string.")
    return value


def _checked_select(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not php.is_array(value):
        raise bad_request("select should be array.")
    names = php.values(value)
    if not all(isinstance(name, str) for name in names):
        raise bad_request("select has non-string item.")
    # Nothing selected is the same as no selection.
    return tuple(names) or None


def _checked_names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not php.is_array(value):
        raise bad_request("boolFilterList should be array.")
    names = php.values(value)
    if not all(isinstance(name, str) for name in names):
        raise bad_request("boolFilterList has non-string item.")
    return tuple(names)


def _fold_filters(params: SearchParams) -> SearchParams:
    """Move predefined filters and text filters that stand among the where items to where they belong."""
    if not params.where:
        return params
    where = []
    bool_filters: Any = params.bool_filters
    text_filter: Any = params.text_filter
    primary_filter: Any = params.primary_filter
    for item in params.where:
        kind = item.get("type") if isinstance(item, dict) else None
        value = item.get("value") if isinstance(item, dict) else None
        if kind == "bool" and value and php.is_array(value):
            bool_filters = tuple(php.values(value))
        elif kind == "textFilter":
            text_filter = value
        elif kind == "primary" and not php.is_empty(value):
            primary_filter = value
        else:
            where.append(item)
    # These are checked nowhere on a real server, so PHP stumbles over a value of the wrong type.
    names = [*bool_filters, *(value for value in (text_filter, primary_filter) if value is not None)]
    if any(php.is_array(name) for name in names):
        raise crash()
    return SearchParams(
        select=params.select,
        where=tuple(where),
        order_by=params.order_by,
        order=params.order,
        offset=params.offset,
        max_size=params.max_size,
        text_filter=None if text_filter is None else php.to_string(text_filter),
        primary_filter=None if primary_filter is None else php.to_string(primary_filter),
        bool_filters=tuple(php.to_string(name) for name in bool_filters),
        no_total=params.no_total,
        max_text_length=params.max_text_length,
    )
