"""Writes .airflow-registry.yaml, which Airflow's provider registry reads, from the classes of the package.

python -m dev.write_registry
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from pathlib import Path

from airflow_provider_espo.get_provider_info import INTEGRATION, KINDS, PACKAGE_NAME, names_one, python_modules

FILE = Path(__file__).parents[1] / ".airflow-registry.yaml"
SOURCE_URL = "https://github.com/airflow-provider-espo/airflow-provider-espo"


def building_blocks(kind: str) -> dict[str, str]:
    """Return the public classes of one kind by dotted name, with the first sentence of their docstrings."""
    found: dict[str, str] = {}
    for name in python_modules(kind):
        for class_name, value in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if value.__module__ == name and re.fullmatch(names_one(kind), class_name):
                found[f"{name}.{class_name}"] = (inspect.getdoc(value) or "").splitlines()[0].rstrip(".")
    return found


def render() -> str:
    """Return the text of the file. Values are in JSON's notation, which is YAML too."""
    head = {
        "package-name": PACKAGE_NAME,
        "display-name": INTEGRATION,
        "description": "Connection, hooks, operators, transfers, sensors, triggers for EspoCRM; a sandbox to test with",
        "docs-url": f"{SOURCE_URL}/blob/main/docs/index.md",
        "source-url": SOURCE_URL,
    }
    lines = ["# Written by dev/write_registry.py from the classes and their docstrings.", ""]
    lines += [f"{key}: {json.dumps(value)}" for key, value in head.items()]
    for kind in KINDS:
        lines += ["", f"{kind}:"]
        for name, description in building_blocks(kind).items():
            lines += [f"  - module: {name}", f"    description: {json.dumps(description)}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
    sys.exit(0)
