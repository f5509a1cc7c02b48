"""The receiver is off unless it is switched on, and costs nothing where it is off."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.exceptions import AirflowConfigException

from airflow_provider_espo.config_options import DEFAULTS
from airflow_provider_espo.get_provider_info import get_provider_info
from airflow_provider_espo.plugins import webhook_receiver
from airflow_provider_espo.plugins.webhook_receiver import EspoWebhookReceiverPlugin
from airflow_provider_espo.plugins.webhook_receiver_answers import Answer
from airflow_provider_espo.plugins.webhook_receiver_settings import ReceiverSettings, read_settings
from airflow_provider_espo.sandbox.webhook_sender import outcome_of

PREFIX = "AIRFLOW__ESPO__WEBHOOK_"


@pytest.fixture(autouse=True)
def _as_at_the_start() -> None:
    webhook_receiver._apps.cache_clear()


class TestPlugin:
    def test_without_a_word_in_the_configuration_there_is_no_application(self) -> None:
        assert EspoWebhookReceiverPlugin().fastapi_apps == []

    def test_switched_on_there_is_one_and_always_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{PREFIX}RECEIVER_ENABLED", "True")
        [mounted] = EspoWebhookReceiverPlugin().fastapi_apps
        # Airflow's page of plugins shows these three and refuses others.
        assert mounted.keys() == {"app", "url_prefix", "name"}
        assert mounted["url_prefix"] == "/espo"
        assert EspoWebhookReceiverPlugin().fastapi_apps[0]["app"] is mounted["app"]

    def test_airflow_finds_it_in_every_process_and_only_the_api_server_pays(self) -> None:
        code = (
            "import json, sys\n"
            "from airflow import plugins_manager\n"
            "plugins_manager.ensure_plugins_loaded()\n"
            "loaded = [m for m in sys.modules if m.startswith('airflow_provider_espo.plugins')]\n"
            "print(json.dumps(loaded))"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        loaded = set(json.loads(result.stdout.splitlines()[-1]))
        assert loaded == {"airflow_provider_espo.plugins", "airflow_provider_espo.plugins.webhook_receiver"}

    def test_nothing_is_loaded_twice_where_providers_are_discovered_at_once(self) -> None:
        # Airflow would find it by the entry point and by the provider's description, and call that an error.
        assert "plugins" not in get_provider_info()


class TestSettings:
    def test_they_are_those_that_airflow_shows_as_defaults(self) -> None:
        options = get_provider_info()["config"]["espo"]["options"]
        assert {name: option["default"] for name, option in options.items()} == DEFAULTS
        assert read_settings() == ReceiverSettings(enabled=False, repeat_seconds=1200, max_body_bytes=4 * 1024 * 1024)

    def test_they_are_read_from_airflows_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"RECEIVER_ENABLED": "true", "REPEAT_SECONDS": "0", "MAX_BODY_BYTES": "1024"}.items():
            monkeypatch.setenv(PREFIX + name, value)
        assert read_settings() == ReceiverSettings(enabled=True, repeat_seconds=0, max_body_bytes=1024)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("RECEIVER_ENABLED", "perhaps"),
            ("REPEAT_SECONDS", "-1"),
            ("REPEAT_SECONDS", "an hour"),
            ("MAX_BODY_BYTES", "0"),
            ("MAX_BODY_BYTES", "4M"),
        ],
    )
    def test_a_value_that_is_none_stops_the_api_server(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(PREFIX + name, value)
        with pytest.raises(AirflowConfigException, match=(PREFIX + name).removeprefix("AIRFLOW__ESPO__").lower()):
            EspoWebhookReceiverPlugin().fastapi_apps  # noqa: B018


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer.RECORDED, "delivered"),
        (Answer.REPEAT, "delivered"),
        (Answer.NOT_SIGNED, "retry"),
        (Answer.NO_ASSET, "retry"),
        (Answer.CUT_OFF, "retry"),
        (Answer.UNAVAILABLE, "retry"),
        (Answer.TOO_BIG, "failed"),
        (Answer.NOT_A_DELIVERY, "failed"),
    ],
)
def test_espocrm_does_with_each_answer_what_it_was_chosen_for(answer: Answer, outcome: str) -> None:
    assert outcome_of(answer.status) == outcome


def test_the_documentation_says_of_each_answer_what_espocrm_does() -> None:
    text = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]*\| (\d{3}) \| (is content|tries again|gives up)", text, re.MULTILINE)
    words = {"delivered": "is content", "retry": "tries again", "failed": "gives up"}
    assert sorted(rows) == sorted((str(answer.status), words[outcome_of(answer.status)]) for answer in Answer)


def test_no_answer_has_espocrm_delete_the_webhook() -> None:
    assert "gone" not in {outcome_of(answer.status) for answer in Answer}
