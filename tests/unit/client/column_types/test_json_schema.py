"""The schema takes what the server sends, and refuses what it never does; by an independent validator."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from airflow_provider_espo.client.column_types.columns import Column, columns_of
from airflow_provider_espo.client.column_types.json_schema import json_schema
from airflow_provider_espo.client.projection import default_select
from airflow_provider_espo.client.schema import EntitySchema
from tests.unit.sandbox_crm import SandboxCrm


def problems(columns: list[Column], record: dict[str, Any]) -> list[str]:
    schema = json_schema("Lead", columns)
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(record)]


def test_a_record_of_the_server_fits_its_schema(sandbox_crm: SandboxCrm) -> None:
    asker = sandbox_crm.asker
    lead = asker.create(
        "Lead",
        lastName="Ada",
        opportunityAmount=12.5,
        doNotCall=True,
        emailAddressData=[{"emailAddress": "ada@example.com", "primary": True}],
        phoneNumberData=[{"phoneNumber": "+380671234567", "primary": True, "type": "Mobile"}],
        teamsIds=[],
    )
    defs = asker.ok("GET", "Metadata", query="key=" + quote("entityDefs.Lead"))
    schema = EntitySchema.from_entity_defs("Lead", defs)
    names = [*default_select(schema), "emailAddressData", "phoneNumberData", "teamsIds", "teamsNames"]

    record = asker.read("Lead", lead["id"])

    assert set(names) <= set(record)
    assert problems(list(columns_of(schema, names)), record) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("a", "string", max_length=3), "long"),
        (Column("a", "int"), 1.5),
        (Column("a", "bool"), "true"),
        (Column("a", "datetime"), "2026-03-01T06:00:00Z"),
        (Column("a", "ids", items="id"), [1]),
        (Column("a", "names"), {"1": 2}),
        (Column("a", "names"), ["1"]),
        (Column("a", "email_data"), [{"phoneNumber": "1"}]),
        (Column("id", "id", nullable=False), None),
    ],
)
def test_what_the_server_never_sends_is_refused(column: Column, value: Any) -> None:
    assert problems([column], {column.name: value})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        # Options change, records keep what they had.
        (Column("a", "enum", options=("New",)), "Gone"),
        (Column("a", "decimal", scale=4), "1.5000"),
        (Column("a", "datetime"), "2026-03-01 06:00:00"),
        (Column("a", "names"), []),
        (Column("a", "columns"), {"1": {"role": None}, "2": []}),
        (Column("a", "list"), [{"type": "Popup", "seconds": 0}]),
        (Column("a", "any"), {"x": [1]}),
        (Column("a", "int"), None),
    ],
)
def test_what_the_server_may_send_is_taken(column: Column, value: Any) -> None:
    assert problems([column], {column.name: value}) == []


def test_records_may_have_more_attributes_and_must_have_an_id() -> None:
    columns = [Column("id", "id", nullable=False), Column("name", "string")]
    assert problems(columns, {"id": "1", "assignedUserId": "2"}) == []
    assert problems(columns, {"name": "x"})
