from __future__ import annotations

import json
import threading
from urllib.parse import quote

import pytest
import requests

from airflow_provider_espo.sandbox.faults import Fault
from airflow_provider_espo.sandbox.http import Request
from airflow_provider_espo.sandbox.server import SandboxServer
from tests.unit.sandbox.asking import Asker


def query(**params: object) -> str:
    return "searchParams=" + quote(json.dumps(params))


def statuses(crm: Asker, *sizes: int) -> list[int]:
    return [crm.send("GET", "Lead", query=query(maxSize=size)).status for size in sizes]


def test_pages_beyond_a_size_are_answered_as_by_the_web_server_in_front(crm: Asker) -> None:
    crm.sandbox.faults.add(Fault(what=504, path="/Lead", over=50))
    assert statuses(crm, 200, 51, 50, 10) == [504, 504, 200, 200]
    assert crm.send("GET", "Contact", query=query(maxSize=200)).status == 200
    reply = crm.send("GET", "Lead", query=query(maxSize=200))
    assert reply.content_type.startswith("text/html")
    assert b"504 Gateway Time-out" in reply.content
    assert "X-Status-Reason" not in reply.headers


def test_page_size_is_seen_in_either_form_and_defaults_to_the_most(crm: Asker) -> None:
    crm.sandbox.faults.add(Fault(what=413, over=50))
    assert crm.send("GET", "Lead", query="maxSize=60").status == 413
    assert crm.send("GET", "Lead", query="maxSize=40").status == 200
    assert crm.send("GET", "Lead", query="select=name").status == 413


def test_fault_begins_after_some_requests_and_ends_after_some_more(crm: Asker) -> None:
    crm.sandbox.faults.add(Fault(what=503, method="GET", path="/Lead", after=2, times=2))
    assert statuses(crm, 1, 1, 1, 1, 1) == [200, 200, 503, 503, 200]


def test_of_several_faults_each_has_its_requests(crm: Asker) -> None:
    crm.sandbox.faults.add(Fault(what=502, times=1))
    crm.sandbox.faults.add(Fault(what=504, times=1))
    assert statuses(crm, 1, 1, 1) == [502, 504, 200]


def test_what_is_carried_out_stays_though_its_answer_is_lost(crm: Asker) -> None:
    crm.sandbox.faults.add(Fault(what="drop", method="POST", path="/Lead", carried_out=True, times=1))
    crm.sandbox.faults.add(Fault(what="drop", method="POST", path="/Lead", times=1))
    first, second = (crm.send("POST", "Lead", {"lastName": name}) for name in ("Stays", "Never"))
    assert (first.breakage, second.breakage) == ("drop", "drop")
    assert [lead["lastName"] for lead in crm.find("Lead", select=["lastName"])["list"]] == ["Stays"]


def test_all_goes_right_again_when_the_faults_are_cleared(crm: Asker) -> None:
    crm.sandbox.faults.add(Fault(what=500))
    assert statuses(crm, 1) == [500]
    crm.sandbox.faults.clear()
    assert statuses(crm, 1) == [200]


def test_form_of_the_command_line_says_the_same() -> None:
    assert Fault.parse("504,method=GET,path=/Lead,over=50") == Fault(what=504, method="GET", path="/Lead", over=50)
    dropped = Fault(what="drop", method="POST", carried_out=True, after=2, times=1)
    assert Fault.parse("drop, method=POST, carried_out, after=2, times=1") == dropped


@pytest.mark.parametrize("text", ["", "200", "explode", "504,over=many", "504,colour=red", "504,carried_out=1"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no fault|says nothing about a fault"):
        Fault.parse(text)


def test_path_is_meant_whole() -> None:
    fault = Fault(what=504, path="/Lead")
    assert fault.fits(Request("GET", "/Lead", "", {}))
    assert not fault.fits(Request("GET", "/Lead/1", "", {}))
    assert Fault(what=504, path="/Lead/.*").fits(Request("GET", "/Lead/1", "", {}))


class TestOnTheWire:
    def test_dropped_connection_gives_no_answer_and_the_next_request_goes_well(self) -> None:
        with SandboxServer(faults=[Fault(what="drop", times=1)]) as server, requests.Session() as session:
            session.headers["X-Api-Key"] = server.credentials["api_key"]
            with pytest.raises(requests.ConnectionError):
                session.get(f"{server.url}/api/v1/App/about", timeout=10)
            assert session.get(f"{server.url}/api/v1/App/about", timeout=10).status_code == 200

    def test_answer_that_is_cut_breaks_off_in_its_middle(self) -> None:
        with SandboxServer(faults=[Fault(what="cut", method="POST", times=1)]) as server, requests.Session() as session:
            session.headers["X-Api-Key"] = server.credentials["api_key"]
            with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
                session.post(f"{server.url}/api/v1/Lead", json={"lastName": "Half"}, timeout=10)
            assert session.get(f"{server.url}/api/v1/Lead", timeout=10).json()["total"] == 1

    def test_request_that_hangs_is_answered_never_and_holds_up_nobody(self) -> None:
        server = SandboxServer(faults=[Fault(what="hang", path="/App/about")]).start()
        headers = {"X-Api-Key": server.credentials["api_key"]}
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{server.url}/api/v1/App/about", headers=headers, timeout=(10, 0.2))
        waiting: list[Exception] = []

        def wait() -> None:
            try:
                requests.get(f"{server.url}/api/v1/App/about", headers=headers, timeout=60)
            except requests.ConnectionError as error:
                waiting.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        assert requests.get(f"{server.url}/api/v1/Lead", headers=headers, timeout=10).status_code == 200
        server.stop()
        thread.join(20)
        assert not thread.is_alive()
        assert waiting, "the connection of a request that hangs ends with the server"
