"""The pytest fixture that users get by installing the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_espo.exceptions import EspoForbiddenError, EspoUnknownNameError
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.testing import EspoSandbox
from tests.webhook_receiver import receiving


def test_it_gives_an_empty_crm_and_a_connection_to_it(espo_sandbox: EspoSandbox) -> None:
    with EspoHook() as hook:
        assert hook.count_records("Lead") == 0
        works, sentence = hook.test_connection()
    assert works
    assert espo_sandbox.url in sentence


def test_a_lead_is_updated_and_not_doubled(espo_sandbox: EspoSandbox) -> None:
    with espo_sandbox.hook as hook:
        lead = {"lastName": "Nowak", "emailAddress": "n@example.com"}
        actions = [hook.upsert_record("Lead", lead, match_by=["emailAddress"])["action"] for _ in range(2)]
        assert actions == ["created", "unchanged"]
        assert hook.count_records("Lead") == 1


def test_each_test_gets_a_crm_of_its_own(espo_sandbox: EspoSandbox) -> None:
    with espo_sandbox.hook as hook:
        assert hook.count_records("Lead") == 0


def test_a_custom_field_that_was_added_a_minute_ago_works(espo_sandbox: EspoSandbox) -> None:
    with espo_sandbox.hook as hook:
        lead = hook.create_record("Lead", {"lastName": "Nowak"})
        with pytest.raises(EspoUnknownNameError, match="cScore"):
            hook.update_record("Lead", lead["id"], {"cScore": 5})
        espo_sandbox.add_field("Lead", "cScore", "int")
        assert hook.update_record("Lead", lead["id"], {"cScore": 5})["action"] == "updated"
        assert hook.get_record("Lead", lead["id"], select=["cScore"])["cScore"] == 5
        assert hook.list_records("Lead", select=["cScore"], order_by="cScore")[0]["cScore"] == 5
        with pytest.raises(EspoUnknownNameError, match="cScor"):
            hook.update_record("Lead", lead["id"], {"cScor": 6})


def test_an_unknown_name_is_refused_before_anything_is_written(espo_sandbox: EspoSandbox) -> None:
    with espo_sandbox.hook as hook:
        with pytest.raises(EspoUnknownNameError):
            hook.create_record("Lead", {"lastName": "Nowak", "lastname": "Nowak"})
        with pytest.raises(EspoUnknownNameError):
            hook.write_many("Lead", [{"lastName": "Good", "emailAddress": "g@example.com"}, {"nope": 1}])
        assert hook.count_records("Lead") == 0


def test_it_fills_in_many_records_at_once(espo_sandbox: EspoSandbox) -> None:
    espo_sandbox.fill("Lead", 450)
    with espo_sandbox.hook as hook:
        ids = [lead["id"] for lead in hook.iter_records("Lead", select=["name"])]
    assert len(ids) == len(set(ids)) == 450


def test_the_administrator_may_what_the_api_user_may_not(
    espo_sandbox: EspoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ESPO_ADMIN", espo_sandbox.admin_connection)
    body = {"name": "cOffice", "type": "varchar"}
    with espo_sandbox.hook as hook, pytest.raises(EspoForbiddenError):
        hook.request("POST", "Admin/fieldManager/Lead", json=body)
    with EspoHook("espo_admin") as admin:
        admin.request("POST", "Admin/fieldManager/Lead", json=body)
        assert "cOffice" in admin.metadata("entityDefs.Lead.fields")


def test_a_run_that_does_not_use_it_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_other():\n"
        "    assert 'airflow_provider_espo.testing' in sys.modules\n"
        "    loaded = {name.split('.')[0] for name in sys.modules} & {'airflow', 'uvicorn', 'starlette', 'requests'}\n"
        "    assert not loaded, loaded\n",
        encoding="utf-8",
    )
    # Without a file of its own it would take this project's settings, where temporary files are within it.
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:requests_mock"]
    command += ["-p", "no:respx", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_webhook_is_delivered_to_this_machine(espo_sandbox: EspoSandbox) -> None:
    with receiving() as receiver, espo_sandbox.hook as hook:
        hook.create_webhook("Lead.create", receiver.url)
        lead = hook.create_record("Lead", {"lastName": "Nowak"})
        assert receiver.arrived.wait(20)
    assert [change["id"] for change in receiver.received[0].changes] == [lead["id"]]
