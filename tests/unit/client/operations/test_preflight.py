"""Preflight from Python: each thing is asked for once, and anew each time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_espo.exceptions import EspoPreflightError
from airflow_provider_espo.hooks.espo import EspoAsyncHook, EspoHook
from tests.unit.crm import Crm

RIGHTS = {
    "Lead": {"create": "yes", "read": "all", "edit": "own", "delete": "no", "stream": "not-set"},
    "Import": True,
    "Currency": False,
    "Account": True,
    "Contact": False,
}


@pytest.fixture
def server(crm: Crm) -> Crm:
    crm.on("GET", "App/user", {"user": {"userName": "airflow", "type": "api"}, "acl": {"table": RIGHTS}})
    return crm


def missing(needs: Any = None, **given: Any) -> list[str]:
    try:
        with EspoHook() as hook:
            hook.preflight(needs, **given)
    except EspoPreflightError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("right", "granted"), [("create", True), ("read", True), ("edit", True), ("delete", False), ("stream", True)]
)
def test_a_level_but_no_grants_a_right_to_some_records(server: Crm, right: str, granted: bool) -> None:
    assert (missing({"Lead": {"rights": [right]}}) == []) == granted


@pytest.mark.parametrize(("entity_type", "granted"), [("Account", True), ("Contact", False), ("Case", False)])
def test_a_scope_may_be_granted_or_withheld_as_a_whole(server: Crm, entity_type: str, granted: bool) -> None:
    server.has(entity_type, {"fields": {"name": {"type": "varchar"}}})
    assert (missing({entity_type: {"rights": ["read"]}}) == []) == granted


@pytest.mark.parametrize(("scope", "granted"), [("Import", True), ("Currency", False), ("Nonsense", False)])
def test_scopes_are_granted_or_not(server: Crm, scope: str, granted: bool) -> None:
    assert (missing(scopes=[scope]) == []) == granted


def test_an_answer_without_rights_grants_none(crm: Crm) -> None:
    crm.on("GET", "App/user", {"user": {"userName": "airflow", "type": "api"}})
    assert missing({"Lead": {"rights": ["read"]}}) == ["The user has no right to read Lead"]


def test_the_user_the_version_and_each_type_are_asked_for_once(server: Crm) -> None:
    needs: Any = {"Lead": {"rights": ["read"], "attributes": ["lastName", "status"], "values": {"status": ["New"]}}}
    for _ in range(2):
        server.sent.clear()
        assert missing(needs, min_version="9.0") == []
        assert [one.path for one in server.sent] == ["App/user", "App/about", "Metadata"]


def test_both_hooks_report_the_same(server: Crm) -> None:
    async def awaiting() -> Any:
        async with EspoAsyncHook() as hook:
            return await hook.preflight({"Lead": {}}, min_version="9.0")

    with EspoHook() as hook:
        assert hook.preflight({"Lead": {}}, min_version="9.0") == asyncio.run(awaiting())
