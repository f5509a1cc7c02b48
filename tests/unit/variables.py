"""Airflow's Variables without an Airflow: as a task sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.sdk import Variable


@contextmanager
def variables_in(kept: MutableMapping[str, str], *, with_keys: bool = True) -> Iterator[None]:
    """Let a mapping be Airflow's Variables.

    :param kept: their values.
    :param with_keys: whether Airflow tells a task which there are (3.3).
    """

    def get(key: str, default: Any = None, deserialize_json: bool = False) -> Any:
        value = kept.get(key)
        if value is None:
            return default
        return json.loads(value) if deserialize_json else value

    def put(key: str, value: Any, description: str | None = None, serialize_json: bool = False) -> None:
        kept[key] = json.dumps(value) if serialize_json else str(value)

    def names(prefix: str | None = None) -> list[str]:
        return [name for name in kept if name.startswith(prefix or "")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Variable, "get", get)
        patch.setattr(Variable, "set", put)
        patch.setattr(Variable, "delete", kept.pop)
        if with_keys:
            patch.setattr(Variable, "keys", names, raising=False)
        else:
            patch.delattr(Variable, "keys", raising=False)
        yield
