"""Paths that DAG authors give: local ones and those of object stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoInputError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


def file_at(name: str, path: str | ObjectStoragePath) -> Any:
    """Return what a path leads to in the form that the hook takes.

    :param name: the argument's name, for the error.
    :param path: local path, URL of any object store that Airflow knows, or ``ObjectStoragePath``.
    :raises EspoInputError: it is no path, or empty.
    """
    if isinstance(path, str):
        if not path.strip():
            raise EspoInputError(f"{name} is empty", hint="Was an upstream task's result empty?")
        if "://" not in path:
            return path
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(path)
    if not hasattr(path, "open") and not hasattr(path, "__fspath__"):
        raise EspoInputError(f"{name} is a {type(path).__name__} and not a path")
    return path


def is_folder(path: str | ObjectStoragePath) -> bool:
    """Whether a path says that it is a folder, by a slash at its end."""
    return isinstance(path, str) and path.endswith("/")
