"""What is kept of a webhook comes back as it was, and nothing else is taken for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_espo.client.webhook_secret import WebhookSecret, variable_name
from airflow_provider_espo.exceptions import EspoInputError

KEPT = WebhookSecret("0" * 32, "Lead.create", "https://hooks.example.com/ü", "https://crm.example.com")


def test_it_comes_back_as_it_was_kept() -> None:
    assert WebhookSecret.from_text(KEPT.to_text()) == KEPT


def test_what_a_later_version_adds_is_not_minded() -> None:
    assert WebhookSecret.from_text(json.dumps({**json.loads(KEPT.to_text()), "more": 1})) == KEPT


@pytest.mark.parametrize("change", [{"secret": ""}, {"secret": None}, {"event": 1}, {"site_url": None}, {"url": []}])
def test_what_lacks_something_is_none(change: dict[str, Any]) -> None:
    assert WebhookSecret.from_text(json.dumps({**json.loads(KEPT.to_text()), **change})) is None


@pytest.mark.parametrize("text", [None, "", "0" * 32, "[]", "null", "{"])
def test_another_value_is_none(text: str | None) -> None:
    assert WebhookSecret.from_text(text) is None


def test_it_fits_the_key_that_espocrm_shows_or_any_where_it_shows_none() -> None:
    assert [KEPT.is_for(secret) for secret in ("0" * 32, None, "1" * 32, "", "ü")] == [True, True, False, False, False]


def test_the_key_is_not_in_its_text() -> None:
    assert KEPT.secret not in f"{KEPT} {KEPT!r}"


def test_the_name_follows_from_the_id() -> None:
    assert variable_name("65a1b2c3d4e5f6001") == "espo_webhook_secret_65a1b2c3d4e5f6001"


@pytest.mark.parametrize("webhook_id", ["", "a/b", "../x", "a b", "x" * 65])
def test_no_name_is_made_of_what_is_no_id(webhook_id: str) -> None:
    with pytest.raises(EspoInputError):
        variable_name(webhook_id)
