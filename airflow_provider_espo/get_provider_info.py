"""What Airflow learns about this provider without importing any of its hooks or operators.

Airflow calls :func:`get_provider_info` while ``import airflow`` itself is still going on, in every process
that starts. Therefore nothing here imports Airflow, and nothing here may be slow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_espo.config_options import SECTION, config_section
from airflow_provider_espo.connection_form import conn_fields, declared_ui_field_behaviour

PACKAGE_NAME = "airflow-provider-espo"
INTEGRATION = "EspoCRM"
CONNECTION_TYPE = "espo"
HOOK_CLASS = "airflow_provider_espo.hooks.espo.EspoHook"

_PACKAGE = "airflow_provider_espo"
_ROOT = Path(__file__).parent
_ASSETS = f"{_PACKAGE}.assets.espo"

#: Parts of the description that list classes: their sub-package, and how their names end.
_LISTED: Mapping[str, tuple[str, str]] = {
    "extra-links": ("links", "Link"),
    "notifications": ("notifications", "Notifier"),
}

#: Sub-packages with building blocks, and how the names of such classes end.
KINDS: Mapping[str, str] = {
    "hooks": "Hook",
    "operators": "Operator",
    "sensors": "Sensor",
    "triggers": "Trigger",
    "transfers": "Operator",
}

#: Modules of base classes.
_BASES = frozenset({"base", "events"})

#: Between which integrations the modules of transfers move records: from the first to the second.
_TRANSFERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "object_storage": ((INTEGRATION, "Common IO"),),
    "partitions": ((INTEGRATION, "Common IO"), (INTEGRATION, "Common SQL")),
    "sql": ((INTEGRATION, "Common SQL"),),
    "to_espo": (("Common IO", INTEGRATION), ("Common SQL", INTEGRATION)),
}


def names_one(kind: str) -> str:
    """Return the pattern of the names of public classes of one kind.

    :param kind: one of :data:`KINDS`.
    """
    return rf"(?:Espo\w*|\w+ToEspo){KINDS[kind]}\b"


def python_modules(kind: str) -> list[str]:
    """List the modules that define classes of one kind, such as operators, without importing them.

    Modules that only help others (those of base classes, and those without such a class) are not listed.

    :param kind: one of :data:`KINDS`.
    :return: dotted module names, in order; empty where there is none.
    """
    defines_one = re.compile(rf"^class {names_one(kind)}", re.MULTILINE)
    return sorted(
        f"{_PACKAGE}.{kind}.{path.stem}"
        for path in (_ROOT / kind).glob("*.py")
        if path.stem not in _BASES and defines_one.search(path.read_text(encoding="utf-8"))
    )


def class_names(folder: str, ending: str) -> list[str]:
    """List the public classes of a sub-package by dotted name, without importing them.

    :param folder: sub-package, such as ``links``.
    :param ending: how the names of such classes end.
    :return: dotted names, in order; empty where there is none.
    """
    definition = re.compile(rf"^class (Espo\w*{ending})\b", re.MULTILINE)
    return sorted(
        f"{_PACKAGE}.{folder}.{path.stem}.{name}"
        for path in (_ROOT / folder).glob("*.py")
        for name in definition.findall(path.read_text(encoding="utf-8"))
    )


def get_provider_info() -> dict[str, Any]:
    """Describe the provider: connection type with its form, and where its building blocks are.

    :return: a new dictionary that fits Airflow's ``provider_info.schema.json``.
    """
    info: dict[str, Any] = {
        "package-name": PACKAGE_NAME,
        "name": INTEGRATION,
        "description": "Connection, hooks, operators, transfers, sensors and triggers for `EspoCRM <https://www.espocrm.com/>`__.",
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
        "asset-uris": [
            {
                "schemes": ["espo"],
                "handler": f"{_ASSETS}.sanitize_uri",
                "factory": f"{_ASSETS}.create_asset",
                "to_openlineage_converter": f"{_ASSETS}.convert_asset_to_openlineage",
            }
        ],
        "config": {SECTION: config_section()},
    }
    for kind in KINDS:
        if kind != "transfers" and (modules := python_modules(kind)):
            info[kind] = [{"integration-name": INTEGRATION, "python-modules": modules}]
    info["transfers"] = [
        {"source-integration-name": source, "target-integration-name": target, "python-module": module}
        for module in python_modules("transfers")
        for source, target in _TRANSFERS[module.rpartition(".")[2]]
    ]
    for key, (folder, ending) in _LISTED.items():
        if names := class_names(folder, ending):
            info[key] = names
    return info
