from __future__ import annotations

import pytest

from airflow_provider_espo.sandbox.fill import fill
from tests.unit.sandbox.asking import Asker


def test_leads_are_filled_in_with_usual_values(crm: Asker) -> None:
    fill(crm.sandbox.storage, "Lead", 250)
    page = crm.find("Lead", maxSize=5, select=["name", "status", "emailAddress", "createdAt", "createdByName"])
    assert page["total"] == 250
    for lead in page["list"]:
        assert all(lead[name] for name in ("name", "status", "emailAddress", "createdAt", "createdByName"))
    record = crm.read("Lead", page["list"][0]["id"])
    assert record["emailAddressData"][0]["primary"] is True
    assert crm.ok("PUT", f"Lead/{record['id']}", {"title": "x"})["title"] == "x"


def test_every_usual_type_can_be_filled(crm: Asker) -> None:
    for entity_type in ("Account", "Contact", "Opportunity", "Task", "Meeting", "Call", "Case", "Campaign"):
        fill(crm.sandbox.storage, entity_type, 3)
        assert crm.find(entity_type)["total"] == 3


def test_ids_increase_with_time(crm: Asker) -> None:
    fill(crm.sandbox.storage, "Lead", 50)
    leads = crm.find("Lead", orderBy="id", select=["createdAt"])["list"]
    assert [lead["createdAt"] for lead in leads] == sorted(lead["createdAt"] for lead in leads)


@pytest.mark.parametrize("entity_type", ["Nope", "User", "Note"])
def test_other_types_are_refused(crm: Asker, entity_type: str) -> None:
    with pytest.raises(ValueError, match=f"cannot fill '{entity_type}'"):
        fill(crm.sandbox.storage, entity_type, 1)
