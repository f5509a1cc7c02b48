"""Mass actions on the sandbox: what is done and what is told, what was skipped, what got lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_espo.client.errors import (
    EspoBadRequestError,
    EspoConnectionError,
    EspoError,
    EspoServerError,
    EspoShortfallError,
    EspoTimeoutError,
)
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.where import equals, in_, starts_with
from tests.unit.crm import Lost, Sent, TooLate, refusal
from tests.unit.sandbox_crm import SandboxCrm

GONE = "0123456789abcdef0"
EMPTY_AND: dict[str, Any] = {"type": "and", "value": []}


@pytest.fixture
def hook(sandbox_crm: SandboxCrm) -> EspoHook:
    return EspoHook()


def leads(crm: SandboxCrm, count: int = 3, **values: Any) -> list[str]:
    made = [crm.asker.create("Lead", **{"lastName": f"L{index}", "status": "New", **values}) for index in range(count)]
    return [one["id"] for one in made]


def statuses(crm: SandboxCrm) -> list[str]:
    found = crm.asker.find("Lead", select=["status"], orderBy="id", order="asc", maxSize=200)
    return [one["status"] for one in found["list"]]


def lose_answer(crm: SandboxCrm, failure: type[Exception], *, carried_out: bool, path: str = "MassAction") -> None:
    """Lose the answer to the first request to a path."""

    def lose(sent: Sent) -> None:
        if sent.path == path:
            crm.live()
            raise failure

    crm.before, crm.after = (bool, lose) if carried_out else (lose, bool)


# --- what is done and told


def test_an_update_by_ids_tells_which_were_changed(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    first, second, _third = leads(sandbox_crm)
    done = hook.mass_update("Lead", {"status": "Dead"}, ids=[second, first, first])
    assert {**done, "ids": sorted(done["ids"])} == {"count": 2, "expected": 2, "ids": [first, second]}
    assert statuses(sandbox_crm) == ["Dead", "Dead", "New"]


def test_an_update_by_filter_tells_how_many_were_changed(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    leads(sandbox_crm)
    leads(sandbox_crm, 1, lastName="Other")
    done = hook.mass_update("Lead", {"status": "Dead"}, where=[starts_with("lastName", "L")])
    assert done == {"count": 3, "expected": 3}
    assert statuses(sandbox_crm) == ["Dead", "Dead", "Dead", "New"]


def test_all_parts_of_a_filter_count(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    leads(sandbox_crm, 1, status="Converted")
    leads(sandbox_crm, 1, lastName="Meier")
    (meant,) = leads(sandbox_crm, 1, lastName="Nowak")
    done = hook.mass_delete(
        "Lead", where=[starts_with("lastName", "N")], primary_filter="actual", text_filter="Nowak", bool_filters=[]
    )
    assert done == {"count": 1, "expected": 1}
    assert sandbox_crm.asker.send("GET", f"Lead/{meant}").status == 404
    assert len(statuses(sandbox_crm)) == 2


def test_a_deletion_by_ids_does_not_mind_what_is_gone_already(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    first, second, third = leads(sandbox_crm)
    assert hook.mass_delete("Lead", ids=[first, second, GONE]) == {
        "count": 2,
        "expected": 3,
        "ids": sorted([first, second]),
    }
    again = hook.mass_delete("Lead", ids=[first, second])
    assert again == {"count": 0, "expected": 2, "ids": []}
    assert sandbox_crm.asker.read("Lead", third)["id"] == third


def test_many_ids_go_in_parts(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm, 230)
    done = hook.mass_update("Lead", {"status": "Dead"}, ids=ids)
    assert (done["count"], sorted(done["ids"])) == (230, sorted(ids))
    assert [len(one["params"]["ids"]) for one in sandbox_crm.posts("MassAction")] == [100, 100, 30]


def test_values_are_sent_as_an_update_sends_them(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    account = sandbox_crm.asker.create("Account", name="A")["id"]
    opportunity = sandbox_crm.asker.create("Opportunity", name="O", amount=1, closeDate="2026-01-01", accountId=account)
    hook.mass_update(
        "Opportunity", {"closeDate": datetime(2026, 5, 1, tzinfo=UTC), "accountId": None}, ids=opportunity["id"]
    )
    changed = sandbox_crm.asker.read("Opportunity", opportunity["id"])
    assert (changed["closeDate"], changed["accountId"]) == ("2026-05-01", None)


def test_ids_of_a_link_can_be_added_and_removed(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    (lead,) = leads(sandbox_crm, 1)
    team = sandbox_crm.credentials["variables"]["team_id"]
    for what, after in (("add", [team]), ("remove", [])):
        hook.mass_update("Lead", {"teamsIds": [team]}, ids=[lead], link_actions={"teamsIds": what})
        assert sandbox_crm.asker.read("Lead", lead)["teamsIds"] == after


def test_values_may_be_given_as_data_of_the_action(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm, 2)
    assert hook.mass_action("Lead", "update", data={"status": "Dead"}, ids=ids[:1])["count"] == 1
    assert hook.mass_action("Lead", "update", data={"values": {"status": "Dead"}}, ids=ids[1:])["count"] == 1
    assert statuses(sandbox_crm) == ["Dead", "Dead"]


def test_other_actions_are_carried_out(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    opportunity = sandbox_crm.asker.create(
        "Opportunity", name="O", amount=112, amountCurrency="USD", closeDate="2031-01-01"
    )["id"]
    done = hook.mass_action("Opportunity", "convertCurrency", data={"targetCurrency": "EUR"}, ids=[opportunity])
    assert done == {"count": 1, "expected": 1, "ids": [opportunity]}
    assert sandbox_crm.asker.read("Opportunity", opportunity)["amountCurrency"] == "EUR"
    account = sandbox_crm.asker.create("Account", name="A")["id"]
    hook.mass_action("Account", "lock", ids=[account])
    assert sandbox_crm.asker.read("Account", account)["isLocked"] is True


@pytest.mark.parametrize("what", [{"ids": []}, {"where": [equals("lastName", "nobody")]}])
def test_nothing_is_sent_where_nothing_is_meant(sandbox_crm: SandboxCrm, hook: EspoHook, what: dict[str, Any]) -> None:
    leads(sandbox_crm)
    for background in (False, True):
        done = hook.mass_update("Lead", {"status": "Dead"}, background=background, **what)
        assert (done["count"], done["expected"]) == (0, 0)
    assert sandbox_crm.posts("MassAction") == []


def test_every_record_is_meant_only_if_told_so(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    leads(sandbox_crm)
    assert hook.mass_update("Lead", {"status": "Dead"}, all_records=True) == {"count": 3, "expected": 3}
    assert hook.mass_delete("Lead", where=[], all_records=True) == {"count": 3, "expected": 3}
    assert statuses(sandbox_crm) == []


@pytest.mark.parametrize("count", [3, 4, 7])
def test_types_that_are_not_counted_are_counted_here(sandbox_crm: SandboxCrm, connect: Any, count: int) -> None:
    ids = [f"6746d1f3a0b1c2d{index:02}" for index in range(count)]

    def uncounted(sent: Sent) -> Any:
        size = sent.search["maxSize"]
        after = [item["value"] for item in sent.search["where"] if item["type"] == "greaterThan"]
        left = [one for one in ids if not after or one > after[0]]
        return {"total": -1 if len(left) > size else -2, "list": [{"id": one} for one in left[:size]]}

    sandbox_crm.on("GET", "Email", uncounted)
    connect(password=sandbox_crm.credentials["api_key"], extra={"page_size": 4})
    done = EspoHook().mass_delete("Email", where=[starts_with("name", "M")], dry_run=True)
    assert done == {"count": count, "ids": ids[:4], "dry_run": True}


# --- after: what was skipped


def locked_account(crm: SandboxCrm) -> str:
    account: str = crm.asker.create("Account", name="Locked", type="Customer")["id"]
    crm.asker.ok("POST", "Action", {"entityType": "Account", "action": "lock", "id": account})
    return account


@pytest.mark.parametrize("by_filter", [False, True])
@pytest.mark.parametrize("delete", [False, True])
def test_what_was_skipped_without_a_word_is_named(
    sandbox_crm: SandboxCrm, hook: EspoHook, by_filter: bool, delete: bool
) -> None:
    locked = locked_account(sandbox_crm)
    free = sandbox_crm.asker.create("Account", name="Free", type="Customer")["id"]
    what: Any = {"where": [equals("type", "Customer")]} if by_filter else {"ids": [locked, free]}

    def work(**options: Any) -> Any:
        if delete:
            return hook.mass_delete("Account", **what, **options)
        return hook.mass_update("Account", {"type": "Partner"}, **what, **options)

    with pytest.raises(EspoShortfallError, match=locked) as caught:
        work()
    assert (caught.value.count, caught.value.expected, caught.value.record_ids) == (1, 2, [locked])
    warned = work(on_shortfall="warn")
    assert warned["skipped_ids"] == [locked]
    # EspoCRM counts an update that changes nothing.
    assert warned["count"] == (0 if delete or by_filter else 1)


def test_an_update_with_a_value_that_is_not_valid_is_no_success(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm)
    with pytest.raises(EspoShortfallError) as caught:
        hook.mass_update("Lead", {"status": "Nope"}, ids=ids)
    assert sorted(caught.value.record_ids) == sorted(ids)
    assert "Nope" not in str(caught.value)


def test_an_id_that_is_not_there_is_a_shortfall_of_an_update(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    with pytest.raises(EspoShortfallError) as caught:
        hook.mass_update("Lead", {"status": "Dead"}, ids=[*leads(sandbox_crm, 1), GONE])
    assert caught.value.record_ids == [GONE]


def test_of_a_filter_that_matches_much_only_the_number_is_known(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    leads(sandbox_crm, 250)
    sandbox_crm.on("POST", "MassAction", {"count": 249})
    with pytest.raises(EspoShortfallError, match="249 of 250") as caught:
        hook.mass_update("Lead", {"status": "Dead"}, where=[equals("status", "New")])
    assert caught.value.record_ids == []
    result = hook.mass_update("Lead", {"status": "Dead"}, where=[equals("status", "New")], on_shortfall="warn")
    assert result == {"count": 249, "expected": 250}


def test_what_somebody_else_deleted_meanwhile_is_no_shortfall(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm, 250)

    def faster(sent: Sent) -> None:
        if sent.path == "MassAction":
            sandbox_crm.live()
            sandbox_crm.asker.ok("DELETE", f"Lead/{ids[7]}")

    sandbox_crm.before = faster
    done = hook.mass_delete("Lead", where=[equals("status", "New")])
    assert done == {"count": 249, "expected": 250}


def test_skipped_records_of_other_actions_are_named_by_ids_only(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    sandbox_crm.on("POST", "MassAction", {"count": 1, "ids": ["65a1b2c3d4e5f6001"]})
    with pytest.raises(EspoShortfallError) as caught:
        hook.mass_action("Lead", "follow", ids=["65a1b2c3d4e5f6001", GONE])
    assert caught.value.record_ids == [GONE]


# --- lost answers


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("delete", [False, True])
def test_a_broken_connection_is_looked_after_in_the_records(
    sandbox_crm: SandboxCrm, hook: EspoHook, carried_out: bool, delete: bool
) -> None:
    ids = leads(sandbox_crm)
    lose_answer(sandbox_crm, Lost, carried_out=carried_out)
    if delete:
        assert hook.mass_delete("Lead", ids=ids)["count"] == 3
        assert statuses(sandbox_crm) == []
    else:
        assert hook.mass_update("Lead", {"status": "Dead"}, ids=ids)["count"] == 3
        assert statuses(sandbox_crm) == ["Dead"] * 3
    assert len(sandbox_crm.posts("MassAction")) == (1 if carried_out else 2)


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_request_by_filter_is_not_sent_again(sandbox_crm: SandboxCrm, hook: EspoHook, carried_out: bool) -> None:
    leads(sandbox_crm)
    lose_answer(sandbox_crm, Lost, carried_out=carried_out)
    where = [equals("status", "New")]
    if carried_out:
        assert hook.mass_update("Lead", {"status": "Dead"}, where=where) == {"count": 3, "expected": 3}
    else:
        with pytest.raises(EspoConnectionError, match="is not known"):
            hook.mass_update("Lead", {"status": "Dead"}, where=where)
    assert len(sandbox_crm.posts("MassAction")) == 1


def test_while_the_server_may_be_at_it_nothing_is_sent_again(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm)
    lose_answer(sandbox_crm, TooLate, carried_out=False)
    with pytest.raises(EspoTimeoutError, match="is not known"):
        hook.mass_update("Lead", {"status": "Dead"}, ids=ids)
    assert len(sandbox_crm.posts("MassAction")) == 1


def test_an_action_nobody_knows_is_not_sent_again(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    sandbox_crm.on("POST", "MassAction", Lost)
    with pytest.raises(EspoConnectionError, match="is not known"):
        hook.mass_action("Lead", "score", ids=[GONE], validate=False)
    assert len(sandbox_crm.posts("MassAction")) == 1


def test_an_action_that_does_no_harm_twice_is_sent_once_more(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    sandbox_crm.on("POST", "MassAction", Lost, {"count": 1, "ids": [GONE]})
    assert hook.mass_action("Lead", "follow", ids=[GONE])["count"] == 1
    sandbox_crm.on("POST", "MassAction", Lost)
    with pytest.raises(EspoConnectionError):
        hook.mass_action("Lead", "follow", ids=[GONE])
    assert len(sandbox_crm.posts("MassAction")) == 4


def test_an_error_in_the_middle_says_what_was_done_before(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm, 150)
    sandbox_crm.on("POST", "MassAction", {"count": 100, "ids": ids[:100]}, refusal(400, "No."))
    with pytest.raises(EspoBadRequestError) as caught:
        hook.mass_update("Lead", {"status": "Dead"}, ids=ids)
    assert [one["id"] for one in caught.value.outcomes] == ids[:100]


def test_what_could_not_be_looked_after_is_told(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    ids = leads(sandbox_crm)
    sandbox_crm.on("POST", "MassAction", Lost)
    sandbox_crm.on("GET", "Lead", refusal(403, "No."))
    with pytest.raises(EspoConnectionError):
        hook.mass_update("Lead", {"status": "Dead"}, ids=ids)


@pytest.mark.parametrize("answer", [{}, {"count": None}, {"ids": "x"}, []])
def test_an_answer_that_is_none_is_an_error(sandbox_crm: SandboxCrm, hook: EspoHook, answer: Any) -> None:
    sandbox_crm.on("POST", "MassAction", answer)
    sandbox_crm.on("GET", "Lead", {"total": 1, "list": [{"id": GONE}]})
    with pytest.raises(EspoError, match="answer"):
        hook.mass_delete("Lead", where=[in_("id", [GONE])])
    with pytest.raises(EspoError, match="answer"):
        hook.mass_delete("Lead", ids=[GONE])


# --- in the background


def test_a_background_job_is_started_and_can_be_asked_after(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    leads(sandbox_crm)
    job = hook.mass_update("Lead", {"status": "Dead"}, where=[equals("status", "New")], background=True)
    assert job["count"] == 3
    assert hook.job_status("mass_action", job["job_id"])["status"] == "Pending"
    assert statuses(sandbox_crm) == ["New"] * 3
    sandbox_crm.pass_time(60)
    told = hook.job_status("mass_action", job["job_id"])
    assert (told["status"], told["processed"], told["succeeded"]) == ("Success", 3, True)
    assert statuses(sandbox_crm) == ["Dead"] * 3


def test_a_background_job_is_not_submitted_twice_within_a_try(sandbox_crm: SandboxCrm, hook: EspoHook) -> None:
    leads(sandbox_crm)
    for failure in (Lost, TooLate, refusal(502)):
        sandbox_crm.sent.clear()
        sandbox_crm.on("POST", "MassAction", failure)
        with pytest.raises((EspoConnectionError, EspoTimeoutError, EspoServerError)):
            hook.mass_delete("Lead", where=[equals("status", "New")], background=True)
        assert len(sandbox_crm.posts("MassAction")) == 1
