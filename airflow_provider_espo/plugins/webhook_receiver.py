"""The plugin by which Airflow's API server takes what EspoCRM's webhooks deliver.

Airflow imports this module in every process that loads plugins, tasks included: it loads next to nothing. What serves
requests is built when the API server asks for it, and only where it is switched on.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.plugins_manager import AirflowPlugin
else:
    try:
        from airflow.sdk.plugins_manager import AirflowPlugin
    except ImportError:  # before Airflow 3.2 plugins were known to its core only
        from airflow.plugins_manager import AirflowPlugin

#: Where it is on the API server. A delivery goes to ``/espo/webhooks``.
URL_PREFIX = "/espo"


class EspoWebhookReceiverPlugin(AirflowPlugin):
    """Takes deliveries of EspoCRM's webhooks and records asset events, if ``[espo] webhook_receiver_enabled``."""

    name = "espo_webhook_receiver"

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The application to mount; none where it is switched off.

        :raises AirflowConfigException: an option of ``[espo]`` has a value that is none.
        """
        return _apps()


@cache
def _apps() -> list[Any]:
    from airflow_provider_espo.plugins.webhook_receiver_settings import read_settings

    settings = read_settings()
    if not settings.enabled:
        return []
    from airflow_provider_espo.plugins.webhook_receiver_app import build_app

    return [{"app": build_app(settings), "url_prefix": URL_PREFIX, "name": "EspoCRM webhooks"}]
