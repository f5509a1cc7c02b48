"""Many ids, of which no more is wanted than whether one is among them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b


class IdSet(set[str]):
    """A set of ids that are added to it, and of others in eight bytes each, which are not listed.

    :param others: the others, however many.
    """

    def __init__(self, others: Iterable[str] = ()) -> None:
        super().__init__()
        self._others = array("Q", sorted(array("Q", map(_digest, others))))

    def __contains__(self, one: object) -> bool:
        return super().__contains__(one) or (isinstance(one, str) and self._is_other(_digest(one)))

    def _is_other(self, digest: int) -> bool:
        place = bisect_left(self._others, digest)
        return place < len(self._others) and self._others[place] == digest


def _digest(one: str) -> int:
    return int.from_bytes(blake2b(one.encode(), digest_size=8).digest())
