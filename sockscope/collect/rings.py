"""Waiting through io_uring, as far as the kernel tells: which requests are pending, never on which socket.

A request is laid to a socket only if the process has just one it could be on; else a gap says how many are pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sockscope.collect.process_look import ProcessLook, Table
from sockscope.kernel.io_uring import ACCEPT, ENTER_REGISTERED_RING, NAMES, RingRecord, parse_ring
from sockscope.kernel.proc_stat import read_file
from sockscope.kernel.threads import ThreadRecord
from sockscope.model.detail import Waiter
from sockscope.model.gap import Gap
from sockscope.model.snapshot import Snapshot

LARGEST = 1 << 20


def ring_waiters(looks: Iterable[ProcessLook], snapshot: Snapshot) -> dict[int, list[Waiter]]:
    """Find waiters by socket inode; adds gaps to the looks for pending requests that could be on several sockets."""
    found: dict[int, list[Waiter]] = {}
    for look in looks:
        for table, fd in look.rings:
            try:
                ring = parse_ring(read_file(f"/proc/{table.pid}/task/{table.tid}/fdinfo/{fd}", LARGEST))
            except OSError:
                continue  # gone, or not ours to see: the fds themselves have left that gap
            for inode, waiter in _lay(look, table, fd, ring, snapshot):
                found.setdefault(inode, []).append(waiter)
    return found


def _lay(
    look: ProcessLook, table: Table, fd: int, ring: RingRecord, snapshot: Snapshot
) -> Iterator[tuple[int, Waiter]]:
    if not ring.complete:
        look.gaps.append(Gap("syscall", "unsupported", detail=f"io_uring fd {fd} of process {look.pid} was busy"))
    threads = [thread for thread in look.threads if _is_in(thread, look, table, fd)]
    unknown: list[str] = []
    for opcode, count in ring.pending.items():
        if opcode not in NAMES:
            continue
        inodes = _candidates(look.pid, opcode, snapshot)
        if len(inodes) != 1:
            unknown.append(f"{count} {NAMES[opcode]}")
            continue
        (inode,) = inodes
        for thread in threads:
            yield inode, Waiter(thread.pid, thread.tid, thread.name, thread.call or "", "io_uring", via_fd=fd)
    if unknown:
        detail = f"io_uring {fd} of process {look.pid} has pending {', '.join(unknown)}; on which sockets is not told"
        look.gaps.append(Gap("syscall", "unsupported", len(unknown), detail))


def _is_in(thread: ThreadRecord, look: ProcessLook, table: Table, fd: int) -> bool:
    """Whether the thread sleeps in this ring; by a registered index only when the process has no other ring."""
    if thread.call != "io_uring_enter" or thread.arguments is None:
        return False
    if thread.arguments[3] & ENTER_REGISTERED_RING:
        return len(look.rings) == 1
    return thread.arguments[0] & 0xFFFFFFFF == fd and look.tables.get(thread.tid) == table


def _candidates(pid: int, opcode: int, snapshot: Snapshot) -> set[int]:
    """Sockets of the process that such a request could be on: listeners for accept, the others for all else."""
    held = {inode for inode, holders in snapshot.holders.items() if any(holder.pid == pid for holder in holders)}
    return {
        socket.inode
        for socket in snapshot.sockets.values()
        if socket.inode in held and socket.is_listener == (opcode == ACCEPT)
    }
