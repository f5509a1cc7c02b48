"""The walk over one part of an extraction, and what is asked before the first page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack, cast

from airflow_provider_espo.client.bodies import Work
from airflow_provider_espo.client.extraction import Halt, Page, PageSink, Part, Question
from airflow_provider_espo.client.operations.keys import read_whole
from airflow_provider_espo.client.operations.listing import Filters, ListOptions, build_search
from airflow_provider_espo.client.operations.pages import next_raw_page
from airflow_provider_espo.client.operations.schema import checked_schema
from airflow_provider_espo.client.paging import IdPager
from airflow_provider_espo.client.projection import default_select, split_select
from airflow_provider_espo.client.schema import EntitySchema, check_readable
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import FileOperation, Operation, entity_type_segment, record_path

#: EspoCRM cuts texts in lists to 10,000 characters unless told otherwise; a warehouse wants them whole.
WHOLE_TEXTS = 2_000_000_000


def ask(
    state: ClientState,
    entity_type: str,
    *,
    select: Sequence[str] | None = None,
    page_size: int | None = None,
    **filters: Unpack[Filters],
) -> Operation[tuple[Question, EntitySchema]]:
    """Check what is to be extracted against the server.

    :param entity_type: such as ``Lead``.
    :param select: attributes; by default all that the entity type itself holds, without the names of linked records,
        lists of ids, stars and followers. Attributes that lists do not have (``emailAddressData``) may be named, at the
        cost of a request for every record.
    :param page_size: records a request; the connection's by default.
    :param filters: as in :func:`~airflow_provider_espo.client.operations.listing.iter_records`.
    :return: the question, and the entity type's schema.
    :raises EspoUnknownNameError: the server does not have the entity type or a name in ``select``.
    :raises EspoInputError: a malformed filter.
    """
    entity_type_segment(entity_type)
    search = build_search(cast("ListOptions", {**filters, "select": select}))
    schema = yield from checked_schema(state, entity_type, lambda it: check_readable(it, search.select or ()))
    names = list(search.select) if search.select is not None else default_select(schema)
    listed, detailed = split_select(schema, list(dict.fromkeys(("id", *names))))
    question = Question(
        entity_type=entity_type,
        search=search.with_(select=listed, max_text_length=WHOLE_TEXTS),
        detailed=tuple(detailed),
        page_size=page_size or state.config.page_size,
    )
    return question, schema


def extract_part(
    question: Question, part: Part, sink: PageSink, *, after: str | None = None, halt: Halt | None = None
) -> FileOperation[bool]:
    """Walk over the records of one part, by id, and hand every page to a sink.

    Every record that is in the part throughout comes exactly once.

    :param question: what to extract.
    :param part: range of ids.
    :param sink: takes the pages.
    :param after: id up to which an earlier try has handed out everything.
    :param halt: ends the walk before its next page when another part's failed.
    :return: whether the walk came to its end.
    """
    pager = IdPager(question.search.and_where(*part.where(after)), question.page_size)
    path = record_path(question.entity_type)
    try:
        while (page := (yield from next_raw_page(pager, path))) is not None:
            if halt is not None and halt.called:
                return False
            if question.detailed:
                page = yield from _with_details(question, page)
            if len(page):
                yield _writing(sink, page)
        yield Work(sink.finish)
    except BaseException:
        if halt is not None:
            halt.call()
        raise
    return True


def _writing(sink: PageSink, page: Page) -> Work[None]:
    return Work(lambda: sink.write(page))


def _with_details(question: Question, page: Page) -> Operation[Page]:
    """Read each record by itself for what lists do not have; one that went meanwhile is left out."""
    records, keys = [], []
    for record, its_keys in zip(page.records, page.keys, strict=True):
        whole = yield from read_whole(question.entity_type, its_keys["id"])
        if whole is not None:
            records.append({**record, **{name: whole.get(name) for name in question.detailed}})
            keys.append(its_keys)
    return Page.of_records(records, keys)
