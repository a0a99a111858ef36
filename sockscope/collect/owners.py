"""Who holds which socket: a scan of every process's fds. (First, full-scan version.)"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from msgspec import Struct

from sockscope.model.gap import Gap
from sockscope.model.process import Process
from sockscope.model.socket import Holder


class OwnerState(Struct, frozen=True):
    """What one refresh of the owner map found."""

    holders: Mapping[int, tuple[Holder, ...]]
    processes: Mapping[int, Process]
    hidden_processes: int
    scanned_all: bool
    source: str
    gaps: tuple[Gap, ...]


def read_stat(pid: int) -> Process | None:
    """Name, parent, start and thread count from /proc/PID/stat (proc(5)); None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            line = file.read()
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    name, rest = line[line.index(b"(") + 1 : line.rindex(b")")], line[line.rindex(b")") + 2 :].split()
    return Process(
        pid=pid, start_ticks=int(rest[19]), name=name, parent_pid=int(rest[1]), uid=uid, thread_count=int(rest[17])
    )


class OwnerMap:
    """Keeps the map between refreshes."""

    def refresh(self, inodes: Collection[int], pids: frozenset[int] | None) -> OwnerState:
        """Scan. `pids` restricts to these processes."""
        holders: dict[int, list[Holder]] = {}
        processes: dict[int, Process] = {}
        hidden = 0
        for pid in pids if pids is not None else [int(name) for name in os.listdir("/proc") if name.isdigit()]:
            try:
                names = os.listdir(f"/proc/{pid}/fd")
            except PermissionError:
                hidden += 1
                continue
            except OSError:
                continue
            held = False
            for name in names:
                try:
                    target = os.readlink(f"/proc/{pid}/fd/{name}")
                except OSError:
                    continue
                if target.startswith("socket:["):
                    holders.setdefault(int(target[8:-1]), []).append(Holder(pid, int(name)))
                    held = True
            if held and (process := read_stat(pid)):
                processes[pid] = process
        gaps = (Gap("holders", "not_permitted", hidden),) if hidden else ()
        return OwnerState({i: tuple(h) for i, h in holders.items()}, processes, hidden, pids is None, "proc", gaps)

    def close(self) -> None:
        """Nothing is kept open."""
