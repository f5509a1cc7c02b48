"""Plans of parts, made as an extraction makes them: counted, then all borders side by side."""

from __future__ import annotations

from airflow_provider_espo.client.extraction import Part, Question
from airflow_provider_espo.client.operations.partitions import LEAST_RECORDS, Planning
from tests.unit.client.driving import run, run_all
from tests.unit.client.fake_espo import FakeEspo


def planned(
    fake: FakeEspo, question: Question, parts: int, *, within: Part | None = None, least_records: int = LEAST_RECORDS
) -> list[Part]:
    """Cut the records that match into parts."""
    planning = Planning(question, parts, within=within, least_records=least_records)
    run(fake, planning.count())
    return planning.cut(run_all(fake, planning.borders()))
