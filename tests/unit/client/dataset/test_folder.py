"""Folders on disks and in object stores: files appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_espo.client.dataset import folder as folder_module
from airflow_provider_espo.client.dataset.folder import Folder, NewFile
from airflow_provider_espo.exceptions import EspoInputError, EspoStorageError


class FullDisk:
    """A temporary file that takes so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self._room = room

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def everything_in(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def test_a_file_is_there_with_its_content_and_size(folder: Folder) -> None:
    folder.write_bytes("a.txt", b"content")
    assert folder.read_bytes("a.txt") == b"content"
    assert (folder.exists("a.txt"), folder.size("a.txt")) == (True, 7)
    assert folder.sizes() == {"a.txt": 7}


def test_a_folder_that_is_not_there_has_no_files(folder: Folder) -> None:
    assert folder.names() == []
    assert not folder.exists("a.txt")


def test_names_are_in_order_and_without_folders(folder: Folder) -> None:
    for name in ("b", "a", "c"):
        folder.write_bytes(name, b"")
    Folder(folder / "sub").write_bytes("x", b"1")
    assert folder.names() == ["a", "b", "c"]


def test_a_written_file_replaces_the_old_one(folder: Folder) -> None:
    folder.write_bytes("a", b"old and longer")
    folder.write_bytes("a", b"new")
    assert folder.read_bytes("a") == b"new"


def test_what_others_write_is_seen_at_the_next_look(folder: Folder) -> None:
    assert folder.names() == []
    Folder(folder.path).write_bytes("a", b"")
    assert folder.names() == ["a"]


def test_a_file_is_seen_when_it_is_published_and_not_before(folder: Folder) -> None:
    folder.write_bytes("a", b"old")
    with folder.open_new("a") as file:
        file.write(b"new ")
        file.write(memoryview(b"content"))
        assert folder.read_bytes("a") == b"old"
        assert (folder.names(), file.tell()) == (["a"], 11)
        file.publish()
    assert folder.read_bytes("a") == b"new content"
    assert (file.size, file.sha256) == (11, hashlib.sha256(b"new content").hexdigest())


def test_a_file_that_is_left_before_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with Folder(tmp_path).open_new("a") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert everything_in(tmp_path) == []


def test_a_forgotten_file_leaves_nothing(tmp_path: Path) -> None:
    file = Folder(tmp_path).open_new("a")
    file.write(b"half")
    del file
    assert everything_in(tmp_path) == []


def test_a_removed_file_is_gone_and_a_second_removal_is_fine(folder: Folder) -> None:
    folder.write_bytes("a", b"")
    folder.remove("a")
    folder.remove("a")
    assert folder.names() == []


def test_what_dead_processes_left_growing_is_not_listed_and_can_be_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / ".mine.ndjson.0f.part").write_bytes(b"half")
    (tmp_path / ".other.part").write_bytes(b"")
    assert folder.names() == []
    folder.remove_growing(lambda name: name == "mine.ndjson")
    assert everything_in(tmp_path) == [".other.part"]


def test_a_file_that_is_not_there_is_the_callers_mistake(folder: Folder) -> None:
    with pytest.raises(EspoInputError, match=r"a\.txt is not there"):
        folder.read_bytes("a.txt")


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_bytes("a", b"old")
    file = folder.open_new("a")
    file._part = FullDisk(file._part, 3)  # type: ignore[assignment]
    file.write(b"new")
    with pytest.raises(EspoStorageError) as caught, file:
        file.write(b"er")
    assert f"{tmp_path}/a cannot be written: No space left on device" in str(caught.value)
    assert "stays as it was" in str(caught.value)
    assert "Make room" in str(caught.value)
    assert caught.value.file == "a"
    assert everything_in(tmp_path) == ["a"]
    assert folder.read_bytes("a") == b"old"


def test_a_full_disk_of_temporary_files_is_not_blamed_on_the_store(memory: fsspec.AbstractFileSystem) -> None:
    file = Folder(ObjectStoragePath("memory://bucket/full")).open_new("a")
    file._part = FullDisk(file._part, 3)  # type: ignore[assignment]
    with (
        pytest.raises(EspoStorageError, match=r"temporary file \(see TMPDIR\) for memory:///?bucket/full/a cannot be"),
        file,
    ):
        file.write(b"four")
    assert not memory.exists("/bucket/full/a")


def test_a_store_that_goes_away_is_a_storage_error_whatever_its_library_raises(
    monkeypatch: pytest.MonkeyPatch, memory: fsspec.AbstractFileSystem
) -> None:
    class ClientError(Exception):
        pass

    folder = Folder(ObjectStoragePath("memory://bucket/away"))
    folder.write_bytes("a", b"old")

    def fail(*_: Any) -> None:
        raise ClientError("token=secret")

    monkeypatch.setattr(folder_module, "_put", fail)
    with pytest.raises(EspoStorageError, match=r"bucket/away/a cannot be written: ClientError\. ") as caught:
        folder.write_bytes("a", b"new")
    assert "secret" not in str(caught.value)
    assert folder.read_bytes("a") == b"old"


class Server:
    """A store with real folders, as over SFTP: a file cannot be put where there is none."""

    def __init__(self, folders: set[str]) -> None:
        self.folders = folders
        self.files: dict[str, bytes] = {}

    def put_file(self, local: str, path: str) -> None:
        if self._parent(path) not in self.folders:
            raise FileNotFoundError(path)
        self.files[path] = Path(local).read_bytes()

    def exists(self, path: str) -> bool:
        return path in self.folders

    def makedirs(self, path: str, exist_ok: bool) -> None:
        self.folders.add(path)

    def _parent(self, path: str) -> str:
        return path.rpartition("/")[0]


class Remote:
    """A path on such a store."""

    iterdir = open = stat = None

    def __init__(self, fs: Server, path: str) -> None:
        self.fs = fs
        self.path = path

    def __truediv__(self, name: str) -> Remote:
        return Remote(self.fs, f"{self.path}/{name}")

    def __str__(self) -> str:
        return f"sftp://host{self.path}"


def test_folders_are_made_where_a_store_has_such() -> None:
    server = Server({"/upload"})
    Folder(Remote(server, "/upload/a/b")).write_bytes("x", b"1")
    assert server.files == {"/upload/a/b/x": b"1"}


def test_a_bucket_is_never_made() -> None:
    server = Server({"/upload"})
    with pytest.raises(EspoStorageError, match="there is no such bucket or folder"):
        Folder(Remote(server, "/uplaod/a")).write_bytes("x", b"1")
    assert server.folders == {"/upload"}


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(EspoStorageError, match="x cannot be made: File exists"):
        Folder(tmp_path / "x").write_bytes("a", b"")


@pytest.mark.parametrize(
    ("path", "words"),
    [("", "empty"), ("s3://bucket/x", "ObjectStoragePath"), (7, "a int"), (None, "a NoneType")],
)
def test_what_is_no_folder_is_refused(path: Any, words: str) -> None:
    with pytest.raises(EspoInputError, match=words):
        Folder(path)


def test_a_file_url_is_a_folder_on_the_disk(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    assert Folder(ObjectStoragePath(f"file://{tmp_path}")).is_local
    assert not Folder(ObjectStoragePath("memory://bucket/x")).is_local
    assert Folder(ObjectStoragePath("memory://bucket/x/")).name == "x"


def test_a_file_that_cannot_be_made_is_one_error_and_can_be_closed_as_python_does(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    file = NewFile.__new__(NewFile)
    with pytest.raises(EspoStorageError):
        file.__init__(Folder(tmp_path / "taken"), "a")  # type: ignore[misc]
    file.close()
    assert file.closed
