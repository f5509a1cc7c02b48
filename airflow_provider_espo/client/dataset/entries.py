"""What a manifest says of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from airflow_provider_espo.client.errors import EspoInputError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file of a dataset.

    :param name: in the folder of the dataset.
    :param records: how many it holds.
    :param bytes: size as it is stored.
    :param sha256: checksum of it as it is stored.
    :param part: number of the part that it belongs to.
    :param after: id that its records come after; ``None`` for the beginning.
    :param last_id: id up to which everything that was asked for is in this file and those before it.
    """

    name: str
    records: int
    bytes: int
    sha256: str
    part: int = 0
    after: str | None = None
    last_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` returned.

        :raises EspoInputError: it is something else.
        """
        name, sha256 = given.get("name"), given.get("sha256")
        counts = [given.get("records"), given.get("bytes"), given.get("part", 0)]
        ids = [given.get("after"), given.get("last_id")]
        if (
            # A name leads nowhere else, whoever wrote the manifest.
            not (isinstance(name, str) and name and not {"/", "\\", "\0"} & set(name) and not name.startswith("."))
            or not (isinstance(sha256, str) and _SHA256.fullmatch(sha256))
            or not all(isinstance(it, int) and not isinstance(it, bool) and it >= 0 for it in counts)
            or not all(it is None or isinstance(it, str) for it in ids)
        ):
            raise EspoInputError("The entry of a file in a manifest is malformed")
        known = {"name", "records", "bytes", "sha256", "part", "after", "last_id"}
        return cls(**{key: value for key, value in given.items() if key in known})
