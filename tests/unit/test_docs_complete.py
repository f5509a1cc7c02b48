"""The guides lead somewhere, and lack nothing that users may type."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from airflow_provider_espo import exceptions
from airflow_provider_espo.config_options import DEFAULTS
from airflow_provider_espo.get_provider_info import get_provider_info
from airflow_provider_espo.sandbox.cli import parser
from airflow_provider_espo.sandbox.definition_files import load_definitions
from airflow_provider_espo.testing import EspoSandbox
from tests.unit.test_building_blocks import TASKS, arguments_of, classes
from tests.unit.test_docs_examples import PAGES, ROOT, section

INFO = get_provider_info()
NOTIFIERS = [resolve_name(name) for name in INFO["notifications"]]
EVENT_TRIGGERS = [one for one in classes("triggers") if re.fullmatch(r"Espo(Record|Stream)EventTrigger", one.__name__)]
LINKS = [resolve_name(name) for name in INFO["extra-links"]]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links() -> Iterator[tuple[Path, str]]:
    """Where the pages lead to, other sites left out."""
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        for address in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if "://" not in address:
                yield page, address


def anchors(page: Path) -> set[str]:
    """Where a page may be entered: its headings, in lower case and joined by hyphens."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere() -> None:
    dead = []
    for page, address in links():
        name, _, anchor = address.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(f"{page.name}: {address}")
    assert dead == []


def test_every_page_is_in_the_index() -> None:
    assert [page.name for page in PAGES if f"]({page.name})" not in read("docs/index.md")] == ["README.md", "index.md"]


def test_the_readme_names_all_there_is() -> None:
    text = read("README.md")
    names = [one.__name__ for one in (*TASKS, *NOTIFIERS, *EVENT_TRIGGERS, *LINKS)]
    assert len(names) > 40
    assert [name for name in names if f"`{name}`" not in text] == []


def test_readme_and_guide_have_every_example() -> None:
    examples = [one for one in (ROOT / "example_dags").glob("*.py") if "dag(" in one.read_text("utf-8").lower()]
    assert len(examples) > 10
    for example in examples:
        assert f"example_dags/{example.name}" in read("README.md")
        assert f"## `{example.stem}`" in read("docs/examples.md")


def test_the_guide_has_every_error() -> None:
    text = read("docs/errors.md")
    assert [name for name in exceptions.__all__ if f"`{name}`" not in text] == []


@pytest.mark.parametrize("block", [*NOTIFIERS, *EVENT_TRIGGERS], ids=lambda one: one.__name__)
def test_the_guide_has_the_arguments_of_notifiers_and_watchers_and_no_others(block: type[Any]) -> None:
    rows = re.findall(r"^\| (`.+?`) \|", section(block.__name__), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == {*arguments_of(block), "espo_conn_id"}


def test_the_guide_has_the_sandboxs_arguments_and_no_others() -> None:
    taken = {one.option_strings[0] for one in parser()._actions if not isinstance(one, argparse._HelpAction)}
    assert set(re.findall(r"`(--[a-z-]+)", section("Start it"))) == taken


def test_the_guide_has_every_entity_type_of_the_sandbox() -> None:
    text = re.search(r"^Entity types: (.*?)\n\n", read("docs/sandbox.md"), re.MULTILINE | re.DOTALL)
    assert text
    assert set(re.findall(r"\b[A-Z]\w+", text[1].replace("Behind", ""))) == set(load_definitions())


def test_the_guide_has_what_the_fixture_offers() -> None:
    offered = [name for name in vars(EspoSandbox) if not name.startswith("_")]
    assert offered
    assert [name for name in offered if f"espo_sandbox.{name}" not in read("docs/testing.md")] == []


def test_the_guide_has_every_option_of_the_configuration_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section("The receiver"), re.MULTILINE))
    assert rows == DEFAULTS
