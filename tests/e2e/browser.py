"""A headless Chromium, as Debian packs it, that looks at Airflow."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.e2e.stack import ROOT

IMAGES = ROOT / "docs" / "images"

#: Where this is set, the pictures of the docs are taken anew.
TAKES_PICTURES = bool(os.environ.get("ESPO_E2E_PICTURES"))

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    # Nothing here leaves the machine.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1200,800",
    "--lang=en",
)
_SECONDS = 60.0


class Browser:
    """What a test does with it.

    :param driver: selenium's.
    :param url: address of Airflow.
    """

    def __init__(self, driver: WebDriver, url: str) -> None:
        self.driver, self._url = driver, url

    def open(self, path: str) -> None:
        """Go to a page of Airflow."""
        self.driver.get(f"{self._url}{path}")

    def find(self, xpath: str, seconds: float = _SECONDS) -> WebElement:
        """Wait for an element that is seen, and return it.

        :param xpath: which.
        :param seconds: how long to wait at most.
        """

        def seen(driver: WebDriver) -> WebElement | None:
            return next((one for one in driver.find_elements(By.XPATH, xpath) if one.is_displayed()), None)

        waiting: Any = WebDriverWait(self.driver, seconds, ignored_exceptions=_PASSING)
        try:
            found: WebElement = waiting.until(seen)
        except TimeoutException:
            told = f"{xpath} is not on {self.driver.current_url}, which says:\n{self.text()[-1500:]}"
            raise TimeoutException(told) from None
        return found

    def with_text(self, text: str, seconds: float = _SECONDS) -> WebElement:
        """Wait for the innermost element with a text."""
        return self.find(f"//*[text()[contains(normalize-space(.), {_quoted(text)})]]", seconds)

    def click(self, xpath: str) -> None:
        """Click, as soon as it can be."""

        def clicked(driver: WebDriver) -> bool:
            self.find(xpath, 5).click()
            return True

        waiting: Any = WebDriverWait(self.driver, _SECONDS, ignored_exceptions=_PASSING)
        waiting.until(clicked, f"a click on {xpath}")

    def click_until_gone(self, xpath: str) -> None:
        """Click, and once more if it is still there after some seconds: while a page moves, a click may miss.

        :param xpath: what is to go away.
        """

        def gone(driver: WebDriver) -> bool:
            there = [one for one in driver.find_elements(By.XPATH, xpath) if one.is_displayed()]
            for one in there[:1]:
                one.click()
            return not there

        waiting: Any = WebDriverWait(self.driver, _SECONDS, poll_frequency=3, ignored_exceptions=_PASSING)
        waiting.until(gone, f"{xpath} to go away")

    def text(self) -> str:
        """All that is seen."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def picture(self, name: str) -> None:
        """Take a picture for the docs, if it is asked for."""
        if TAKES_PICTURES:
            # What slides in has to have come to rest.
            time.sleep(1)
            IMAGES.mkdir(exist_ok=True)
            self.driver.save_screenshot(str(IMAGES / f"{name}.png"))


def _passing() -> tuple[type[Exception], ...]:
    from selenium.common import exceptions

    return (
        exceptions.NoSuchElementException,
        exceptions.StaleElementReferenceException,
        exceptions.ElementClickInterceptedException,
        exceptions.ElementNotInteractableException,
        exceptions.TimeoutException,
    )


_PASSING = _passing()


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text else f"'{text}'"


@contextmanager
def chromium(url: str) -> Iterator[Browser]:
    """Start the browser, and end it.

    :param url: address of Airflow.
    """
    program, driver_program = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver_program is None:
        raise SystemExit("Chromium or its driver is not installed: run dev/install_e2e.sh")
    # Sockets in it have a path that must not be long.
    profile = tempfile.mkdtemp(prefix="espo-e2e-chromium-", dir="/tmp")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "HOME": profile}
    driver = webdriver.Chrome(options=options, service=Service(driver_program, env=environment))
    try:
        yield Browser(driver, url)
    finally:
        driver.quit()
        shutil.rmtree(Path(profile), ignore_errors=True)
