from __future__ import annotations

import pytest

from airflow_provider_espo.client.wording import a_kind


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "None"), (1, "an int"), ("x", "a str"), ([], "a list"), (b"", "bytes"), (object(), "an object")],
)
def test_a_kind_reads_as_english_and_hides_the_value(value: object, words: str) -> None:
    assert a_kind(value) == words
