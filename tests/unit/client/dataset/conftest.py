from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_espo.client.dataset.folder import Folder


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    """An object store that Airflow knows as ``memory://``."""
    system = fsspec.filesystem("memory")
    attach("memory", fs=system)
    return system


@pytest.fixture(params=["local", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, memory: fsspec.AbstractFileSystem) -> Iterator[Folder]:
    """A folder that is not there yet, of each kind in turn."""
    if request.param == "local":
        yield Folder(str(tmp_path / "data" / "leads"))
    elif request.param == "file":
        yield Folder(ObjectStoragePath(f"file://{tmp_path}/data/leads"))
    else:
        bucket = uuid.uuid4().hex
        yield Folder(ObjectStoragePath(f"memory://{bucket}/leads"))
        if memory.exists(f"/{bucket}"):
            memory.rm(f"/{bucket}", recursive=True)


@pytest.fixture
def local(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
