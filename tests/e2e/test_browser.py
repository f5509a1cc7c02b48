"""What people see of the provider in Airflow's user interface."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.browser import Browser, chromium
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    with chromium(stack.url) as browser:
        yield browser


def test_the_connection_form_is_ours_and_its_test_reaches_the_crm(stack: Stack, browser: Browser) -> None:
    browser.open("/connections")
    browser.click("//button[contains(., 'Add Connection')]")
    browser.find("//input[@name='connection_id']").send_keys("espo_by_hand")
    browser.click("//*[@role='combobox' or contains(@class, 'control')][ancestor::*[contains(., 'Connection Type')]]")
    browser.driver.switch_to.active_element.send_keys("EspoCRM")
    browser.click("//*[@role='option'][contains(., 'EspoCRM')]")
    browser.find("//input[@name='host']").send_keys("http://127.0.0.1")
    browser.find("//input[@name='port']").send_keys(str(stack.crm_port))
    browser.find("//input[@name='password']").send_keys(stack.credentials["api_key"])
    browser.with_text("Authentication method")
    browser.picture("connection-form")
