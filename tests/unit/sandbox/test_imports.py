from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from airflow_provider_espo.sandbox.http import Request
from airflow_provider_espo.sandbox.import_rows import rows_of
from tests.unit.sandbox.asking import Asker, reason
from tests.unit.sandbox.clock import Clock

DAY = 24 * 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crm(clock: Clock) -> Iterator[Asker]:
    sandbox = Sandbox(clock=clock, job_delay=2)
    credentials = ensure_fixture(sandbox.storage)
    yield Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})
    sandbox.close()


def upload(crm: Asker, text: str) -> str:
    headers = {**{name.lower(): value for name, value in crm.headers.items()}, "content-type": "text/csv"}
    reply = crm.sandbox.handle(Request("POST", "/Import/file", "", headers, text.encode()))
    assert reply.status == 200
    return str(json.loads(reply.content)["attachmentId"])


def order(crm: Asker, text: str, names: list[Any], **values: Any) -> dict[str, Any]:
    return {
        "entityType": "Lead",
        "attachmentId": upload(crm, text),
        "attributeList": names,
        "action": "create",
        "headerRow": False,
        **values,
    }


def run(crm: Asker, text: str, names: list[Any], **values: Any) -> dict[str, Any]:
    """Import a text and read the import."""
    found = crm.ok("POST", "Import", order(crm, text, names, **values))
    read: dict[str, Any] = crm.read("Import", found["id"])
    return read


def errors(crm: Asker, record: dict[str, Any]) -> list[tuple[str, Any]]:
    found = crm.ok("GET", f"Import/{record['id']}/errors")["list"]
    return [(e["type"], [(f["field"], f["type"]) for f in e["validationFailures"] or ()]) for e in found]


def leads(crm: Asker, *names: str) -> list[tuple[Any, ...]]:
    found = crm.find("Lead", orderBy="id", order="asc", select=["id", *names])["list"]
    return [tuple(lead[name] for name in names) for lead in found]


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1, max_size=8)


@given(st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=4))
def test_well_formed_csv_is_read_as_it_was_written(rows: list[list[str]]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    assert list(rows_of(buffer.getvalue(), ",", '"')) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n\nc,d\n", [["a", "b"]]),  # what follows an empty line is not read
        ("a,,\n,b,\n", [["a"], ["", "b"]]),  # empty cells at the end are not there
        ("a\r\nb\rc", [["a"], ["b"], ["c"]]),
        ('"a""b","c\nd"', [['a"b', "c\nd"]]),
        ('a,"",b', [["a", "", "b"]]),
    ],
)
def test_peculiarities_of_csv(text: str, rows: list[list[str]]) -> None:
    assert list(rows_of(text, ",", '"')) == rows


def test_texts_become_values_by_format_and_mark(crm: Asker) -> None:
    record = run(
        crm,
        'Sale;1.234,50;24.12.2031;yes;"24.12.2031"\n',
        ["name", "amount", "closeDate", "description", ""],
        entityType="Opportunity",
        delimiter=";",
        decimalMark=",",
        dateFormat="DD.MM.YYYY",
        currency="EUR",
    )
    assert record["importedCount"] == 1
    (sale,) = crm.find("Opportunity", select=["name", "amount", "amountCurrency", "closeDate"])["list"]
    assert (sale["amount"], sale["amountCurrency"], sale["closeDate"]) == (1234.5, "EUR", "2031-12-24")


def test_times_are_of_the_zone_that_is_said(crm: Asker) -> None:
    sales_id = crm.credentials["variables"]["sales_user_id"]
    run(
        crm,
        "C,01/07/2031 10:30,01/07/2031 11:00\n",
        ["name", "dateStart", "dateEnd"],
        entityType="Call",
        dateFormat="DD/MM/YYYY",
        timezone="Europe/Kyiv",
        defaultValues={"assignedUserId": sales_id},
    )
    (call,) = crm.find("Call", select=["dateStart"])["list"]
    assert call["dateStart"] == "2031-07-01 07:30:00"


