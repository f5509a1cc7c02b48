"""What DAG authors give as paths, and what they are told where it leads nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_espo.exceptions import EspoInputError
from airflow_provider_espo.operators.paths import file_at, is_folder


@pytest.mark.parametrize("path", ["/data/a.csv", "out/a.csv", "C:\\data", Path("/data/a.csv")])
def test_local_paths_stay(path: Any) -> None:
    assert file_at("path", path) == path


def test_an_object_stores_url_is_opened_by_airflow() -> None:
    attach(protocol="memory", fs=fsspec.filesystem("memory"))
    found = file_at("path", "memory://bucket/key")
    assert isinstance(found, ObjectStoragePath)
    # Airflow 3.1 writes it with another slash.
    assert found == ObjectStoragePath("memory://bucket/key")


@pytest.mark.parametrize("scheme", ["s3nope", "gs"])
def test_a_store_that_this_airflow_does_not_know_is_told_with_what_to_install(scheme: str) -> None:
    with pytest.raises(EspoInputError, match=f"results_path: this Airflow has no file system for {scheme}://") as told:
        file_at("results_path", f"{scheme}://conn@bucket/key")
    assert "Install the Airflow provider" in str(told.value)


@pytest.mark.parametrize(
    ("path", "words"), [("", "is empty"), ("  ", "is empty"), (None, "NoneType"), (5, "int"), ("~/crm", "in full")]
)
def test_what_is_no_path_is_refused(path: Any, words: str) -> None:
    with pytest.raises(EspoInputError, match=words):
        file_at("path", path)


def test_a_slash_at_the_end_says_that_it_is_a_folder() -> None:
    assert is_folder("/data/")
    assert not is_folder("/data")
