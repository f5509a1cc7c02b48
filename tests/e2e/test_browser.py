"""What people see of the provider in Airflow's user interface."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.e2e.browser import Browser, chromium
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    with chromium(stack.url) as browser:
        yield browser


@pytest.fixture(scope="module")
def run(stack: Stack) -> str:
    """A finished run of a DAG whose tasks work on a lead."""
    stack.unpause("welcome_lead")
    stack.unpause("take_lead")
    run = stack.trigger("take_lead")
    assert stack.finished("take_lead", run) == "success"
    return run


def test_the_connection_form_is_ours_and_its_test_reaches_the_crm(stack: Stack, browser: Browser) -> None:
    browser.open("/connections")
    browser.click("//button[contains(., 'Add Connection')]")
    browser.find("//input[@name='connection_id']").send_keys("espo_by_hand")
    browser.find("//*[@role='dialog']//input[@role='combobox']").send_keys("Espo")
    browser.click("//*[@role='option'][contains(., 'EspoCRM')]")
    browser.find("//input[@name='host']").send_keys("http://127.0.0.1")
    labels = browser.text()
    assert "Site URL" in labels
    assert "API key, secret key or password" in labels
    browser.find("//input[@name='port']").send_keys(str(stack.crm_port))
    browser.find("//input[@name='password']").send_keys(stack.credentials["api_key"])
    browser.click("//*[@role='dialog']//button[contains(., 'Extra Fields')][not(contains(., 'JSON'))]")
    browser.with_text("Authentication method")
    browser.picture("connection-extra")
    browser.click_until_gone("//*[@role='dialog']//button[contains(., 'Save')]")
    browser.with_text("http://127.0.0.1")

    browser.click("//button[@aria-label='Test Connection']")

    told = browser.find("//*[@role='status'][contains(., 'EspoCRM')]").text
    browser.picture("connection-test")
    print(f"\nthe test says: {' / '.join(told.splitlines())}")
    assert "Test Connection Successful" in told
    assert stack.credentials["api_key"] not in told


def test_a_failed_test_says_what_to_do(stack: Stack, browser: Browser) -> None:
    stack.api("PATCH", "connections/espo_by_hand", params={"update_mask": "password"}, json=_without_key(stack))
    browser.open("/connections")
    browser.click("//button[@aria-label='Test Connection']")
    told = browser.find("//*[@role='status'][contains(., 'Test Connection Failed')]").text
    print(f"\nthe test says: {' / '.join(told.splitlines())}")
    assert "API key" in told


def test_the_graph_shows_the_tasks(stack: Stack, browser: Browser, run: str) -> None:
    browser.open(f"/dags/take_lead/runs/{quote(run, safe='')}")
    browser.click("//button[starts-with(@aria-label, 'Show Graph')]")
    nodes = "//*[contains(@class, 'react-flow__node')]"
    for task_id, operator in (("create_lead", "EspoCreateRecordOperator"), ("tell", "EspoPostToStreamOperator")):
        assert operator in browser.find(f"{nodes}[contains(., '{task_id}')]").text


def test_the_asset_graph_shows_who_is_started(stack: Stack, browser: Browser, run: str) -> None:
    (asset,) = stack.api("GET", "assets", params={"name_pattern": "new_leads"})["assets"]
    browser.open(f"/assets/{asset['id']}")
    for name in ("take_lead", "new_leads", "welcome_lead"):
        browser.find(f"//*[contains(@class, 'react-flow__node')][contains(., '{name}')]")
    browser.with_text("Asset Event")
    browser.picture("asset-graph")


def test_a_button_opens_the_record_in_the_crm(stack: Stack, browser: Browser, run: str) -> None:
    lead = stack.xcom("take_lead", run, "create_lead")["id"]
    browser.open(f"/dags/take_lead/runs/{quote(run, safe='')}/tasks/create_lead/details")
    link = browser.find("//a[contains(., 'Open record in EspoCRM')]")
    browser.picture("extra-link")
    assert link.get_attribute("href") == f"{stack.crm_url}/#Lead/view/{lead}"


def _without_key(stack: Stack) -> dict[str, object]:
    wrong = "0" * 32
    return {"connection_id": "espo_by_hand", "conn_type": "espo", "host": "http://127.0.0.1", "password": wrong}
