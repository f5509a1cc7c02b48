"""Signs deliveries as EspoCRM does, by its description and not by the code that checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac


def header(webhook_id: str, digest: bytes) -> str:
    """A signature header's value."""
    return base64.b64encode(webhook_id.encode() + b":" + digest).decode()


def signed(webhook_id: str, secret: str, body: bytes) -> dict[str, str]:
    """The headers that EspoCRM 9 and 10 send."""
    mac = hmac.new(secret.encode(), body, hashlib.sha256)
    return {
        "Signature": header(webhook_id, mac.hexdigest().encode()),
        "X-Signature": header(webhook_id, mac.digest()),
    }