def test_cells_that_make_no_sense_and_broken_rules_are_told_together(crm: Asker) -> None:
    text = "S,abc,2031-02-30,Nope\n"
    record = run(crm, text, ["name", "amount", "closeDate", "stage"], entityType="Opportunity")
    assert (record["status"], record["importedCount"]) == ("Complete", 0)
    ((kind, found),) = errors(crm, record)
    assert kind == "Validation"
    assert {("amount", "valid"), ("closeDate", "valid"), ("stage", "valid")} <= set(found)


@pytest.mark.parametrize(
    ("form", "text", "parts"),
    [
        ("f l", "Ida von Berg", ("Ida", None, "von Berg")),
        ("l f", "Berg Ida", ("Ida", None, "Berg")),
        ("l, f", '"Berg, Ida"', ("Ida", None, "Berg")),
        ("f m l", "Ida M Berg", ("Ida", "M", "Berg")),
        ("f m l", "Ida Berg", ("Ida", None, "Berg")),
        ("f l", "Berg", (None, None, "Berg")),
    ],
)
def test_names_of_people_are_taken_apart(crm: Asker, form: str, text: str, parts: tuple[str | None, ...]) -> None:
    run(crm, f"{text}\n", ["name"], personNameFormat=form)
    assert leads(crm, "firstName", "middleName", "lastName") == [parts]


def test_further_addresses_and_numbers_have_columns_of_their_own(crm: Asker) -> None:
    names = ["lastName", "emailAddress", "emailAddress2", "phoneNumberMobile"]
    run(crm, "A,a@example.com,b@example.com,+4915112345678\n", names)
    lead = crm.read("Lead", crm.find("Lead")["list"][0]["id"])
    assert [(e["emailAddress"], e["primary"]) for e in lead["emailAddressData"]] == [
        ("a@example.com", True),
        ("b@example.com", False),
    ]
    assert [(p["phoneNumber"], p["type"]) for p in lead["phoneNumberData"]] == [("+4915112345678", "Mobile")]


def test_names_of_linked_records_link_them(crm: Asker) -> None:
    account = crm.create("Account", name="Acme")
    run(crm, "A,Acme\nB,Nobody\n", ["lastName", "accountName"], entityType="Contact")
    found = crm.find("Contact", orderBy="lastName", order="asc", select=["lastName", "accountId"])["list"]
    assert [contact["accountId"] for contact in found] == [account["id"], None]


def test_who_and_when_may_be_stated_and_ids_too(crm: Asker) -> None:
    sales_id = crm.credentials["variables"]["sales_user_id"]
    run(
        crm,
        f"00000000000000abc,A,2020-01-02 03:04,{sales_id}\n",
        ["id", "lastName", "createdAt", "createdById"],
    )
    lead = crm.read("Lead", "00000000000000abc")
    assert (lead["createdAt"], lead["createdById"]) == ("2020-01-02 03:04:00", sales_id)


def test_imports_leave_no_notes(crm: Asker) -> None:
    run(crm, "A\n", ["lastName"])
    (lead_id,) = leads(crm, "id")[0]
    assert crm.notes(f"Lead/{lead_id}/stream") == []


def test_rows_update_what_one_may_edit(crm: Asker) -> None:
    variables = crm.credentials["variables"]
    admin, path = crm.as_user("admin"), f"Role/{variables['role_limited_id']}"
    rights = {"Lead": {"create": "yes", "read": "all", "edit": "own"}, "Import": True}
    admin.ok("PUT", path, {"data": {**admin.ok("GET", path)["data"], **rights}})
    crm.create("Lead", lastName="Own", assignedUserId=variables["limited_user_id"])
    crm.create("Lead", lastName="Foreign")
    limited = crm.as_user("limited")
    text = "Own,Dr\nForeign,Dr\nNobody,Dr\n"
    record = run(limited, text, ["lastName", "title"], action="update", updateBy=[0])
    assert (record["updatedCount"], errors(limited, record)) == (1, [("No-Access", []), ("Not-Found", [])])
    assert leads(crm, "lastName", "title") == [("Own", "Dr"), ("Foreign", None)]


