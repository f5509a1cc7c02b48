from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest

from airflow_provider_espo.client.log_privacy import hide_queries

URL = "https://crm.example.com/api/v1/Lead?searchParams=jane%40example.com"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.log_privacy")
    yield logger
    logger.filters.clear()


def test_the_query_is_cut_off_and_the_rest_stays(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    hide_queries(logger.name)
    with caplog.at_level(logging.DEBUG):
        logger.info('HTTP Request: %s %s "%s %d"', "GET", httpx.URL(URL), "HTTP/1.1", 200)
        logger.debug("%(url)s", {"url": URL})
    assert caplog.messages == [
        'HTTP Request: GET https://crm.example.com/api/v1/Lead?... "HTTP/1.1 200"',
        "https://crm.example.com/api/v1/Lead?...",
    ]


def test_other_peoples_addresses_are_left_alone(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    hide_queries(logger.name)
    with caplog.at_level(logging.DEBUG):
        logger.info("%s", "https://other.example.com/x?a=1")
        logger.info("no arguments")
    assert caplog.messages == ["https://other.example.com/x?a=1", "no arguments"]


def test_it_is_put_on_once(logger: logging.Logger) -> None:
    hide_queries(logger.name)
    hide_queries(logger.name)
    assert len(logger.filters) == 1


def test_the_key_of_a_lead_capture_is_a_secret_in_a_path(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    hide_queries(logger.name)
    url = "https://crm.example.com/api/v1/LeadCapture/c0ffee00"
    with caplog.at_level(logging.DEBUG):
        logger.info('HTTP Request: %s %s "%s %d"', "POST", httpx.URL(url), "HTTP/1.1", 200)
        logger.debug('%s:%s "%s %s %s" %s', "crm.example.com", 443, "POST", url.partition(".com")[2], "HTTP/1.1", 200)
    assert "c0ffee00" not in caplog.text
    assert all("LeadCapture/..." in message for message in caplog.messages)
