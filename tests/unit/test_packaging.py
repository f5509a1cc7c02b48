from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import EntryPoint, PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import airflow_provider_espo

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_espo"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements_of_airflow() -> dict[str, list[Requirement]]:
    """Everything that ``apache-airflow`` itself makes pip install, with the bounds on each."""
    found: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement("apache-airflow")]
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *sorted(wanted.extras)):
            if (wanted.name, extra) in seen:
                continue
            seen.add((wanted.name, extra))
            try:
                lines = requires(wanted.name) or []
            except PackageNotFoundError:
                continue
            for requirement in map(Requirement, lines):
                if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                    found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
                    waiting.append(requirement)
    return found


DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]


class TestDependencies:
    @pytest.mark.parametrize("ours", DEPENDENCIES, ids=lambda requirement: requirement.name)
    def test_installing_the_provider_adds_nothing_to_an_airflow_image(self, ours: Requirement) -> None:
        name = canonicalize_name(ours.name)
        assert name == "apache-airflow" or name in requirements_of_airflow()

    @pytest.mark.parametrize(
        "ours",
        [r for r in DEPENDENCIES if r.name != "apache-airflow"],
        ids=lambda requirement: requirement.name,
    )
    def test_nor_does_it_ask_for_a_newer_version_than_airflow(self, ours: Requirement) -> None:
        lowest = [
            Version(bound.version)
            for requirement in requirements_of_airflow()[canonicalize_name(ours.name)]
            for bound in requirement.specifier
            if bound.operator in {">=", "==", "~="}
        ]
        assert ours.specifier.contains(max(lowest))

    def test_airflow_itself_is_bounded_from_below_only(self) -> None:
        (airflow,) = [requirement for requirement in DEPENDENCIES if requirement.name == "apache-airflow"]
        assert [bound.operator for bound in airflow.specifier] == [">="]
        assert airflow.specifier.contains("3.1.0")
        assert not airflow.specifier.contains("3.0.6")


def lines_of(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins_of(name: str) -> dict[str, str]:
    pairs = (line.split("==") for line in lines_of(name))
    return {canonicalize_name(name): version for name, version in pairs}


LOCKS = [path.name for path in ROOT.glob("requirements-*.lock")]


class TestLock:
    @pytest.fixture
    def pins(self) -> dict[str, str]:
        return pins_of("requirements-dev.lock")

    @pytest.mark.parametrize("lock", LOCKS)
    def test_every_line_is_an_exact_pin_and_names_no_index_or_path(self, lock: str) -> None:
        pin = re.compile(r"[A-Za-z0-9._-]+==[0-9][\w.!]*")
        assert [line for line in lines_of(lock) if not pin.fullmatch(line)] == []

    @pytest.mark.parametrize("lock", LOCKS)
    def test_nothing_is_pinned_twice(self, lock: str) -> None:
        assert len(pins_of(lock)) == len(lines_of(lock))

    def test_it_holds_what_development_and_the_package_ask_for(self, pins: dict[str, str]) -> None:
        build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
        asked = [Requirement(line) for line in [*lines_of("requirements-dev.in"), *build]]
        for requirement in [*asked, *DEPENDENCIES]:
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement

    def test_that_of_this_airflow_holds_everything_that_airflow_asks_for(self) -> None:
        (lock,) = [lock for lock in LOCKS if pins_of(lock)["apache-airflow"] == version("apache-airflow")]
        for name, requirements in requirements_of_airflow().items():
            for requirement in requirements:
                assert requirement.specifier.contains(pins_of(lock)[name], prereleases=True), requirement


def build(what: str, folder: Path) -> Path:
    """Build in a process of its own, as the builder wants the project to be the working folder."""
    code = f"import sys; from flit_core.buildapi import {what}; print({what}(sys.argv[1]))"
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return folder / result.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(build("build_wheel", tmp_path_factory.mktemp("wheel"))) as wheel:
        yield wheel


class TestWheel:
    def test_it_holds_every_file_of_the_package(self, wheel: zipfile.ZipFile) -> None:
        existing = {
            path.relative_to(ROOT).as_posix()
            for path in PACKAGE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert packed == existing
        assert "airflow_provider_espo/py.typed" in packed
        assert any(name.startswith("airflow_provider_espo/sandbox/") and not name.endswith(".py") for name in packed)

    def test_version_and_name_have_one_source(self, wheel: zipfile.ZipFile) -> None:
        from airflow_provider_espo.get_provider_info import get_provider_info

        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(wheel.read(name).decode())
        assert metadata["Version"] == airflow_provider_espo.__version__
        assert "version" in PROJECT["dynamic"]
        # Airflow refuses to start where these two differ.
        assert canonicalize_name(metadata["Name"]) == get_provider_info()["package-name"]

    def test_it_carries_the_licence(self, wheel: zipfile.ZipFile) -> None:
        assert any(name.endswith("/LICENSE") for name in wheel.namelist())

    def test_the_source_archive_can_test_itself(self, tmp_path: Path) -> None:
        with tarfile.open(build("build_sdist", tmp_path)) as archive:
            names = {name.split("/", 1)[1] for name in archive.getnames()}
        assert {
            "pyproject.toml",
            "requirements-dev.in",
            "requirements-dev.lock",
            ".airflow-registry.yaml",
            "tests/unit/test_packaging.py",
            "dev/write_registry.py",
        } <= names


def entry_points() -> list[EntryPoint]:
    return [
        EntryPoint(name, value, group)
        for group, entries in PROJECT["entry-points"].items()
        for name, value in entries.items()
    ]


@pytest.mark.parametrize("entry_point", entry_points(), ids=lambda entry: f"{entry.group}:{entry.name}")
def test_entry_points_lead_somewhere(entry_point: EntryPoint) -> None:
    assert entry_point.load() is not None


def modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__main__":
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def test_importing_every_module_warns_of_nothing() -> None:
    # Airflow's own start warns in places; what it loads by itself comes first, so that the rest is ours.
    code = (
        "import sys, warnings, importlib\n"
        "import airflow.sdk, airflow.triggers.base, pytest\n"
        "warnings.simplefilter('error')\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *modules()], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
