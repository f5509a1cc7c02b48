"""Fixtures for tests of the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_espo.sandbox.errors import ApiError
from tests.unit.sandbox.search.crm import Crm


@pytest.fixture
def crm() -> Iterator[Crm]:
    """An empty CRM."""
    crm = Crm()
    yield crm
    crm.storage.close()


@pytest.fixture
def refused() -> Callable[..., tuple[int, str | None]]:
    """Calls something that has to be refused, and tells status and reason."""

    def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, str | None]:
        with pytest.raises(ApiError) as caught:
            function(*args, **kwargs)
        return caught.value.status, caught.value.reason

    return call
