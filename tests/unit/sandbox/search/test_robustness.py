"""Whatever is asked is answered or refused as a real server would; the database never sees what it cannot run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_espo.sandbox import php
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.search import SearchParams
from airflow_provider_espo.sandbox.search.dates import DAYS, PERIODS
from airflow_provider_espo.sandbox.search.where import _FAMILIES
from tests.unit.sandbox.search.crm import Crm, item

TYPES = ("Account", "Contact", "Lead", "Meeting", "Document", "Team", "User", "Email", "Case")
OPERATORS = sorted({*_FAMILIES, *DAYS, *PERIODS, "any", "none", "expression", "and", "or", "not", "nope"})
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6),
    st.sampled_from(["0", "", "2026-05-20", "2026-05-20 10:00:00", "%", "_", "\\", "'", "me"]),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))


@pytest.fixture(scope="module")
def shared_crm() -> Iterator[Crm]:
    """A CRM that no test changes."""
    crm = Crm()
    crm.add("Team", "team", name="Team", positionList='["A"]')
    for entity_type in TYPES:
        name = {"lastName": "x"} if crm.storage.definitions[entity_type].is_person else {"name": "x"}
        crm.add(entity_type, f"one {entity_type}", **name)
    yield crm
    crm.storage.close()


@st.composite
def items(draw: st.DrawFn, crm: Crm, entity_type: str) -> dict[str, Any]:
    """A where item with names that exist."""
    definition = crm.storage.definitions[entity_type]
    names = [*definition.attributes, *definition.links]
    raw: dict[str, Any] = {"type": draw(st.sampled_from(OPERATORS)), "attribute": draw(st.sampled_from(names))}
    raw["value"] = draw(VALUES)
    if draw(st.booleans()):
        raw[draw(st.sampled_from(["dateTime", "date"]))] = True
        raw["timeZone"] = draw(st.sampled_from(["UTC", "Europe/Kyiv", "Nope", None]))
    return raw


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), entity_type=st.sampled_from(TYPES), group=st.sampled_from(["and", "or"]))
def test_any_filter(shared_crm: Crm, data: st.DataObject, entity_type: str, group: str) -> None:
    where = data.draw(st.lists(items(shared_crm, entity_type), max_size=3))
    try:
        found = shared_crm.find(entity_type, where=[item(group, value=where)])
    except ApiError as error:
        assert error.status in (400, 500)  # noqa: PT017
    else:
        assert found.total in (-2, len(found.rows))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=12),
    entity_type=st.sampled_from(TYPES),
    order_by=st.text(alphabet="abcdeINnmstA.:", max_size=8),
)
def test_any_text_and_order(shared_crm: Crm, text: str, entity_type: str, order_by: str) -> None:
    shared_crm.find(entity_type, textFilter=text)
    try:
        shared_crm.find(entity_type, orderBy=order_by)
    except ApiError as error:
        # 500: there is such an attribute (``teamsIds``), but nothing in the database to order by
        assert error.status == (500 if order_by in shared_crm.storage.definitions[entity_type].attributes else 400)  # noqa: PT017


@pytest.mark.parametrize("entity_type", TYPES)
def test_any_order(shared_crm: Crm, entity_type: str) -> None:
    definition = shared_crm.storage.definitions[entity_type]
    for name in {*definition.attributes, *definition.fields}:
        try:
            assert shared_crm.find(entity_type, orderBy=name, order="desc").rows
        except ApiError as error:
            assert error.status in (400, 500)  # noqa: PT017


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["where", "maxSize", "offset", "orderBy", "order", "select", "q", "boolFilterList"]),
            st.sampled_from(["", "[]", "[0]", "[0][type]", "[0][attribute]", "[x"]),
            st.sampled_from(["", "1", "x", "isNull", "status", "onlyMy", "asc"]),
        ),
        max_size=6,
    )
)
def test_any_query_string(shared_crm: Crm, parts: list[tuple[str, str, str]]) -> None:
    query = "&".join(f"{name}{brackets}={value}" for name, brackets, value in parts)
    try:
        shared_crm.find("Lead", SearchParams.from_query(php.parse_query(query)))
    except ApiError as error:
        assert error.status in (400, 403, 500)  # noqa: PT017


def test_an_email_address_is_found_by_its_index(crm: Crm) -> None:
    from airflow_provider_espo.sandbox.search import build

    params = SearchParams.from_raw({"where": [item("equals", "emailAddress", "Ann@example.com")]})
    query = build(crm.storage, crm.storage.definitions["Lead"], params, crm.user).count()
    plan = [row["detail"] for row in crm.storage.rows(f"EXPLAIN QUERY PLAN {query.sql}", query.params)]
    assert any("EmailAddress.lower" in step for step in plan)
    assert not any(step.startswith("SCAN") for step in plan)
