"""Nothing of the live test can be reached from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.processes import wait_for
from tests.e2e.stack import Stack

_LISTENS = "0A"
#: 127.0.0.1 and ::1 as the kernel writes them.
_LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


def _listeners() -> dict[str, str]:
    """Address of each listening socket by its inode."""
    found = {}
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTENS:
                found[columns[9]] = columns[1].partition(":")[0]
    return found


def _sockets(groups: set[int]) -> Iterator[tuple[int, str]]:
    """Process and inode of each socket of these groups of processes."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) not in groups:
                continue
            for one in (process / "fd").iterdir():
                target = os.readlink(one)
                if target.startswith("socket:["):
                    yield os.getpgid(int(process.name)), target[8:-1]
        except (ProcessLookupError, FileNotFoundError):
            continue


def test_every_part_listens_on_loopback_only(stack: Stack) -> None:
    parts = stack.groups()

    def addresses() -> dict[str, set[str]] | None:
        listeners = _listeners()
        found: dict[str, set[str]] = {}
        for group, inode in _sockets(set(parts)):
            if inode in listeners:
                found.setdefault(parts[group], set()).add(listeners[inode])
        return found if {"sandbox", "api-server", "postgres"} <= set(found) else None

    found = wait_for("Listeners of all servers", addresses, 30)
    assert {part: heard - _LOOPBACK for part, heard in found.items() if heard - _LOOPBACK} == {}
