"""Which part of the package may import which: each part stays usable, and testable, without those above it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_espo

PACKAGE = "airflow_provider_espo"
ROOT = Path(airflow_provider_espo.__file__).parent

FACES = {"where", "exceptions", "compat"}
BLOCKS = {"operators", "sensors", "triggers", "transfers", "notifications", "links", "assets"}

#: Parts of the package that a part may import beside itself.
OWN: dict[str, set[str]] = {
    "client": set(),
    "where": {"client"},
    "exceptions": {"client"},
    "compat": {"client"},
    "connection_form": {"client"},
    "config_options": set(),
    "get_provider_info": {"config_options", "connection_form"},
    "hooks": {"client", "connection_form", *FACES},
    **{block: {"client", "hooks", *FACES, *BLOCKS} for block in BLOCKS},
    "retry": {"client", *FACES},
    "activities": {"client"},
    "plugins": {"client", "hooks", "assets", "config_options", *FACES},
    "sandbox": set(),
    "testing": {"sandbox", "hooks", "client"},
}

#: Other libraries. Airflow is left out where a part has to work without it.
OTHERS: dict[str, set[str]] = {
    "client": {"requests", "urllib3", "httpx", "certifi", "msgspec", "pendulum", "pyarrow"},
    "where": set(),
    "exceptions": set(),
    "config_options": set(),
    "get_provider_info": set(),
    "activities": set(),
    "compat": {"airflow", "asgiref"},
    "operators": {"airflow", "openlineage"},
    "sandbox": {"starlette", "uvicorn", "msgspec"},
    # The SQL transfers work on what Airflow's common SQL provider gives, in functions.
    "transfers": {"airflow", "sqlalchemy"},
    "testing": {"pytest"},
    # On the API server, where Airflow has all of these.
    "plugins": {"airflow", "fastapi", "sqlalchemy", "starlette"},
}


def part_of(module: Path) -> str:
    return module.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(module: Path) -> Iterator[str]:
    """Everything a module imports when it runs, at its head or within its functions."""
    waiting: list[ast.AST] = [ast.parse(module.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{one.name}" for one in node.names)
        waiting += ast.iter_child_nodes(node)


def own_and_others(module: Path) -> tuple[set[str], set[str]]:
    own: set[str] = set()
    others: set[str] = set()
    for name in imports_of(module):
        root, _, rest = name.partition(".")
        if root == PACKAGE:
            part = rest.partition(".")[0]
            own |= {part} if not part.startswith("__") else set()
        elif root not in sys.stdlib_module_names:
            others.add(root)
    return own, others


MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_what_its_layer_may(module: Path) -> None:
    part = part_of(module)
    own, others = own_and_others(module)
    assert own - {part} <= OWN[part]
    assert others <= OTHERS.get(part, {"airflow"})


def test_the_check_sees_imports_wherever_they_stand(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import requests.adapters\n"
        "from airflow_provider_espo import compat, __version__\n"
        "if TYPE_CHECKING:\n    import pandas\nelse:\n    import pyarrow\n"
        "def f():\n    from airflow_provider_espo.hooks.espo import EspoHook\n",
        encoding="utf-8",
    )
    assert own_and_others(module) == ({"compat", "hooks"}, {"requests", "pyarrow"})
