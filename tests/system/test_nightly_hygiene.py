"""Doubles are merged, phone numbers written in one way, and no more records touched than allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_espo.sandbox.addresses import phone_book
from airflow_provider_espo.where import equals
from tests.system.conftest import Crm

Run = Callable[..., Any]


@pytest.fixture
def make_contact(crm: Crm) -> Iterator[Callable[..., str]]:
    """Make a contact, whatever else has its name or address."""
    made: list[str] = []

    def make(**attributes: Any) -> str:
        made.append(crm.hook.create_record("Contact", attributes, on_duplicate="force")["id"])
        return str(made[-1])

    yield make
    crm.hook.write_many("Contact", [{"id": contact_id} for contact_id in made], operation="delete")


@pytest.fixture
def doubles(crm: Crm, make_contact: Callable[..., str]) -> dict[str, str]:
    """Contacts with one address: two of one person, and one of somebody else."""
    tag = uuid4().hex
    address = f"{tag}@example.com"
    person = make_contact(lastName=tag, emailAddress=address), make_contact(lastName=tag.upper(), emailAddress=address)
    # Of two that were made in the same second the id tells which is the first.
    kept, double = sorted(person, key=lambda one: (crm.hook.get_record("Contact", one)["createdAt"], one))
    crm.hook.update_record("Contact", kept, {"description": "the first one"})
    crm.hook.update_record("Contact", double, {"firstName": "Zoë", "description": "another"})
    namesake = make_contact(lastName=f"{tag} Smith", emailAddress=address)
    task = crm.hook.create_record(
        "Task",
        {"name": tag, "parentType": "Contact", "parentId": double, "assignedUserId": crm.hook.whoami()["id"]},
    )
    return {"kept": kept, "double": double, "namesake": namesake, "task": task["id"]}


def has_old_number(crm: Crm, contact_id: str, number: str) -> bool:
    """Give a contact a number from before EspoCRM wanted international ones; a real one takes none any more."""
    if crm.sandbox is None:
        return False
    with crm.sandbox.storage.transaction():
        phone_book(crm.sandbox.storage).set_primary("Contact", contact_id, number, "Mobile")
    return True


def ids_of(crm: Crm, *contact_ids: str) -> set[str]:
    return {one["id"] for one in crm.hook.list_records("Contact", select=["id"]) if one["id"] in contact_ids}


def test_doubles_become_one_that_has_what_both_had(
    crm: Crm, run_dag: Run, doubles: dict[str, str], tmp_path: Path
) -> None:
    folder = str(tmp_path / "reports")
    dag_run = run_dag("nightly_hygiene", report_dir=folder)
    assert str(dag_run.state) == "success"
    kept = crm.hook.get_record("Contact", doubles["kept"])
    assert (kept["firstName"], kept["description"]) == ("Zoë", "the first one")
    assert ids_of(crm, *doubles.values()) == {doubles["kept"], doubles["namesake"]}
    assert crm.hook.get_record("Task", doubles["task"])["parentId"] == doubles["kept"]

    name = f"Contact hygiene {dag_run.run_after:%Y-%m-%d}"
    [report] = crm.hook.list_records("Document", where=[equals("name", name)])
    crm.hook.download_attachment(report["fileId"], str(tmp_path / "report.md"))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert crm.hook.record_url("Contact", doubles["kept"]) in text
    assert "Zoë" not in text

    again = run_dag("nightly_hygiene", report_dir=folder)

    assert str(again.state) == "success"
    assert ids_of(crm, *doubles.values()) == {doubles["kept"], doubles["namesake"]}
    assert crm.hook.count_records("Document", where=[equals("name", name)]) == 1


def test_doubles_stay_two_where_a_value_would_be_lost(
    crm: Crm, run_dag: Run, doubles: dict[str, str], tmp_path: Path
) -> None:
    campaign = crm.hook.create_record("Campaign", {"name": uuid4().hex})
    crm.hook.update_record("Contact", doubles["double"], {"campaignId": campaign["id"]})
    # EspoCRM leaves the contact as it is, and takes the campaign for no other.
    crm.hook.delete_record("Campaign", campaign["id"])
    assert str(run_dag("nightly_hygiene", report_dir=str(tmp_path)).state) == "success"
    assert ids_of(crm, *doubles.values()) == {doubles["kept"], doubles["double"], doubles["namesake"]}
    [report] = tmp_path.glob("*.md")
    assert f"refused what they should take over: 1\n\n* {crm.hook.record_url('Contact', doubles['kept'])}" in (
        report.read_text(encoding="utf-8")
    )


def test_phone_numbers_become_international_where_it_is_certain_what_they_mean(
    crm: Crm, run_dag: Run, make_contact: Callable[..., str], result_of: Callable[[Any, str], Any], tmp_path: Path
) -> None:
    name = {"lastName": uuid4().hex}
    right, german = (make_contact(**name, phoneNumber="+48221234567", addressCountry="Germany") for _ in range(2))
    american, unclear = make_contact(**name, addressCountry="USA"), make_contact(**name)
    wanted = {right: "+48221234567", german: "+48221234567", american: None, unclear: None}
    if has_old_number(crm, german, "030 / 1234567"):
        has_old_number(crm, american, "(415) 555-2700")
        has_old_number(crm, unclear, "030 / 7654321")
        wanted |= {german: "+49301234567", american: "+14155552700", unclear: "030 / 7654321"}
    dag_run = run_dag("nightly_hygiene", report_dir=str(tmp_path))
    assert str(dag_run.state) == "success"
    assert {one: crm.hook.get_record("Contact", one)["phoneNumber"] for one in wanted} == wanted
    assert (unclear in result_of(dag_run, "normalise_phones")["unclear"]) == (wanted[unclear] is not None)


def test_more_than_expected_is_not_touched_at_all(
    crm: Crm, run_dag: Run, doubles: dict[str, str], make_contact: Callable[..., str], tmp_path: Path
) -> None:
    refused = run_dag("nightly_hygiene", report_dir=str(tmp_path), max_merged=0)
    assert str(refused.state) == "failed"
    assert ids_of(crm, *doubles.values()) == {doubles["kept"], doubles["double"], doubles["namesake"]}
    assert crm.hook.get_record("Contact", doubles["kept"])["firstName"] is None
    contact_id = make_contact(lastName=uuid4().hex, addressCountry="Germany")
    if has_old_number(crm, contact_id, "030 1234567"):
        refused = run_dag("nightly_hygiene", report_dir=str(tmp_path), max_phones=0)
        assert str(refused.state) == "failed"
        assert crm.hook.get_record("Contact", contact_id)["phoneNumber"] == "030 1234567"


def test_airflow_keeps_nothing_of_what_people_wrote(
    run_dag: Run, doubles: dict[str, str], kept_of: Callable[[Any], list[str]], tmp_path: Path
) -> None:
    kept = kept_of(run_dag("nightly_hygiene", report_dir=str(tmp_path)))
    assert any(doubles["double"] in text for text in kept)
    private = ("Zoë", "the first one", "@example.com")
    assert [text for text in kept for word in private if word in text] == []
