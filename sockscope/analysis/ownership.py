"""Whose a socket is, told by what the kernel keeps of it (kernel-facts.md section 2, "Not accepted yet")."""

from __future__ import annotations

from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket

CODES = (
    "held", "not-accepted", "orphan", "time-wait", "syn-queue", "kernel", "hidden", "unheld", "not-scanned",
)
_WAITING_STATES = ("ESTABLISHED", "CLOSE_WAIT")


def ownership(snapshot: Snapshot, socket: Socket) -> str:
    """Say whose it is, by one of CODES.

    held: a process has it open. not-accepted: it waits in an accept queue. orphan: its process closed it, the kernel
    finishes. time-wait, syn-queue: the kernel's alone. kernel: its own, or without a file and none of those. hidden: no
    holder seen, and there are processes we may not look into. not-scanned: no holder among the processes asked about.
    unheld: everybody was looked at and nobody has it: in flight over SCM_RIGHTS, kept by an io_uring or the kernel,
    or closed while we looked.
    """
    if socket.inode:
        if snapshot.holders.get(socket.inode):
            return "held"
        if not snapshot.scanned_all:
            return "not-scanned"
        if snapshot.hidden_processes:
            return "hidden"
        return "kernel" if socket.family == "netlink" and not socket.local.port else "unheld"
    if socket.state == "TIME_WAIT":
        return "time-wait"
    if socket.state == "SYN_RECV":
        return "syn-queue"
    if socket.type not in ("stream", "seqpacket") or socket.family == "netlink":
        return "kernel"
    return "not-accepted" if socket.state in _WAITING_STATES else "orphan"
