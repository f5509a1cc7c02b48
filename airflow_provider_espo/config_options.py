"""Options in Airflow's configuration, section ``[espo]``: one list, for Airflow to show and for those who read them."""

from __future__ import annotations

from typing import Any

SECTION = "espo"

WEBHOOK_RECEIVER_ENABLED = "webhook_receiver_enabled"
WEBHOOK_REPEAT_SECONDS = "webhook_repeat_seconds"
WEBHOOK_MAX_BODY_BYTES = "webhook_max_body_bytes"

#: Defaults as Airflow wants them: as text.
DEFAULTS = {
    WEBHOOK_RECEIVER_ENABLED: "False",
    WEBHOOK_REPEAT_SECONDS: "1200",
    WEBHOOK_MAX_BODY_BYTES: "4194304",
}

_DESCRIPTIONS = {
    WEBHOOK_RECEIVER_ENABLED: (
        "boolean",
        "Whether the API server takes what EspoCRM's webhooks deliver, at ``/espo/webhooks``, and records asset "
        "events. The API server reads it when it starts.",
    ),
    WEBHOOK_REPEAT_SECONDS: (
        "integer",
        "For how many seconds a delivery with the same webhook and the same body as one before counts as its repeat: "
        "it is answered with 200, and no second event is recorded. EspoCRM tries again after 10 minutes, when it next "
        "looks, which is every 5 minutes. 0: every delivery is an event.",
    ),
    WEBHOOK_MAX_BODY_BYTES: (
        "integer",
        "How many bytes a delivery may have. EspoCRM puts up to 50 records into one. What is bigger is refused with "
        "413, and EspoCRM gives it up.",
    ),
}


def config_section() -> dict[str, Any]:
    """Return the section as Airflow's provider description has it."""
    return {
        "description": "Provider for EspoCRM.",
        "options": {
            name: {
                "description": description,
                "version_added": "0.1.0",
                "type": kind,
                "example": None,
                "default": DEFAULTS[name],
            }
            for name, (kind, description) in _DESCRIPTIONS.items()
        },
    }
