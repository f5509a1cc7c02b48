from __future__ import annotations

import threading

from airflow_provider_espo.sandbox.demo_user import DemoUser
from tests.unit.sandbox.asking import Asker


class Time:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def watching(crm: Asker, time: Time, answer_after: float = 4) -> DemoUser:
    demo_user = DemoUser(crm.sandbox, answer_after, time)
    crm.sandbox.records.listeners.append(demo_user.noticed)
    return demo_user


def test_new_lead_is_answered_after_its_time(crm: Asker) -> None:
    time = Time()
    demo_user = watching(crm, time)
    lead = crm.create("Lead", lastName="L")["id"]
    time.now += 3.9
    assert demo_user.answer_due() == 0
    assert crm.read("Lead", lead)["status"] == "New"
    time.now += 0.1
    assert demo_user.answer_due() == 1
    record = crm.read("Lead", lead)
    sales = crm.credentials["variables"]["sales_user_id"]
    assert (record["status"], record["assignedUserId"], record["modifiedById"]) == ("Assigned", sales, sales)
    assert demo_user.answer_due() == 0


def test_only_new_leads_are_answered(crm: Asker) -> None:
    time = Time()
    demo_user = watching(crm, time)
    crm.create("Lead", lastName="Other", status="In Process")
    crm.create("Contact", lastName="C")
    taken = crm.create("Lead", lastName="Taken")["id"]
    crm.ok("PUT", f"Lead/{taken}", {"status": "Dead"})
    gone = crm.create("Lead", lastName="Gone")["id"]
    crm.ok("DELETE", f"Lead/{gone}")
    time.now += 10
    assert demo_user.answer_due() == 0
    assert crm.read("Lead", taken)["status"] == "Dead"


def test_thread_answers_and_ends_when_stopped(crm: Asker) -> None:
    demo_user = DemoUser(crm.sandbox, 0)
    answered = threading.Event()
    crm.sandbox.records.listeners.append(lambda what, change: answered.set() if what == "update" else None)
    demo_user.start()
    lead = crm.create("Lead", lastName="L")["id"]
    assert answered.wait(10)
    assert crm.read("Lead", lead)["status"] == "Assigned"
    demo_user.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "espo-sandbox-demo-user"]


def test_stopping_does_not_wait_for_leads_that_are_not_due(crm: Asker) -> None:
    demo_user = DemoUser(crm.sandbox, 80_000)
    demo_user.start()
    lead = crm.create("Lead", lastName="L")["id"]
    demo_user.stop()
    assert crm.read("Lead", lead)["status"] == "New"
