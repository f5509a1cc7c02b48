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
    :raises EspoInputError: it is no path, or empty, or in a store that this Airflow does not know.
    """
    if isinstance(path, str):
        if not path.strip():
            raise EspoInputError(f"{name} is empty", hint="Was an upstream task's result empty?")
        if "://" not in path:
            if path.startswith("~"):
                raise EspoInputError(
                    f"{name} begins with ~, and whose folder that is depends on the worker", hint="Give it in full"
                )
            return path
        return _in_store(name, path)
    if not hasattr(path, "open") and not hasattr(path, "__fspath__"):
        raise EspoInputError(f"{name} is a {type(path).__name__} and not a path")
    return path


def _in_store(name: str, url: str) -> Any:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import has_fs

    scheme = url.partition("://")[0]
    try:
        path = ObjectStoragePath(url)
        # Opened here, and not at the first file: what is not installed is no fault of the store.
        path.fs  # noqa: B018
    except ValueError:
        if has_fs(scheme):
            raise
        raise EspoInputError(
            f"{name}: this Airflow has no file system for {scheme}://",
            hint="Install the Airflow provider that brings it, such as apache-airflow-providers-amazon[s3fs] for s3, "
            "on the workers",
        ) from None
    return path


def is_folder(path: str | ObjectStoragePath) -> bool:
    """Whether a path says that it is a folder, by a slash at its end."""
    return isinstance(path, str) and path.endswith("/")