def test_a_row_that_updates_what_an_earlier_one_made_counts_for_both_and_is_undone(crm: Asker) -> None:
    text = "A,1@example.com\nB,1@example.com\n"
    record = run(crm, text, ["lastName", "emailAddress"], action="createAndUpdate", updateBy=[1])
    assert (record["importedCount"], record["updatedCount"]) == (1, 1)
    assert leads(crm, "lastName") == [("B",)]
    crm.ok("POST", f"Import/{record['id']}/revert")
    assert leads(crm, "lastName") == []


@pytest.mark.parametrize(("days", "remains"), [(1, False), (3, True)])
def test_soon_after_an_import_undoing_it_leaves_nothing(crm: Asker, clock: Clock, days: int, remains: bool) -> None:
    record = run(crm, "A,a@example.com\n", ["lastName", "emailAddress"])
    (lead_id,) = leads(crm, "id")[0]
    clock.go_on(days * DAY)
    crm.ok("POST", f"Import/{record['id']}/revert")
    assert (crm.as_user("admin").send("GET", f"Lead/{lead_id}").status == 200) is remains


def test_undoing_leaves_what_was_only_updated(crm: Asker) -> None:
    crm.create("Lead", lastName="Old")
    record = run(crm, "Old\nNew\n", ["lastName"], action="createAndUpdate", updateBy=[0])
    crm.ok("POST", f"Import/{record['id']}/revert")
    assert leads(crm, "lastName") == [("Old",)]


def test_imports_are_those_of_their_user(crm: Asker) -> None:
    record = run(crm, "A\n", ["lastName"])
    sales = crm.as_user("sales")
    assert sales.send("GET", f"Import/{record['id']}").status == 403
    assert sales.send("POST", f"Import/{record['id']}/revert").status == 403
    assert (sales.find("Import")["total"], crm.find("Import")["total"]) == (0, 1)


def test_without_errors_there_is_no_file_of_them(crm: Asker) -> None:
    record = run(crm, "A\n", ["lastName"])
    assert crm.ok("POST", f"Import/{record['id']}/exportErrors") == {"attachmentId": None}


def test_a_duplicate_may_be_none_after_all(crm: Asker) -> None:
    crm.create("Lead", firstName="I", lastName="A")
    record = run(crm, "I,A\n", ["firstName", "lastName"])
    assert record["duplicateCount"] == 1
    (second,) = crm.ok("GET", f"Import/{record['id']}/duplicates")["list"]
    body = {"entityType": "Lead", "entityId": second["id"]}
    assert crm.ok("POST", f"Import/{record['id']}/unmarkDuplicates", body) is True
    assert crm.read("Import", record["id"])["duplicateCount"] == 0


def test_a_background_import_is_pending_then_in_process_then_complete(crm: Asker, clock: Clock) -> None:
    record = run(crm, "A\nB\n", ["lastName"], idleMode=True)
    seen = [(record["status"], record["importedCount"])]
    for _ in range(2):
        clock.go_on(1.5)
        crm.sandbox.jobs.run_due()
        found = crm.read("Import", record["id"])
        seen.append((found["status"], found["importedCount"]))
    assert seen == [("Pending", 0), ("In Process", 0), ("Complete", 2)]


def test_columns_that_are_no_texts_leave_a_background_import_in_process_for_good(crm: Asker, clock: Clock) -> None:
    record = run(crm, "A\n", ["lastName", None], idleMode=True)
    clock.go_on(3)
    crm.sandbox.jobs.run_due()
    assert crm.read("Import", record["id"])["status"] == "In Process"


def test_a_key_column_that_is_no_attribute_fails_the_import(crm: Asker) -> None:
    assert run(crm, "A\n", ["nope"], action="update", updateBy=[0])["status"] == "Failed"


def test_manual_imports_wait_for_somebody(crm: Asker) -> None:
    record = run(crm, "A\n", ["lastName"], manualMode=True)
    assert (record["status"], leads(crm, "lastName")) == ("Standby", [])


def test_an_empty_file_cannot_be_imported(crm: Asker) -> None:
    assert reason(crm.send("POST", "Import", order(crm, "", ["lastName"]))) == (500, "Empty contents.")
