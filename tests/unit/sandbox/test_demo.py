from __future__ import annotations

import datetime as dt

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.demo import ensure_demo_data, plain
from airflow_provider_espo.sandbox.fixture import ensure_fixture
from tests.unit.sandbox.asking import Asker

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def filled() -> Asker:
    sandbox = Sandbox(clock=lambda: NOON)
    credentials = ensure_fixture(sandbox.storage)
    assert ensure_demo_data(sandbox, credentials["variables"])
    return Asker(sandbox, credentials, {"X-Api-Key": credentials["api_key"]})


def test_demo_data_is_a_small_crm_up_to_today() -> None:
    crm = filled()
    counts = {name: crm.find(name, maxSize=0)["total"] for name in ("Account", "Contact", "Lead", "Opportunity")}
    assert counts == {"Account": 25, "Contact": 60, "Lead": 80, "Opportunity": 20}
    assert crm.find("TargetList")["total"] == 3
    leads = crm.find("Lead", select=["name", "source", "createdAt", "modifiedAt"])["list"]
    assert len({lead["source"] for lead in leads}) > 5
    assert any(not lead["name"].isascii() for lead in leads)
    assert all(lead["createdAt"] <= lead["modifiedAt"] <= "2026-03-01 12:00:00" for lead in leads)
    months = {lead["createdAt"][:7] for lead in leads}
    assert len(months) >= 5
    target_list = crm.find("TargetList", select=["id"])["list"][0]["id"]
    assert crm.ok("GET", f"TargetList/{target_list}/leads")["total"] == 15
    crm.sandbox.close()


def test_demo_data_is_always_the_same() -> None:
    names = []
    for _ in range(2):
        crm = filled()
        leads = crm.find("Lead", orderBy="lastName", select=["name", "createdAt", "emailAddress"])["list"]
        names.append([(lead["name"], lead["createdAt"], lead["emailAddress"]) for lead in leads])
        crm.sandbox.close()
    assert names[0] == names[1]


def test_demo_data_is_filled_in_once() -> None:
    crm = filled()
    assert not ensure_demo_data(crm.sandbox, crm.credentials["variables"])
    assert crm.find("Account", maxSize=0)["total"] == 25
    crm.sandbox.close()


def test_mail_names_are_plain() -> None:
    assert plain("Øresund Łódź") == "oresundlodz"
