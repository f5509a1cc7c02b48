"""What a real EspoCRM delivered is believed and read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.client.webhook_delivery import read_changes, read_claim

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "webhook_deliveries.json").read_text(encoding="utf-8"))
DELIVERIES = [(case["webhook"], delivery) for case in RECORDED["webhooks"] for delivery in case["deliveries"]]


@pytest.mark.parametrize(("webhook", "delivery"), DELIVERIES)
@pytest.mark.parametrize("names", [("Signature",), ("X-Signature",), ("Signature", "X-Signature")])
def test_recorded_signatures_hold_for_the_recorded_bodies_and_for_no_other(
    webhook: dict[str, Any], delivery: dict[str, Any], names: tuple[str, ...]
) -> None:
    sent = [[delivery["headers"][name]] if name in names else [] for name in ("Signature", "X-Signature")]
    claim = read_claim(*sent)
    assert claim is not None
    assert claim.webhook_id == webhook["id"]
    body = delivery["body"].encode()
    assert claim.holds(webhook["secretKey"], body)
    assert not claim.holds(webhook["secretKey"], body + b"\n")
    assert not claim.holds(webhook["secretKey"].upper(), body)


@pytest.mark.parametrize("delivery", [delivery for _, delivery in DELIVERIES])
def test_the_ids_of_recorded_changes_are_read(delivery: dict[str, Any]) -> None:
    assert read_changes(delivery["body"].encode()) == [change["id"] for change in json.loads(delivery["body"])]
