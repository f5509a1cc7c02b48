"""One look at what a sensor or a trigger waits for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.config import ClientConfig
from airflow_provider_espo.client.operations.waiting import enough_records, record_in_state
from airflow_provider_espo.client.sync import EspoClient
from airflow_provider_espo.exceptions import EspoConflictError, EspoInputError, EspoUnknownNameError
from airflow_provider_espo.where import equals
from tests.unit.crm import LEAD, Crm, Reply, Sent

CONFIG = ClientConfig(site_url=Crm.url, secret="key")


def ids(count: int) -> list[str]:
    return [f"{number:017x}" for number in range(1, count + 1)]


def leads(crm: Crm, there: list[str]) -> None:
    """Let the CRM have leads with these ids."""

    def answer(sent: Sent) -> Any:
        after = max(
            (item["value"] for item in sent.search.get("where", []) if item["type"] == "greaterThan"), default=""
        )
        left = [{"id": one} for one in sorted(there) if one > after]
        rows = left[: sent.search["maxSize"]]
        total = (-1 if len(left) > len(rows) else -2) if "x-no-total" in sent.headers else len(there)
        return Reply(200, {"total": total, "list": rows})

    crm.on("GET", "Lead", answer)


def look(min_count: int, **filters: Any) -> Any:
    with EspoClient(CONFIG) as client:
        return client.run(enough_records(client.state, "Lead", min_count=min_count, **filters))


def counted(crm: Crm) -> int:
    """How often EspoCRM was made to count."""
    return sum("x-no-total" not in sent.headers for sent in crm.calls("GET", "Lead"))


@pytest.mark.parametrize(("there", "wanted"), [(0, 1), (2, 3), (99, 100), (100, 101), (149, 150)])
def test_too_few_are_nothing(crm: Crm, there: int, wanted: int) -> None:
    leads(crm, ids(there))
    assert look(wanted) is None


@pytest.mark.parametrize(("there", "wanted"), [(1, 1), (3, 2), (99, 99), (100, 100), (100, 1), (250, 1), (250, 150)])
def test_enough_are_counted_and_the_first_hundred_named(crm: Crm, there: int, wanted: int) -> None:
    leads(crm, ids(there))
    assert look(wanted) == {"count": there, "ids": ids(there)[:100]}


def test_a_look_at_a_few_records_makes_the_server_count_nothing(crm: Crm) -> None:
    leads(crm, ids(99))
    look(3)
    assert counted(crm) == 0
    assert len(crm.sent) == 1


def test_a_look_for_very_many_reads_no_ids_in_vain(crm: Crm) -> None:
    leads(crm, ids(300))
    assert look(5000) is None
    assert [sent.search["maxSize"] for sent in crm.sent] == [0]


def test_only_ids_are_asked_for_and_the_filter_goes_along(crm: Crm) -> None:
    leads(crm, ids(1))
    look(1, where=[equals("status", "New")], primary_filter="actual", bool_filters=["onlyMy"], text_filter="ACME")
    search = crm.sent[0].search
    assert search["select"] == ["id"]
    assert search["where"] == [equals("status", "New")]
    assert (search["primaryFilter"], search["boolFilterList"], search["textFilter"]) == ("actual", ["onlyMy"], "ACME")


def test_records_that_go_between_list_and_count_do_not_make_it_contradict_itself(crm: Crm) -> None:
    rows = [{"id": one} for one in ids(100)]
    crm.on("GET", "Lead", {"total": -1, "list": rows}, {"total": 90, "list": []})
    assert look(100) == {"count": 100, "ids": ids(100)}


@pytest.mark.parametrize("wrong", [0, -1, True, None, "5", 1.0])
def test_a_count_that_is_none_is_refused_before_anything_is_sent(crm: Crm, wrong: Any) -> None:
    with pytest.raises(EspoInputError, match="min_count"):
        look(wrong)
    assert crm.sent == []


# --- a record's state


def in_state(crm: Crm, record: dict[str, Any], expected: Any, failed: Any = None) -> Any:
    crm.on("GET", f"Lead/{LEAD}", {"id": LEAD, **record})
    with EspoClient(CONFIG) as client:
        return client.run(record_in_state(client.state, "Lead", LEAD, expected=expected, failed=failed))


@pytest.mark.parametrize(
    ("record", "expected", "so"),
    [
        ({"status": "New"}, {"status": "New"}, True),
        ({"status": "New"}, {"status": "Dead"}, False),
        ({"status": "New"}, {"status": ["Dead", "New"]}, True),
        ({"status": "New", "lastName": "A"}, {"status": "New", "lastName": "B"}, False),
        ({"status": None}, {"status": None}, True),
        ({"status": ""}, {"status": None}, True),
        ({"status": "New"}, {"status": [None, ""]}, False),
        ({}, {"status": None}, True),
        ({"opportunityAmount": 500}, {"opportunityAmount": "500.0"}, True),
        ({"opportunityAmount": 500.01}, {"opportunityAmount": 500}, False),
        ({"modifiedAt": "2026-03-01 06:00:00"}, {"modifiedAt": "2026-03-01T08:00:00+02:00"}, True),
        ({"emailAddress": "n@x.example"}, {"emailAddress": "N@X.example"}, True),
    ],
)
def test_all_values_have_to_be_what_is_waited_for(crm: Crm, record: Any, expected: Any, so: bool) -> None:
    assert in_state(crm, record, expected) == ({"id": LEAD} if so else None)


@pytest.mark.parametrize(
    ("failed", "ends"),
    [({"status": "Dead"}, True), ({"status": "New", "lastName": "A"}, True), ({"status": "New"}, False)],
)
def test_one_value_of_those_that_fail_is_enough(crm: Crm, failed: Any, ends: bool) -> None:
    record = {"status": "Dead", "lastName": "A"}
    if not ends:
        assert in_state(crm, record, {"status": "Assigned"}, failed) is None
        return
    with pytest.raises(EspoConflictError) as caught:
        # Even if what is waited for is so as well.
        in_state(crm, record, {"lastName": "A"}, failed)
    assert "'A'" not in str(caught.value)
    assert "Dead" not in str(caught.value)


def test_an_attribute_that_is_not_there_is_refused_before_the_record_is_read(crm: Crm) -> None:
    with pytest.raises(EspoUnknownNameError, match="stat"):
        in_state(crm, {}, {"stat": "New"})
    assert crm.calls("GET", f"Lead/{LEAD}") == []
