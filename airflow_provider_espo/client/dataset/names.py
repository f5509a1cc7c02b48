"""Names of the files of a dataset. They tell which run wrote them, so that a run never writes over another's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.wire import entity_type_segment

#: Written last: a dataset is what its manifest names. Readers of whole folders leave out names with an underscore.
MANIFEST = "_manifest.json"

_TAG = r"[0-9a-f]{12}"
_RUN_FILE = re.compile(rf"_(?:[a-z]+-)+({_TAG})(?:-\d{{4,}})*\.(?:json|ndjson\.gz)")


def tag_of(*run: str | int | None) -> str:
    """Return a short digest of what makes a run the run it is.

    :param run: such as DAG id, run id and clear generation: equal for all tries and all mapped parts of a run, and
        different for every other run.
    """
    return hashlib.sha256(json.dumps(run).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class FileNames:
    """Names of the files that one run writes.

    :param entity_type: such as ``Lead``.
    :param tag: of the run, from :func:`tag_of`.
    :param partition: number of the mapped task, where several tasks write one dataset.
    """

    entity_type: str
    tag: str
    partition: int | None = None

    def __post_init__(self) -> None:
        entity_type_segment(self.entity_type)

    def data(self, part: int, number: int, extension: str) -> str:
        """Name a file of records; names follow each other as the parts do.

        :param part: the part's number.
        :param number: of the file in its part, from 0.
        :param extension: such as ``ndjson.gz``.
        """
        partition = "" if self.partition is None else f"{self.partition:05d}-"
        return f"{self.entity_type}-{self.tag}-{partition}{part:05d}-{number:04d}.{extension}"

    def deleted(self, number: int, extension: str) -> str:
        """Name a file of tombstones: with an underscore, so that readers of whole folders take none for a record."""
        return f"_{self.entity_type}-{self.tag}-deleted-{number:04d}.{extension}"

    def own(self, purpose: str, extension: str = "json") -> str:
        """Name a file that is about the dataset and holds no records of it.

        :param purpose: lower-case letters, such as ``progress``, ``part``, ``ids`` or ``seen``.
        :param extension: ``json`` or ``ndjson.gz``.
        """
        partition = "" if self.partition is None else f"-{self.partition:05d}"
        return f"_{purpose}-{self.tag}{partition}.{extension}"

    @property
    def progress(self) -> str:
        """The file that tells what the run has done so far."""
        return self.own("progress")


def is_of_dataset(name: str, entity_type: str) -> bool:
    """Whether a file was written for a dataset of this entity type, by whatever run; the manifest is not meant."""
    data = rf"_?{re.escape(entity_type)}-{_TAG}-(?:\d{{5,}}-|deleted-)*\d{{4,}}\.[a-z.]+"
    return re.fullmatch(data, name) is not None or _RUN_FILE.fullmatch(name) is not None


def clean_up(folder: Folder, entity_type: str, keep: Iterable[str]) -> int:
    """Remove what other runs and broken-off tries left in a folder. Files that no dataset of ours has are not touched.

    :param folder: the dataset's.
    :param entity_type: of the dataset.
    :param keep: names of the files that stay, as a rule those that the manifest names.
    :return: how many were removed.
    """
    kept = set(keep)
    unwanted = [name for name in folder.names() if name not in kept and is_of_dataset(name, entity_type)]
    for name in unwanted:
        folder.remove(name)
    folder.remove_growing(lambda name: name == MANIFEST or is_of_dataset(name, entity_type))
    return len(unwanted)
