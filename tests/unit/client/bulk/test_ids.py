from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.bulk.ids import IdSet

IDS = st.sets(st.text("0123456789abcdef", min_size=17, max_size=17), max_size=30)


@given(IDS, IDS, IDS)
def test_it_tells_whether_an_id_was_given_or_added(given_ids: set[str], added: set[str], others: set[str]) -> None:
    found = IdSet(given_ids)
    found |= added
    for one in given_ids | added:
        assert one in found
    for one in others - given_ids - added:
        assert one not in found
    assert None not in found


def test_a_hundred_thousand_ids_need_less_than_a_megabyte() -> None:
    found = IdSet(f"{number:017x}" for number in range(100_000))
    assert sys.getsizeof(vars(found)["_others"]) < 1_000_000
    assert f"{99_999:017x}" in found
    assert f"{100_000:017x}" not in found
