"""Which of some known records are still there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from airflow_provider_espo.client.errors import EspoBadAnswerError
from airflow_provider_espo.client.extraction import Question
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.paging import IdPager
from airflow_provider_espo.client.wire import Operation, record_path

#: Characters that ids may take in an address, encoded; web servers take some 8,000 in all.
_ROOM: Final = 5_500
#: What an id takes beside its own characters: two quotes and a comma, each as three.
_AROUND: Final = 9

#: Ids asked for at once; EspoCRM's own limit for a page.
AT_ONCE: Final = 200


def batches_of(ids: Iterable[str]) -> Iterator[list[str]]:
    """Part ids into batches that one request can ask for.

    :param ids: ids, taken from as batches are.
    """
    batch: list[str] = []
    room = _ROOM
    for record_id in ids:
        takes = len(record_id) + _AROUND
        if batch and (len(batch) == AT_ONCE or takes > room):
            yield batch
            batch, room = [], _ROOM
        batch.append(record_id)
        room -= takes
    if batch:
        yield batch


def missing_of(question: Question, ids: Sequence[str]) -> Operation[list[str]]:
    """Ask which of a batch of records are no longer among those that the question is about.

    They are deleted, hidden from the user, or no longer match the filter.

    :param question: what is extracted; its filters count.
    :param ids: ids of one batch.
    :return: ids of those that are gone, in the order given.
    :raises EspoBadAnswerError: the answer holds others than those asked for.
    """
    search = question.search.with_(select=["id"]).and_where({"type": "in", "attribute": "id", "value": list(ids)})
    pager = IdPager(search, min(AT_ONCE, question.page_size))
    path = record_path(question.entity_type)
    gone = dict.fromkeys(ids)
    while (page := (yield from next_page(pager, path))) is not None:
        for row in page:
            # A server that did not filter would make every record seem to be there.
            if str(row["id"]) not in gone:
                raise EspoBadAnswerError("This is no list of the records asked for", method="GET", path=path)
            del gone[str(row["id"])]
    return list(gone)
