from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.definition_lines import DefinitionError
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from tests.unit.sandbox.asking import Asker


def test_field_added_while_it_runs_is_written_read_found_and_described(crm: Asker) -> None:
    lead = crm.create("Lead", lastName="L", cBudget=5)["id"]
    assert "cBudget" not in crm.read("Lead", lead)
    crm.sandbox.add_field("Lead", "cBudget", "int min=0")
    assert crm.read("Lead", lead)["cBudget"] is None
    crm.ok("PUT", f"Lead/{lead}", {"cBudget": 7})
    assert crm.read("Lead", lead)["cBudget"] == 7
    where = [{"type": "greaterThan", "attribute": "cBudget", "value": 6}]
    assert [record["id"] for record in crm.find("Lead", where=where)["list"]] == [lead]
    assert crm.send("PUT", f"Lead/{lead}", {"cBudget": -1}).status == 400
    fields = crm.ok("GET", "Metadata")["entityDefs"]["Lead"]["fields"]
    assert fields["cBudget"] == {"type": "int", "min": 0, "isCustom": True}


def test_administrator_adds_and_removes_a_field(crm: Asker) -> None:
    admin = crm.as_user("admin")
    form = {"name": "shoeSize", "type": "enum", "options": ["S", "M"], "default": "M", "required": True}
    assert admin.ok("POST", "Admin/fieldManager/Contact", form)["name"] == "cShoeSize"
    assert crm.create("Contact", lastName="C")["cShoeSize"] == "M"
    assert crm.send("POST", "Contact", {"lastName": "D", "cShoeSize": "XL"}).status == 400
    assert admin.ok("GET", "Admin/fieldManager/Contact/cShoeSize")["options"] == ["S", "M"]
    assert admin.send("POST", "Admin/fieldManager/Contact", form).status == 409
    assert admin.ok("DELETE", "Admin/fieldManager/Contact/cShoeSize") is True
    assert "cShoeSize" not in crm.create("Contact", lastName="E")
    assert admin.send("DELETE", "Admin/fieldManager/Contact/lastName").status == 403


def test_only_administrators_manage_fields(crm: Asker) -> None:
    assert crm.send("POST", "Admin/fieldManager/Lead", {"name": "x", "type": "int"}).status == 403


def test_compound_field_brings_its_parts(crm: Asker) -> None:
    crm.sandbox.add_field("Account", "cCredit", "currency")
    account = crm.create("Account", name="A", cCredit=100, cCreditCurrency="EUR")
    assert (account["cCreditCurrency"], account["cCreditConverted"]) == ("EUR", 112)


@pytest.mark.parametrize(
    ("entity_type", "name", "spec"),
    [
        ("Nope", "cX", "int"),
        ("Lead", "lastName", "varchar"),
        ("Lead", "createdById", "varchar"),
        ("Lead", "cX", "integer"),
        ("Lead", "cX", "link"),
        ("Lead", "c x", "int"),
    ],
)
def test_field_that_makes_no_sense_is_refused(crm: Asker, entity_type: str, name: str, spec: str) -> None:
    with pytest.raises(DefinitionError):
        crm.sandbox.add_field(entity_type, name, spec)


def test_field_is_there_when_the_database_is_opened_again(tmp_path: Path) -> None:
    path = str(tmp_path / "crm.db")
    first = Sandbox(path)
    credentials = ensure_fixture(first.storage)
    first.add_field("Lead", "cColor", "varchar 20")
    made = Asker(first, credentials, {"X-Api-Key": credentials["api_key"]}).create("Lead", lastName="L", cColor="red")
    first.close()
    second = Sandbox(path)
    credentials = ensure_fixture(second.storage)
    crm = Asker(second, credentials, {"X-Api-Key": credentials["api_key"]})
    assert crm.read("Lead", made["id"])["cColor"] == "red"
    second.close()
