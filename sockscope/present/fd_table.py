"""Every open fd of the processes asked for with --pid, as lsof -p lists them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sockscope.model.observation import Observation
from sockscope.model.process import Fd
from sockscope.model.socket import Socket
from sockscope.present import format as words
from sockscope.present.address import local_and_remote
from sockscope.present.text import sanitise

_MODES = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}
_LONGEST_FACTS = 100


def fd_lines(observation: Observation, *, header: bool = True) -> Iterator[str]:
    """Yield one line a fd, by process and number, sockets with their ends; uncut, as what identifies a file is long."""
    fds = observation.snapshot.fds or ()
    if not fds:
        return
    by_inode = {socket.inode: socket for socket in observation.snapshot.sockets.values() if socket.inode}
    if header:
        yield ""
        yield f"{'Process':<24} {'Fd':>5} {'Mode':<4} {'Kind':<10} What"
    for fd in sorted(fds, key=lambda each: (each.pid, each.fd)):
        process = observation.snapshot.processes.get(fd.pid)
        name = f"{words.process_name(process)} {fd.pid}"
        mode = "" if fd.flags is None else _MODES.get(fd.flags & os.O_ACCMODE, "")
        yield f"{name:<24} {fd.fd:>5} {mode:<4} {fd.kind:<10} {what(fd, by_inode, observation)}".rstrip()


def what(fd: Fd, by_inode: dict[int, Socket], observation: Observation) -> str:
    """Return what a fd is: a socket's state and ends, a file's path, an anonymous inode's decoded facts."""
    socket = by_inode.get(fd.inode) if fd.inode is not None and fd.kind == "socket" else None
    if socket is not None:
        return f"{words.state(socket)} {local_and_remote(socket, observation, None)}"
    facts = " ".join(f"{name}={value}" for name, value in fd.facts or ())
    return sanitise(fd.target, 4096) + (f"  {sanitise(facts, _LONGEST_FACTS)}" if facts else "")
