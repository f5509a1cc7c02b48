"""Which records a mass action is meant for, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.operations.listing import (
    Filters,
    ListOptions,
    build_search,
    count_records,
    list_records,
)
from airflow_provider_espo.client.operations.relations import record_ids
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.where_check import is_match_all
from airflow_provider_espo.client.wire import Operation, build_request, expect_object, record_path

#: Ids in one look-up: they stand in the address, which has room for some thousand characters.
IDS_AT_ONCE = 100

#: Ids that a dry run returns.
SAMPLE = 100

_FILTERS = ("where", "primary_filter", "bool_filters", "text_filter")


@dataclass(frozen=True)
class Seen:
    """What was there before a mass action.

    :param count: how many records are meant.
    :param ids: their ids, all or the first ones.
    """

    count: int
    ids: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all ids are known."""
        return len(self.ids) >= self.count


@dataclass(frozen=True)
class Targets:
    """The records that a mass action is meant for: those with certain ids, or all that match a filter.

    :param entity_type: such as ``Lead``.
    :param ids: ids, each once; ``None`` where a filter says it.
    :param search: the filter; without conditions only if all records are meant.
    """

    entity_type: str
    ids: tuple[str, ...] | None
    search: Search

    def params(self, ids: Sequence[str] | None = None) -> dict[str, Any]:
        """Return them as the ``params`` of EspoCRM's mass action.

        :param ids: a part of the ids.
        """
        if self.ids is not None:
            return {"ids": list(self.ids if ids is None else ids)}
        params = self.search.to_params()
        where = params.pop("where", [])
        return {"searchParams": {**params, "where": where}} if params else {"where": where}

    def chunks(self, size: int) -> Iterator[tuple[str, ...]]:
        """Return the ids in parts."""
        ids = self.ids or ()
        for start in range(0, len(ids), size):
            yield ids[start : start + size]

    def look(self, state: ClientState) -> Operation[Seen]:
        """Count the records; where they are few, this is one request and gives their ids as well."""
        if self.ids is not None:
            return Seen(len(self.ids), self.ids)
        search = self.search.with_(select=["id"], order_by="id", order="asc", max_size=state.config.page_size)
        outgoing = build_request("GET", record_path(self.entity_type), query=search.to_query())
        answer = expect_object(outgoing, (yield outgoing))
        ids = tuple(str(record["id"]) for record in answer.get("list") or ())
        total = answer.get("total")
        if isinstance(total, int) and total >= 0:
            return Seen(total, ids)
        if len(ids) < state.config.page_size:
            return Seen(len(ids), ids)
        return Seen((yield from self.count(state)), ids)

    def count(self, state: ClientState) -> Operation[int]:
        """Count the records that match the filter now."""
        return (
            yield from count_records(
                state,
                self.entity_type,
                where=self.search.where,
                primary_filter=self.search.primary_filter,
                bool_filters=self.search.bool_filters,
                text_filter=self.search.text_filter,
            )
        )


def targets_of(entity_type: str, ids: str | Sequence[str] | None, filters: Filters, *, all_records: bool) -> Targets:
    """Check which records are meant, before anything is sent.

    :param ids: ids, or ``None``.
    :param filters: a filter.
    :param all_records: whether a filter that leaves no record out is meant so.
    :raises EspoInputError: neither ids nor a filter, or both; a filter that matches everything without
        ``all_records``.
    """
    record_path(entity_type)
    given = [name for name in _FILTERS if filters.get(name) is not None]
    if ids is not None:
        if given or all_records:
            both = " and ".join(["ids", *given, *(["all_records"] if all_records else [])])
            raise EspoInputError(
                f"{both} contradict each other", hint="EspoCRM would forget the ids and take all that match the filter"
            )
        if not isinstance(ids, str | Sequence):
            raise EspoInputError(f"ids is a {type(ids).__name__} and not a list of ids")
        return Targets(entity_type, tuple(record_ids(ids)), Search())
    if not all_records:
        if not given:
            raise EspoInputError(
                "Neither ids nor a filter say which records are meant", hint="all_records=True means every record"
            )
        if not _narrows(filters):
            raise EspoInputError(
                "The filter leaves no record out: it is empty, or matches everything in disguise",
                hint="Was an upstream task's result empty? all_records=True means every record",
            )
    return Targets(entity_type, None, build_search(cast("ListOptions", {name: filters.get(name) for name in given})))


def existing(state: ClientState, entity_type: str, ids: Sequence[str]) -> Operation[list[str]]:
    """Return those of the ids that there are, as far as the user may see them."""
    found = yield from records_by_id(state, entity_type, ids, ["id"])
    return [one for one in ids if one in found]


def records_by_id(
    state: ClientState, entity_type: str, ids: Sequence[str], select: Sequence[str]
) -> Operation[Mapping[str, Mapping[str, Any]]]:
    """Read attributes of records by their ids."""
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        where = [{"type": "in", "attribute": "id", "value": list(ids[start : start + IDS_AT_ONCE])}]
        records = yield from list_records(state, entity_type, where=where, select=select, validate=False)
        found.update((str(record["id"]), record) for record in records)
    return found


def _narrows(filters: Filters) -> bool:
    text = filters.get("text_filter")
    return (
        not is_match_all(filters.get("where"))
        or bool(filters.get("primary_filter"))
        or bool(filters.get("bool_filters"))
        # EspoCRM takes % and * for "anything".
        or (isinstance(text, str) and bool(text.strip(" %*")))
    )
