"""What is kept of a registered webhook, so that what it delivers can be told from what others send.

EspoCRM signs a delivery with the webhook's secret key and says the webhook's id, and nothing else: neither the event
nor the site. So both are kept beside the key, under a name that follows from the id.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass, field
from typing import Self

from airflow_provider_espo.client.wire import record_id_segment

#: Airflow masks the value of a variable with such a name, in its user interface and in logs.
VARIABLE_PREFIX = "espo_webhook_secret_"


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """What an Airflow Variable holds of a webhook.

    :param secret: the webhook's secret key.
    :param event: such as ``Lead.create``.
    :param url: where it delivers to.
    :param site_url: the EspoCRM that has it.
    """

    secret: str = field(repr=False)
    event: str
    url: str
    site_url: str

    def to_text(self) -> str:
        """Return it as a Variable's value."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str | None) -> Self | None:
        """Read a Variable's value; ``None`` where it is none of these.

        :param text: the value, ``None`` if there is no such Variable.
        """
        try:
            found = json.loads(text or "")
        except ValueError:
            return None
        names = cls.__dataclass_fields__.keys()
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in names):
            return None
        return cls(**{name: found[name] for name in names}) if found["secret"] else None

    def is_for(self, secret: str | None) -> bool:
        """Whether it is the key that EspoCRM shows; where it shows none, whichever is kept is taken for it.

        :param secret: the webhook's key, as EspoCRM shows it to its owner.
        """
        return secret is None or hmac.compare_digest(self.secret.encode(), secret.encode())


def variable_name(webhook_id: str) -> str:
    """Return the name of the Airflow Variable that keeps a webhook's secret.

    :param webhook_id: the webhook's id in EspoCRM.
    :raises EspoInputError: that is no id.
    """
    return VARIABLE_PREFIX + record_id_segment(webhook_id)
