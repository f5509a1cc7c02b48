"""Actions on a record by the operator, on the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.exceptions import (
    EspoConflictError,
    EspoError,
    EspoForbiddenError,
    EspoInputError,
    EspoNotFoundError,
    EspoUnknownNameError,
)
from airflow_provider_espo.operators.action import EspoActionOperator
from tests.unit.conftest import ConnectionSetter
from tests.unit.crm import Lost
from tests.unit.running import run_task
from tests.unit.sandbox_crm import SandboxCrm

NOBODY = "6746d1f3a0b1c2d3e"


def act(record_id: str, action: str, data: Any = None, **given: Any) -> Any:
    params = given.pop("params", None)
    arguments: dict[str, Any] = {"task_id": "act", "entity_type": "Account", "record_id": record_id, "action": action}
    return run_task(EspoActionOperator(**(arguments | {"data": data} | given)), params=params)


def accounts(crm: SandboxCrm, *names: str) -> list[str]:
    return [crm.asker.create("Account", name=name)["id"] for name in names]


def there(crm: SandboxCrm) -> list[str]:
    return sorted(one["id"] for one in crm.asker.find("Account")["list"])


def as_admin(crm: SandboxCrm, connect: ConnectionSetter) -> None:
    user, password = crm.credentials["admin_user"], crm.credentials["admin_password"]
    connect(login=user, password=password, extra={"auth_method": "basic"})


# --- merge


def test_merge_keeps_one_record_with_what_is_linked_to_the_others(sandbox_crm: SandboxCrm) -> None:
    keep, one, other = accounts(sandbox_crm, "A", "B", "C")
    contact = sandbox_crm.asker.create("Contact", lastName="Nowak", accountId=one)["id"]
    data = {"sourceIdList": [one, other], "attributes": {"type": "Customer"}}
    assert act(keep, "merge", data) == {"id": keep, "action": "merged"}
    assert there(sandbox_crm) == [keep]
    assert sandbox_crm.asker.read("Account", keep)["type"] == "Customer"
    assert sandbox_crm.asker.read("Contact", contact)["accountId"] == keep


def test_a_retry_merges_what_is_left(sandbox_crm: SandboxCrm) -> None:
    keep, one, other = accounts(sandbox_crm, "A", "B", "C")
    act(keep, "merge", {"sourceIdList": [one]})
    assert act(keep, "merge", {"sourceIdList": [one, other]})["action"] == "merged"
    assert act(keep, "merge", {"sourceIdList": [one, other]}) == {"id": keep, "action": "unchanged"}
    assert [sent["data"]["sourceIdList"] for sent in sandbox_crm.posts("Action")] == [[one], [other]]
    assert there(sandbox_crm) == [keep]


def test_a_merge_whose_answer_got_lost_is_not_sent_twice(sandbox_crm: SandboxCrm) -> None:
    keep, one = accounts(sandbox_crm, "A", "B")

    def lose(sent: Any) -> None:
        if sent.path == "Action":
            raise Lost

    sandbox_crm.after = lose
    with pytest.raises(EspoError):
        act(keep, "merge", {"sourceIdList": [one]})
    assert len(sandbox_crm.posts("Action")) == 1
    sandbox_crm.live()
    assert act(keep, "merge", {"sourceIdList": [one]})["action"] == "unchanged"


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (None, EspoInputError, "at least one"),
        ({"sourceIdList": []}, EspoInputError, "at least one"),
        ({"sourceIdList": ["SELF"]}, EspoInputError, "other records"),
        ({"sourceIdList": ["../x"]}, EspoInputError, "id"),
        ({"sourceIds": ["OTHER"]}, EspoInputError, "no sourceIds.*sourceIdList, attributes"),
        ({"sourceIdList": ["OTHER"], "attributes": {"nope": 1}}, EspoUnknownNameError, "nope"),
        ("merge", EspoInputError, "not a dict"),
    ],
)
def test_a_merge_that_makes_no_sense_merges_nothing(
    sandbox_crm: SandboxCrm, data: Any, error: type[Exception], says: str
) -> None:
    keep, other = accounts(sandbox_crm, "A", "B")
    if isinstance(data, dict):
        names = {"SELF": keep, "OTHER": other}
        data = {
            key: [names.get(one, one) for one in value] if isinstance(value, list) else value
            for key, value in data.items()
        }
    with pytest.raises(error, match=says):
        act(keep, "merge", data)
    assert there(sandbox_crm) == sorted([keep, other])


def test_the_record_that_is_to_stay_must_be_there(sandbox_crm: SandboxCrm) -> None:
    (one,) = accounts(sandbox_crm, "A")
    for sources in ([one], [NOBODY + "x"]):
        with pytest.raises(EspoNotFoundError):
            act(NOBODY, "merge", {"sourceIdList": sources})
    assert there(sandbox_crm) == [one]


# --- others


def test_amounts_are_converted_and_stay_so(sandbox_crm: SandboxCrm) -> None:
    values = {"name": "O", "amount": 100, "amountCurrency": "EUR", "closeDate": "2031-01-01"}
    deal = sandbox_crm.asker.create("Opportunity", **values)["id"]
    for _ in range(2):
        result = act(
            deal,
            "convertCurrency",
            {"targetCurrency": "{{ params.to }}"},
            params={"to": "USD"},
            entity_type="Opportunity",
        )
        assert result == {"id": deal, "action": "done"}
        record = sandbox_crm.asker.read("Opportunity", deal)
        assert (record["amount"], record["amountCurrency"]) == (112, "USD")


def test_a_record_is_locked_and_unlocked(sandbox_crm: SandboxCrm) -> None:
    (one,) = accounts(sandbox_crm, "A")
    act(one, "lock")
    assert sandbox_crm.asker.read("Account", one)["isLocked"]
    act(one, "unlock")
    assert not sandbox_crm.asker.read("Account", one)["isLocked"]


def test_only_an_administrator_restores_and_others_are_told_so(
    sandbox_crm: SandboxCrm, connect: ConnectionSetter
) -> None:
    (one,) = accounts(sandbox_crm, "A")
    sandbox_crm.asker.ok("DELETE", f"Account/{one}")
    with pytest.raises(EspoForbiddenError, match=r"Only administrators.*API users never are"):
        act(one, "restoreDeleted")
    as_admin(sandbox_crm, connect)
    assert act(one, "restoreDeleted") == {"id": one, "action": "restored"}
    assert there(sandbox_crm) == [one]
    assert act(one, "restoreDeleted") == {"id": one, "action": "unchanged"}
    with pytest.raises(EspoNotFoundError):
        act(NOBODY, "restoreDeleted")
    with pytest.raises(EspoInputError, match="It has: nothing"):
        act(one, "restoreDeleted", {"force": True})


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"action": "explode"}, EspoNotFoundError),
        ({"action": "../lock"}, EspoInputError),
        ({"action": ""}, EspoInputError),
        ({"record_id": ""}, EspoInputError),
        ({"record_id": NOBODY}, EspoNotFoundError),
        ({"entity_type": "Lead/1"}, EspoInputError),
    ],
)
def test_what_is_not_there_is_an_error(sandbox_crm: SandboxCrm, given: dict[str, Any], error: type[Exception]) -> None:
    (one,) = accounts(sandbox_crm, "A")
    with pytest.raises(error):
        act(**({"record_id": one, "action": "lock"} | given))
    assert not sandbox_crm.asker.read("Account", one)["isLocked"]


def test_a_locked_record_is_a_conflict(sandbox_crm: SandboxCrm) -> None:
    keep, one = accounts(sandbox_crm, "A", "B")
    act(keep, "lock")
    with pytest.raises((EspoConflictError, EspoForbiddenError)):
        act(keep, "merge", {"sourceIdList": [one], "attributes": {"type": "Customer"}})
