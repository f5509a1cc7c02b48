from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fill import fill
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.spreadsheet import column_name, csv_line
from tests.unit.sandbox.asking import Asker, reason
from tests.unit.sandbox.clock import Clock

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def exported(crm: Asker, entity_type: str, **values: Any) -> list[list[str]]:
    """Rows of an export."""
    file_id = crm.ok("POST", "Export", {"entityType": entity_type, **values})["id"]
    return list(csv.reader(io.StringIO(crm.file(file_id).decode())))


def sheet(content: bytes) -> list[list[Any]]:
    """Rows of the only sheet of a workbook."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        assert book.testzip() is None
        root = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        for name in ("xl/workbook.xml", "[Content_Types].xml", "_rels/.rels", "xl/_rels/workbook.xml.rels"):
            ElementTree.fromstring(book.read(name))
    rows = []
    for row in root.iter(f"{SHEET}row"):
        cells = {}
        for cell in row.iter(f"{SHEET}c"):
            text = "".join(cell.itertext())
            cells[cell.attrib["r"]] = text if cell.get("t") == "inlineStr" else float(text)
        rows.append(list(cells.items()))
    return rows


def test_a_workbook_has_a_column_for_each_field(crm: Asker) -> None:
    account = crm.create("Account", name="Ünïcode & Söhne")
    crm.create(
        "Opportunity", name="Sale", amount=10.5, closeDate="2031-01-02", accountId=account["id"], description="=1+1"
    )
    fields = ["name", "amount", "account", "teams", "closeDate", "description"]
    file_id = crm.ok("POST", "Export", {"entityType": "Opportunity", "format": "xlsx", "fieldList": fields})["id"]
    head, row = sheet(crm.file(file_id))
    assert [text for _, text in head] == ["Name", "Amount", "Account", "Teams", "Close Date", "Description"]
    assert dict(row) == {
        "A2": "Sale",
        "B2": 10.5,
        "C2": "Ünïcode & Söhne",
        "E2": "2031-01-02",
        "F2": "=1+1",
    }


@pytest.mark.parametrize(("index", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_of_a_sheet(index: int, name: str) -> None:
    assert column_name(index) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")), min_size=2))
def test_what_is_written_as_csv_is_read_again(cells: list[str]) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert [cell.removeprefix("'") for cell in row] == [cell.removeprefix("'") for cell in cells]


def test_a_text_that_begins_like_a_formula_is_made_harmless(crm: Asker) -> None:
    crm.create("Lead", lastName="A", description="=1+1", phoneNumber="+4915112345678", opportunityAmount=5)
    rows = exported(crm, "Lead", attributeList=["description", "phoneNumber", "opportunityAmount"])
    assert rows[1] == ["'=1+1", "'+4915112345678", "5"]


def test_no_ids_are_all_ids(crm: Asker) -> None:
    for name in "ABC":
        crm.create("Account", name=name)
    assert exported(crm, "Account", ids=[], fieldList=["name"]) == [["name"], ["C"], ["B"], ["A"]]


def test_only_what_one_may_read_is_exported(crm: Asker) -> None:
    admin, variables = crm.as_user("admin"), crm.credentials["variables"]
    path = f"Role/{variables['role_limited_id']}"
    admin.ok("PUT", path, {"exportPermission": "yes"})
    crm.create("Lead", lastName="Own", assignedUserId=variables["limited_user_id"])
    crm.create("Lead", lastName="Foreign")
    limited = crm.as_user("limited")
    assert exported(limited, "Lead", fieldList=["lastName"]) == [["lastName"], ["Own"]]
    assert reason(limited.send("POST", "Export", {"entityType": "Account"})) == (403, "No 'read' access.")


def test_secrets_are_not_exported(crm: Asker) -> None:
    admin = crm.as_user("admin")
    rows = exported(admin, "User", attributeList=["userName", "password", "deleted"])
    assert rows[0] == ["userName"]
    assert "apiKey" not in exported(crm, "User", attributeList=["userName", "apiKey"])[0]


def test_large_exports_are_whole_and_in_order(crm: Asker) -> None:
    fill(crm.sandbox.storage, "Lead", 4500)
    rows = exported(crm, "Lead", fieldList=["id"], searchParams={"orderBy": "id", "order": "asc"})[1:]
    ids = [row[0] for row in rows]
    assert (len(ids), ids) == (4500, sorted(ids))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed_crm(clock: Clock) -> Iterator[Asker]:
    sandbox = Sandbox(clock=clock, job_delay=2)
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()


def test_a_background_export_has_its_file_at_the_end(timed_crm: Asker, clock: Clock) -> None:
    crm = timed_crm
    crm.create("Lead", lastName="A")
    export_id = crm.ok("POST", "Export", {"entityType": "Lead", "fieldList": ["lastName"], "idle": True})["exportId"]
    seen = []
    for _ in range(3):
        crm.sandbox.jobs.run_due()
        seen.append(crm.ok("GET", f"Export/{export_id}/status"))
        clock.go_on(1.5)
    assert [found["status"] for found in seen] == ["Pending", "Running", "Success"]
    assert [bool(found["attachmentId"]) for found in seen] == [False, False, True]
    assert crm.file(seen[-1]["attachmentId"]) == b"lastName\nA\n"


@pytest.mark.parametrize("wrong", [{"format": "nope"}, {"where": [{"type": "nope", "attribute": "status"}]}])
def test_a_background_export_that_cannot_be_fails_and_leaves_no_file(
    timed_crm: Asker, clock: Clock, wrong: dict[str, Any]
) -> None:
    crm = timed_crm
    export_id = crm.ok("POST", "Export", {"entityType": "Lead", "idle": True, **wrong})["exportId"]
    clock.go_on(3)
    crm.sandbox.jobs.run_due()
    assert crm.ok("GET", f"Export/{export_id}/status") == {"status": "Failed", "attachmentId": None}
    assert crm.as_user("admin").find("Attachment")["total"] == 0
