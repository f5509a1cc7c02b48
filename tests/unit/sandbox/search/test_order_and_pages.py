"""Order, pages and totals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.search import MORE, NO_MORE, SearchParams, build, find
from tests.unit.sandbox.search.crm import Crm, Refused, item


@pytest.fixture
def accounts(crm: Crm) -> Crm:
    """Accounts in the order in which they were made."""
    crm.add("Account", "a", name="Zeta", type="Reseller", createdAt="2026-05-01 10:00:00")
    crm.add("Account", "b", name="eta", type="Customer", createdAt="2026-05-02 10:00:00")
    crm.add("Account", "c", name="Éta", type="Customer", createdAt="2026-05-02 10:00:00")
    crm.add("Account", "d", name="Alpha", type="Unheard of", createdAt="2026-05-01 09:00:00")
    crm.add("Account", "e", createdAt="2026-05-03 10:00:00")
    crm.add("Account", "x", name="Gone", deleted=1)
    return crm


def test_the_default_order_is_the_types(accounts: Crm) -> None:
    assert accounts.keys("Account") == list("ecbad")
    assert accounts.keys("Account", order="asc") == list("dabce")


def test_ties_are_broken_by_id_in_the_same_direction(accounts: Crm) -> None:
    assert accounts.keys("Account", orderBy="name") == list("edbca")
    assert accounts.keys("Account", orderBy="name", order="desc") == list("acbde")


def test_enums_are_ordered_as_their_options(accounts: Crm) -> None:
    # What is no option comes last in either direction.
    assert accounts.keys("Account", orderBy="type") == list("bcade")
    assert accounts.keys("Account", orderBy="type", order="desc") == list("acbed")


def test_by_id(accounts: Crm) -> None:
    assert accounts.keys("Account", orderBy="id", order="desc") == list("edcba")


def test_links_are_ordered_by_name(crm: Crm) -> None:
    crm.add("Account", "zeta", name="Zeta")
    crm.add("Account", "alpha", name="alpha")
    crm.add("Contact", "c1", lastName="1", accountId=crm.id("zeta"))
    crm.add("Contact", "c2", lastName="2", accountId=crm.id("alpha"))
    crm.add("Contact", "c3", lastName="3")
    assert crm.keys("Contact", orderBy="account") == ["c3", "c2", "c1"]
    assert crm.keys("Contact", orderBy="accountName", order="desc") == ["c1", "c2", "c3"]


def test_parents_are_ordered_by_type(crm: Crm) -> None:
    crm.add("Task", "t1", name="1", parentType="Lead", parentId="x")
    crm.add("Task", "t2", name="2", parentType="Account", parentId="y")
    assert crm.keys("Task", orderBy="parent") == ["t2", "t1"]


def test_persons_addresses_and_amounts(crm: Crm) -> None:
    crm.add("Lead", "a", firstName="Zoe", lastName="A", emails=["b@x.com"], addressCountry="FR", addressCity="B")
    crm.add("Lead", "b", firstName="Ann", lastName="Z", emails=["C@x.com"], addressCountry="FR", addressCity="A")
    crm.add("Lead", "c", firstName="Ann", lastName="B", emails=["a@x.com"], addressCountry="DE")
    assert crm.keys("Lead", orderBy="name") == ["c", "b", "a"]
    assert crm.keys("Lead", orderBy="emailAddress") == ["c", "a", "b"]
    assert crm.keys("Lead", orderBy="address") == ["c", "b", "a"]
    crm.add("Opportunity", "usd", name="1", amount=110.0, amountCurrency="USD")
    crm.add("Opportunity", "eur", name="2", amount=100.0, amountCurrency="EUR")
    assert crm.keys("Opportunity", orderBy="amount") == ["usd", "eur"]


@pytest.mark.parametrize(
    ("entity_type", "order_by", "refusal"),
    [
        ("Lead", "nope", (400, "Order by non-existing field 'nope'.")),
        ("Lead", "teams", (400, "Order by non-existing field 'teams'.")),
        ("Lead", "assignedUser.userName", (400, "Complex expressions are forbidden in 'orderBy'.")),
        ("Lead", "MONTH:(createdAt)", (400, "Complex expressions are forbidden in 'orderBy'.")),
        ("User", "password", (400, "Order by the field 'password' is disabled.")),
        ("Contact", "accountRole", (400, "Order by the field 'accountRole' is disabled.")),
        ("Lead", "teamsIds", (500, None)),
    ],
)
def test_bad_orders(
    crm: Crm, entity_type: str, order_by: str, refusal: tuple[int, str | None], refused: Refused
) -> None:
    assert refused(crm.find, entity_type, orderBy=order_by) == refusal


def test_pages(accounts: Crm) -> None:
    assert accounts.keys("Account", orderBy="id", maxSize=2) == ["a", "b"]
    assert accounts.keys("Account", orderBy="id", maxSize=2, offset=4) == ["e"]
    assert accounts.keys("Account", orderBy="id", maxSize=2, offset=6) == []


@pytest.mark.parametrize(("max_size", "offset"), [(2, 0), (2, 4), (2, 6), (0, 0), (200, 0), (5, 0), (5, 1)])
def test_the_total_does_not_depend_on_the_page(accounts: Crm, max_size: int, offset: int) -> None:
    found = accounts.find("Account", orderBy="id", maxSize=max_size, offset=offset)
    assert found.total == 5
    assert len(found.rows) == max(0, min(max_size, 5 - offset))


@pytest.mark.parametrize(
    ("max_size", "offset", "total", "size"),
    [(2, 0, MORE, 2), (2, 4, NO_MORE, 1), (5, 0, NO_MORE, 5), (4, 0, MORE, 4), (2, 6, NO_MORE, 0), (0, 0, MORE, 0)],
)
def test_without_a_total(accounts: Crm, max_size: int, offset: int, total: int, size: int) -> None:
    found = accounts.find("Account", orderBy="id", maxSize=max_size, offset=offset, no_total=True)
    assert (found.total, len(found.rows)) == (total, size)


def test_a_quick_search_has_no_total_unless_it_is_asked_for(accounts: Crm) -> None:
    params = SearchParams.from_query(php.parse_query("q=zeta"))
    assert accounts.find("Account", params).total == NO_MORE
    assert accounts.find("Account", params, no_total=False).total == 1


def test_types_for_which_nothing_is_counted(crm: Crm) -> None:
    crm.add("Email", "mail", name="m")
    assert crm.find("Email").total == NO_MORE


@pytest.mark.parametrize("params", [{"maxSize": -1}, {"offset": -1}])
def test_negative_pages_are_server_errors(accounts: Crm, params: dict[str, int], refused: Refused) -> None:
    assert refused(accounts.find, "Account", **params) == (500, None)


def test_deleted_records_are_never_found(accounts: Crm) -> None:
    assert accounts.where("Account", item("isTrue", "deleted")) == ""


def test_conditions_of_the_caller_hold_too(accounts: Crm) -> None:
    definition = accounts.storage.definitions["Account"]
    params = SearchParams.from_raw({"orderBy": "id", "where": [item("isNotNull", "name")]})
    conditions = [('t."type" = ? OR t."type" = ?', ("Customer", "Reseller")), ("t.id <> ?", (accounts.id("b"),))]
    query = build(accounts.storage, definition, params, accounts.user, conditions=conditions)
    assert accounts.storage.column(*query.ids()) == [accounts.id("a"), accounts.id("c")]


def test_rows_hold_what_was_asked_for(accounts: Crm) -> None:
    from airflow_provider_espo.sandbox.search import find

    definition = accounts.storage.definitions["Account"]
    params = SearchParams.from_raw({"orderBy": "id", "maxSize": 1})
    names = ["name", "type", "assignedUserName", "teamsIds", "nope"]
    found = find(accounts.storage, definition, params, accounts.user, attributes=names)
    assert found.rows == [{"id": accounts.id("a"), "name": "Zeta", "type": "Reseller", "assignedUserName": None}]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stages=st.lists(st.sampled_from(["Prospecting", "Proposal", "Closed Won", "", None]), max_size=9),
    size=st.integers(1, 4),
    order=st.sampled_from(["asc", "desc"]),
)
def test_pages_together_are_the_whole_list(stages: list[str | None], size: int, order: str) -> None:
    crm = Crm()
    for number, stage in enumerate(stages):
        crm.add("Opportunity", str(number), name=str(number), stage=stage)
    pages = [
        key
        for offset in range(0, len(stages) + 1, size)
        for key in crm.keys("Opportunity", orderBy="stage", order=order, maxSize=size, offset=offset)
    ]
    crm.storage.close()
    assert sorted(pages) == sorted(str(number) for number in range(len(stages)))
    assert len(set(pages)) == len(pages)


def test_paging_by_id_reads_a_run_of_the_primary_key(crm: Crm) -> None:
    """100,000 rows: a page starts at the key and reads on, wherever it is; nothing is sorted, nothing skipped."""
    with crm.storage.transaction() as connection:
        connection.executemany(
            'INSERT INTO "Lead" (id, deleted, "lastName") VALUES (?, 0, ?)',
            ((f"{number:017x}", f"L{number}") for number in range(100_000)),
        )
    definition = crm.storage.definitions["Lead"]
    for start in (0, 50_000, 99_900):
        params = SearchParams.from_raw(
            {"orderBy": "id", "order": "asc", "where": [item("greaterThan", "id", f"{start:017x}")]}
        )
        query = build(crm.storage, definition, params, crm.user)
        page = query.page('t.id AS "id"', 200, 0)
        plan = [row["detail"] for row in crm.storage.rows(f"EXPLAIN QUERY PLAN {page.sql}", page.params)]
        assert "SEARCH t USING PRIMARY KEY (id>?)" in plan
        assert not [step for step in plan if step.startswith("SCAN t")]
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        with crm.storage.transaction() as connection:
            connection.set_progress_handler(count, 100)
            rows = crm.storage.rows(*page)
            connection.set_progress_handler(None, 0)
        assert len(rows) == min(200, 99_999 - start)
        assert rows[0]["id"] == f"{start + 1:017x}"
        # Some virtual machine instructions for each row of the page, not for each row of the table.
        assert steps * 100 < 10_000


def test_values_are_worked_out_for_the_rows_of_the_page_only(crm: Crm) -> None:
    """Many records match and are sorted; what is computed for a page does not depend on how many."""
    for number in range(100):
        crm.add("Opportunity", f"o{number}", name=f"n{number:03}", amount=number, amountCurrency="EUR")
    asked = 0

    class Rates(dict[str, float]):
        def get(self, key: Any, default: Any = None) -> Any:
            nonlocal asked
            asked += 1
            return super().get(key, default)

    crm.storage.change_rates({"USD": 1.0, "EUR": 2.0})
    crm.storage.settings = replace(crm.storage.settings, currency_rates=Rates(crm.storage.settings.currency_rates))
    definition = crm.storage.definitions["Opportunity"]
    params = SearchParams.from_raw({"orderBy": "name", "order": "desc", "maxSize": 3, "offset": 1})
    found = find(crm.storage, definition, params, crm.user, attributes=["amountConverted"])
    assert found.total == 100
    assert [row["amountConverted"] for row in found.rows] == [196, 194, 192]
    assert asked == 3
