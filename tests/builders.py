"""Values for tests, made in one line. Documentation addresses only (192.0.2.0/24, 2001:db8::/32)."""

from __future__ import annotations

import itertools
from typing import Any

from sockscope.model.process import Process
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Endpoint, Holder, Socket, SocketMemory

_cookies = itertools.count(0x1000)
_inodes = itertools.count(50_000)


def make_memory(**values: int) -> SocketMemory:
    """A socket's memory: empty, with Linux's default buffers, unless told otherwise."""
    defaults = {
        "receive_alloc": 0, "receive_buffer": 131_072, "send_alloc": 0, "send_buffer": 2_626_560,
        "forward_alloc": 0, "send_queued": 0, "option": 0, "backlog": 0, "drops": 0,
    }
    return SocketMemory(**{**defaults, **values})


def make_socket(local: str = "127.0.0.1:8080", remote: str | None = None, **values: Any) -> Socket:
    """A TCP socket: LISTEN without a remote, ESTABLISHED with one. `host:port` texts; IPv6 hosts in brackets."""
    fields: dict[str, Any] = {
        "netns": 4_026_531_840, "cookie": next(_cookies), "family": "inet6" if local.startswith("[") else "inet",
        "type": "stream", "protocol": "tcp", "state": "ESTABLISHED" if remote else "LISTEN",
        "local": make_endpoint(local), "remote": make_endpoint(remote) if remote else None, "interface": None,
        "inode": next(_inodes), "uid": 0, "receive_queued": 0, "send_queued": 0 if remote else 128,
        "memory": make_memory(), "shutdown": 0,
    }
    return Socket(**{**fields, **values})


def make_endpoint(text: str) -> Endpoint:
    """`127.0.0.1:80` or `[::1]:80`."""
    host, _, port = text.rpartition(":")
    return Endpoint(address=host.strip("[]"), port=int(port))


def make_snapshot(*sockets: Socket, holders: dict[int, tuple[int, int]] | None = None, **values: Any) -> Snapshot:
    """A snapshot of these. `holders` maps an inode to (pid, fd); pids without a Process get one called "server"."""
    held = {inode: (Holder(pid, fd),) for inode, (pid, fd) in (holders or {}).items()}
    processes = {h.pid: Process(pid=h.pid, start_ticks=1, name=b"server") for hs in held.values() for h in hs}
    fields: dict[str, Any] = {
        "sequence": 1, "monotonic_s": 100.0, "taken_at": 1_700_000_000.0, "took_s": 0.01, "host": "host",
        "kernel": "6.18.0", "boot_id": "0", "netns": 4_026_531_840, "sources": {"tcp": "netlink", "owners": "proc"},
        "gaps": (), "sockets": {socket.key: socket for socket in sockets}, "holders": held, "processes": processes,
    }
    return Snapshot(**{**fields, **values})
