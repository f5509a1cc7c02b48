"""What all sensors share, on the Airflows that the provider runs on."""

from __future__ import annotations

import airflow.exceptions
import airflow.sdk.exceptions
import pytest

from airflow_provider_espo import compat


def test_the_exceptions_are_those_of_the_task_sdk_where_it_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow.sdk.exceptions, "AirflowSkipException", Exception, raising=False)
    assert compat.airflow_exceptions() is airflow.sdk.exceptions


def test_an_airflow_whose_task_sdk_has_none_gives_those_of_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(airflow.sdk.exceptions, "AirflowSkipException", raising=False)
    assert compat.airflow_exceptions() is airflow.exceptions
