"""Opens some of every kind of socket in this process, and reads what ss and lsof say of them."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

from msgspec import Struct

SS_STATES = {
    "ESTAB": "ESTABLISHED", "UNCONN": "CLOSE", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECV",
    "FIN-WAIT-1": "FIN_WAIT1", "FIN-WAIT-2": "FIN_WAIT2", "TIME-WAIT": "TIME_WAIT", "CLOSE-WAIT": "CLOSE_WAIT",
    "LAST-ACK": "LAST_ACK", "LISTEN": "LISTEN", "CLOSING": "CLOSING",
}
MEMORY = ("r", "rb", "t", "tb", "f", "w", "o", "bl", "d")


class SsRow(Struct):
    """One row as ss prints it."""

    state: str
    receive: int
    send: int
    local: str
    remote: str
    uid: int
    inode: int
    cookie: int | None
    memory: tuple[int, ...] | None
    holders: frozenset[tuple[int, int]]


def open_mixed(stack: contextlib.ExitStack, folder: Path, rounds: int = 14) -> list[socket.socket]:
    """At least 22 sockets a round: every kind, some with data in their queues, some half closed."""
    kept: list[socket.socket] = []

    def keep(*sockets: socket.socket) -> tuple[socket.socket, ...]:
        for one in sockets:
            stack.enter_context(contextlib.closing(one))
            kept.append(one)
        return sockets

    for number in range(rounds):
        _open_tcp(keep, number)
        _open_udp(keep, number)
        _open_unix(keep, folder, number)
    return kept


def _open_tcp(keep: Any, number: int) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        listener, = keep(socket.create_server((host, 0), family=family, backlog=5 + number))
        client, = keep(socket.create_connection(listener.getsockname()[:2]))
        server, = keep(listener.accept()[0])
        client.sendall(b"x" * (number * 1000))
        if number % 3 == 0:
            client.shutdown(socket.SHUT_WR)
        if number % 4 == 1:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    both, = keep(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    mapped, = keep(socket.create_connection(("127.0.0.1", both.getsockname()[1])))
    if number % 2:
        keep(both.accept()[0])  # else it stays in the accept queue
    mapped.sendall(b"hello")
    keep(socket.socket(socket.AF_INET), socket.socket(socket.AF_INET6))
    bound, = keep(socket.socket(socket.AF_INET))
    bound.bind(("127.0.0.1", 0))


def _open_udp(keep: Any, number: int) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        server, client, unbound = keep(*(socket.socket(family, socket.SOCK_DGRAM) for _ in range(3)))
        server.bind((host, 0))
        client.connect(server.getsockname())
        for _ in range(number % 5):
            client.send(b"datagram")
        assert unbound.fileno() >= 0


def _open_unix(keep: Any, folder: Path, number: int) -> None:
    for kind, name in ((socket.SOCK_STREAM, "stream"), (socket.SOCK_SEQPACKET, "seqpacket")):
        for address in (str(folder / f"{name}{number}"), f"\0{folder.name}/{name}{number}"):
            listener, client = keep(socket.socket(socket.AF_UNIX, kind), socket.socket(socket.AF_UNIX, kind))
            listener.bind(address)
            listener.listen(3 + number)
            client.connect(address)
            if number % 2:
                keep(listener.accept()[0])
            client.send(b"y" * (1 + number * 100))
    server, client = keep(*(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)))
    server.bind(str(folder / f"dgram{number}"))
    client.connect(str(folder / f"dgram{number}"))
    client.send(b"first")
    client.send(b"second")
    one, _ = keep(*socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
    one.send(b"z" * 77)


def ss_rows(kind: str) -> list[SsRow]:
    """Read `ss` of one kind: t, u or x. Unix rows carry no `ino:`; their local port is the inode."""
    command = ["ss", "-H", "-O", "-a", "-n", "-p", "-e", "-m", f"-{kind}"]
    output = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "surrogateescape")
    return [_ss_row(line, is_unix=kind == "x") for line in output.splitlines() if line.strip()]


def _ss_row(line: str, *, is_unix: bool) -> SsRow:
    fields = line.split()
    memory = re.search(r"skmem:\(([^)]*)\)", line)
    numbers = {}
    for item in memory[1].split(",") if memory else ():
        match = re.fullmatch(r"([a-z]+)(\d+)", item)
        assert match is not None
        numbers[match[1]] = int(match[2])
    cookie = re.search(r"\bsk:([0-9a-f]+)", line)
    inode = re.search(r"\bino:(\d+)", line)
    uid = re.search(r"\buid:(\d+)", line)
    if is_unix:
        fields = fields[1:]
    return SsRow(
        state=SS_STATES[fields[0]], receive=int(fields[1]), send=int(fields[2]), local=fields[3],
        remote=fields[5] if is_unix else fields[4], uid=int(uid[1]) if uid else 0,
        inode=int(fields[4]) if is_unix else int(inode[1]) if inode else 0,
        cookie=int(cookie[1], 16) if cookie else None,
        memory=tuple(numbers[name] for name in MEMORY) if memory else None,
        holders=frozenset((int(pid), int(fd)) for pid, fd in re.findall(r"pid=(\d+),fd=(\d+)", line)),
    )


def lsof_holders(pids: list[int]) -> dict[int, set[tuple[int, int]]]:
    """Read `lsof`: socket inode -> (pid, fd) of each holder among these processes."""
    command = ["lsof", "-nP", "-a", "-p", ",".join(map(str, pids)), "-F", "pftdi"]
    output = subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "surrogateescape")
    found: dict[int, set[tuple[int, int]]] = {}
    pid, fd, kind = 0, "", ""
    for line in output.splitlines():
        tag, value = line[:1], line[1:]
        if tag == "p":
            pid = int(value)
        elif tag == "f":
            fd, kind = value, ""
        elif tag == "t":
            kind = value
        elif (tag == "d" and kind in ("IPv4", "IPv6")) or (tag == "i" and kind in ("unix", "sock")):
            found.setdefault(int(value), set()).add((pid, int(fd)))
    return found


def socket_inodes(pid: int) -> dict[int, set[int]]:
    """Read /proc/PID/fd: socket inode -> fds."""
    found: dict[int, set[int]] = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                found.setdefault(int(target[8:-1]), set()).add(int(link.name))
    return found
