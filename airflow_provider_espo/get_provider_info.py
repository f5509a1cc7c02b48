"""What Airflow learns about this provider without importing any of its hooks or operators.

Airflow calls :func:`get_provider_info` while ``import airflow`` itself is still going on, in every process
that starts. Therefore nothing here imports Airflow, and nothing here may be slow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_espo.connection_form import conn_fields, declared_ui_field_behaviour

PACKAGE_NAME = "airflow-provider-espo"
INTEGRATION = "EspoCRM"
CONNECTION_TYPE = "espo"
HOOK_CLASS = "airflow_provider_espo.hooks.espo.EspoHook"

_PACKAGE = "airflow_provider_espo"
_ROOT = Path(__file__).parent


def python_modules(folder: str) -> list[str]:
    """List the public modules of one folder of the package, in order, without importing them.

    :param folder: name of a sub-package, such as ``operators``.
    :return: dotted module names; empty where there is no such folder.
    """
    return sorted(
        f"{_PACKAGE}.{folder}.{path.stem}"
        for path in (_ROOT / folder).glob("*.py")
        if not path.stem.startswith("_")
    )


def get_provider_info() -> dict[str, Any]:
    """Describe the provider: connection type with its form, and where its building blocks are.

    :return: a new dictionary that fits Airflow's ``provider_info.schema.json``.
    """
    info: dict[str, Any] = {
        "package-name": PACKAGE_NAME,
        "name": INTEGRATION,
        "description": "Connection, hooks, operators, sensors and triggers for `EspoCRM <https://www.espocrm.com/>`__.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://docs.espocrm.com/development/api/",
                "tags": ["service"],
            }
        ],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": HOOK_CLASS,
                "hook-name": INTEGRATION,
                "conn-fields": conn_fields(),
                "ui-field-behaviour": declared_ui_field_behaviour(),
            }
        ],
    }
    for kind in ("hooks", "operators", "sensors", "triggers"):
        if modules := python_modules(kind):
            info[kind] = [{"integration-name": INTEGRATION, "python-modules": modules}]
    return info
