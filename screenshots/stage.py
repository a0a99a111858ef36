"""The small town the pictures are taken of: real processes and sockets in namespaces of their own.

Addresses are documentation addresses on that namespace's loopback, so that no real machine's name or address can get
into a picture. Every process is a fork of ours with a name of its own, and ends with us.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
CLONE_NEWCGROUP = 0x02000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_NAME, PR_SET_PDEATHSIG = 15, 1
API, DATABASE, CLIENT, CLIENT6 = "192.0.2.10", "192.0.2.20", "198.51.100.7", "2001:db8::7"
WEB6 = "2001:db8::10"
libc = ctypes.CDLL(None, use_errno=True)


def enter_namespaces() -> None:
    """Go where nothing of this machine is seen: network, processes, cgroup and /proc of our own; exits if not allowed.

    The rest of the program runs in a child, the first process in there; this one waits for it and passes its code on.
    """
    wanted = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP | (0 if os.geteuid() == 0 else CLONE_NEWUSER)
    if libc.unshare(wanted):
        sys.exit(f"screenshots need namespaces of their own: {os.strerror(ctypes.get_errno())}")
    if pid := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) or libc.mount(b"proc", b"/proc", b"proc", 0, None):
        sys.exit(f"screenshots need a /proc of their own: {os.strerror(ctypes.get_errno())}")
    set_up_network()


def set_up_network() -> None:
    """Put the documentation addresses on the loopback of the new namespace."""
    for command in (
        "link set lo up", f"address add {API}/32 dev lo", f"address add {DATABASE}/32 dev lo",
        f"address add {CLIENT}/32 dev lo", f"-6 address add {WEB6}/128 dev lo nodad",
        f"-6 address add {CLIENT6}/128 dev lo nodad",
    ):
        subprocess.run(["ip", *command.split()], check=True)


def play(name: str, role: Callable[[], object]) -> int:
    """Fork a process called `name` that plays `role` and then holds what it opened; returns when its stage is set."""
    read_end, ready = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ready)
        os.read(read_end, 1)
        os.close(read_end)
        return pid
    os.close(read_end)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_NAME, name.encode())
    leave_the_terminal(ready)
    kept = role()
    with contextlib.suppress(BrokenPipeError):  # a fork of the role itself comes second
        os.write(ready, b".")
    os.close(ready)
    while True:
        if callable(kept):
            kept()
        else:
            signal.pause()


def leave_the_terminal(kept: int) -> None:
    """Hold nothing of this machine: no terminal, no file, no folder, none of the other roles' pipes."""
    os.chdir("/srv")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)


def connect(to: tuple[str, int], source: str, data: bytes = b"") -> socket.socket:
    """Connect a client that sends `data` and stays."""
    client = socket.create_connection(to, 5, source_address=(source, 0))
    client.settimeout(None)
    if data:
        client.sendall(data)
    return client


def listen(address: str, port: int, backlog: int) -> socket.socket:
    """Make a listener, v4 or v6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=backlog)


def shop_api() -> Callable[[], object]:
    """Run an event loop that misses a drain: edge-triggered, and it reads only the first 4 KiB of each event."""
    listener, loop = listen(API, 8080, 128), select.epoll()
    listener.setblocking(False)
    loop.register(listener, select.EPOLLIN)
    held: dict[int, socket.socket] = {}

    def turn() -> None:
        for fd, _ in loop.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                connection.setblocking(False)
                held[connection.fileno()] = connection
                loop.register(connection, select.EPOLLIN | select.EPOLLET)
            else:
                held[fd].recv(4096)

    return turn


def web() -> Callable[[], object]:
    """Run a healthy event loop on v4 and v6."""
    loop, held = select.epoll(), {}
    for address in (API, WEB6):
        listener = listen(address, 443, 511)
        listener.setblocking(False)
        loop.register(listener, select.EPOLLIN)
        held[listener.fileno()] = listener
    listeners = set(held)

    def turn() -> None:
        for fd, _ in loop.poll():
            if fd in listeners:
                connection, _ = held[fd].accept()
                held[connection.fileno()] = connection
                loop.register(connection, select.EPOLLIN)
            else:
                held[fd].recv(65536)

    return turn


def export_job() -> object:
    """Write to a reader that does not read, until its send buffer is full."""
    listener = listen(API, 9100, 16)
    reader = connect((API, 9100), CLIENT)
    writer, _ = listener.accept()
    writer.setblocking(False)
    try:
        while True:
            writer.send(bytes(65536))
    except BlockingIOError:
        return listener, reader, writer


def billing() -> object:
    """Be a listener whose program is busy elsewhere."""
    return listen(API, 9000, 3)


def orders_db() -> Callable[[], object]:
    """Pre-forked workers that all wait in accept()."""
    listener = listen(DATABASE, 5432, 200)
    for _ in range(2):
        if os.fork() == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            break
    return lambda: listener.accept()[0].recv(1 << 16)


def resolver() -> object:
    """Hold a UDP socket with unread datagrams, and a unix pair."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((DATABASE, 53))
    return server, socket.socketpair()


def browser() -> object:
    """Be the clients of all of them."""
    kept: list[object] = [connect((API, 443), CLIENT, b"GET / HTTP/1.1\r\n\r\n") for _ in range(6)]
    kept += [connect((WEB6, 443), CLIENT6) for _ in range(3)]
    kept += [connect((DATABASE, 5432), API) for _ in range(3)]
    kept += [connect((API, 8080), CLIENT, bytes(212_004)), connect((API, 8080), CLIENT)]
    kept += [connect((API, 9000), CLIENT, b"order 17\n") for _ in range(4)]
    return kept


@contextmanager
def staged() -> Iterator[dict[str, int]]:
    """Everything running; pids by name. All of it ends on the way out."""
    enter_namespaces()
    roles: dict[str, Callable[[], object]] = {
        "orders-db": orders_db, "web": web, "shop-api": shop_api, "billing": billing, "export-job": export_job,
        "resolver": resolver, "browser": browser,
    }
    pids = {}
    try:
        for name, role in roles.items():
            pids[name] = play(name, role)
        yield pids
    finally:
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        for pid in pids.values():
            os.waitpid(pid, 0)
