"""Which rows may go by import: only such as an import stores exactly as the API does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_espo.client.bulk.importable import csv_of, importable_names, is_importable_key, uniform_rows
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.sandbox.http import Request
from tests.unit.client.fake_definitions import DEFINITIONS
from tests.unit.sandbox.asking import Asker
from tests.unit.sandbox_crm import SandboxCrm

SCHEMA = EntitySchema.from_entity_defs("Lead", DEFINITIONS["Lead"])


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("lastName", True),
        ("emailAddress", True),
        ("phoneNumber", True),
        ("status", True),
        ("opportunityAmount", True),
        ("opportunityAmountCurrency", True),
        ("doNotCall", True),
        # What an import takes otherwise, or not at all.
        ("name", False),
        ("createdAccountId", False),
        ("teamsIds", False),
        ("emailAddressData", False),
        ("emailAddressIsOptedOut", False),
        ("importKey", False),
        ("nope", False),
    ],
)
def test_which_attributes_an_import_sets_as_the_api_does(name: str, taken: bool) -> None:
    assert importable_names(SCHEMA, [name]) == ([name] if taken else [])


def test_the_id_is_importable_only_to_find_records() -> None:
    assert importable_names(SCHEMA, ["id"]) == []
    assert importable_names(SCHEMA, ["id"], updating=True) == ["id"]


def test_by_which_keys_made_records_can_be_told() -> None:
    assert is_importable_key(SCHEMA, ["emailAddress"])
    assert is_importable_key(SCHEMA, ["lastName", "accountName"])
    assert not is_importable_key(SCHEMA, ["phoneNumber"])
    assert not is_importable_key(SCHEMA, ["opportunityAmount"])
    assert not is_importable_key(SCHEMA, ["nope"])


GOOD = {"lastName": "Lee", "status": "New", "doNotCall": False, "employees": 5, "opportunityAmount": -1.5}


@pytest.mark.parametrize(
    "bad",
    [
        {"status": None},  # an import leaves it out
        {"status": ""},
        {"lastName": "NULL"},  # ... takes it for no value
        {"lastName": " Lee"},
        {"lastName": "L" * 101},  # ... cuts it
        {"lastName": "Lee\rJr"},
        {"doNotCall": "yes"},
        {"employees": 10**16},
        {"opportunityAmount": 1e30},
        {"opportunityAmount": "1,000"},
        {"extra": 1},
    ],
)
def test_a_row_that_an_import_would_take_otherwise_does_not_go_that_way(bad: dict[str, Any]) -> None:
    rows = [(0, GOOD), (1, {**GOOD, **bad}), (2, GOOD)]
    assert [place for place, _ in uniform_rows(SCHEMA, rows)] == [0, 2]


def test_rows_that_lack_an_attribute_do_not_go_with_those_that_have_it() -> None:
    # In the file their cell would be empty, and of a bool that means false.
    rows: list[Any] = [(0, {"lastName": "a"}), (1, {"lastName": "b", "doNotCall": True}), (2, {"lastName": "c"})]
    assert [place for place, _ in uniform_rows(SCHEMA, rows)] == [0, 2]
    assert uniform_rows(SCHEMA, []) == []


def test_the_file_is_the_same_for_the_same_rows() -> None:
    assert csv_of(["a", "b"], [{"a": 'x"y', "b": True}]) == b'a,b\n"x""y",1\n'


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12) | st.sampled_from(
    ["null", "Null", "0", "false", "-", '"', '""', "a,b", "a\nb", "'x", "=1+1", "Ä", "\u00a0x", "\\", "x" * 100]
)
VALUES = {
    "lastName": TEXT,
    "accountName": TEXT,
    "description": TEXT,
    "status": st.sampled_from(["New", "Assigned", "Dead", ""]),
    "doNotCall": st.booleans() | st.none(),
    "opportunityAmount": st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9, allow_nan=False).map(float),
    "opportunityAmountCurrency": st.sampled_from(["USD", "EUR"]),
    "phoneNumber": st.sampled_from(["+4915112345678", "01511 2345678", "", "+1 650 555 0100"]),
    "addressCity": TEXT,
    "emailAddress": st.sampled_from(["ida@example.com", "IDA@Example.com", "ida+x@example.com"]),
}
#: Tell when and by which way a record was made, and which one it is.
OWN = {"id", "createdAt", "modifiedAt", "versionNumber", "streamUpdatedAt"}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(row=st.fixed_dictionaries({}, optional=VALUES))
def test_a_row_that_goes_by_import_is_stored_as_by_the_api(sandbox_crm: SandboxCrm, row: dict[str, Any]) -> None:
    asker = sandbox_crm.asker
    definitions = asker.ok("GET", "Metadata", query="key=entityDefs.Lead")
    schema = EntitySchema.from_entity_defs("Lead", definitions)
    wire = to_wire(row, schema)
    if not uniform_rows(schema, [(0, wire)]) or importable_names(schema, wire) != list(wire):
        return
    posted = asker.send("POST", "Lead", wire, headers={"X-Skip-Duplicate-Check": "true"})
    names = sorted(wire)
    sent = asker.sandbox.handle(_upload(asker, csv_of(names, [wire])))
    body = {
        "entityType": "Lead",
        "attachmentId": _json(sent)["attachmentId"],
        "attributeList": names,
        "action": "create",
        "updateBy": [],
        "headerRow": True,
        "delimiter": ",",
        "textQualifier": '"',
        "dateFormat": "YYYY-MM-DD",
        "timeFormat": "HH:mm",
        "timezone": "UTC",
        "decimalMark": ".",
        "personNameFormat": "f l",
        "skipDuplicateChecking": True,
        "idleMode": False,
        "manualMode": False,
    }
    done = asker.ok("POST", "Import", body)
    made = asker.ok("GET", f"Import/{done['id']}/imported")["list"]
    # What the API refuses an import refuses too.
    assert len(made) == (posted.status == 200)
    if made:
        by_api, by_import = (asker.read("Lead", one) for one in (_json(posted)["id"], made[0]["id"]))
        assert _told(by_import) == _told(by_api)


def _told(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in OWN}


def _json(reply: Any) -> Any:
    return json.loads(reply.content)


def _upload(asker: Asker, content: bytes) -> Request:
    headers = {"accept": "application/json", "content-type": "text/csv"}
    headers |= {name.lower(): value for name, value in asker.headers.items()}
    return Request("POST", "/Import/file", "", headers, content)
