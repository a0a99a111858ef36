"""Opens one socket of each family that this kernel and this user allow, and tells what it opened (run as a program).

One JSON line: `opened` with what a look from outside must find, `refused` with the errno of what is not to be had here.
Started as `every_family.py own` it first enters a network namespace of its own. It stays until its input ends.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLONE_NEWNET, UNIX_NAMES = 0x40000000, {1: "stream", 2: "dgram", 5: "seqpacket"}
REGISTER, REGISTER_FILES = 427, 2  # io_uring_register(2)
# Only ever refused or in no table; a row is found by the fds of who holds it.
OTHERS = {
    "vsock": (40, 1, 0), "xdp": (44, 3, 0), "alg": (38, 5, 0), "sctp": (2, 1, 132), "dccp": (2, 6, 33), "smc": (43, 1, 0),
    "tipc": (30, 5, 0), "bluetooth": (31, 5, 0), "can": (29, 3, 1), "kcm": (41, 5, 0), "key": (15, 3, 2), "rds": (21, 5, 0),
    "qipcrtr": (42, 2, 0), "l2tp": (2, 2, 115),
}
libc = ctypes.CDLL(None, use_errno=True)
opened: list[dict[str, Any]] = []
refused: dict[str, int] = {}
kept: list[Any] = []


def enter_own_network() -> None:
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS, up and running
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")


def note(name: str, one: socket.socket, state: str, **told: Any) -> socket.socket:
    """Keep it open, and tell what is so of it."""
    kept.append(one)
    opened.append({
        "name": name, "fds": [one.fileno()], "inode": os.fstat(one.fileno()).st_ino, "state": state, "listed": True,
        "local": ends(one, socket.socket.getsockname), "remote": None, **told,
    })
    return one


def ends(one: socket.socket, ask: Callable[[socket.socket], Any]) -> list[Any] | None:
    return list(ask(one)[:2]) if one.family in (socket.AF_INET, socket.AF_INET6) else None


def connect(name: str, family: str, listener: socket.socket, client: socket.socket, protocol: str) -> None:
    """Listener, client and accepted socket with five bytes unread."""
    listener.listen(7)
    client.connect(listener.getsockname()[:2])
    server, _ = listener.accept()
    client.sendall(b"hello")
    inet = {"family": family, "type": "stream", "protocol": protocol}
    note(f"{name} listener", listener, "LISTEN", **inet)
    note(f"{name} server", server, "ESTABLISHED", **inet, remote=ends(server, socket.socket.getpeername), unread=5)
    note(f"{name} client", client, "ESTABLISHED", **{**inet, "family": family if name != "mapped" else "inet"},
         remote=ends(client, socket.socket.getpeername))


def streams() -> None:
    for name, family, host, protocol in (
        ("tcp", socket.AF_INET, "127.0.0.1", 0), ("tcp6", socket.AF_INET6, "::1", 0),
        ("mapped", socket.AF_INET6, "::", 0), ("mptcp", socket.AF_INET, "127.0.0.1", 262),
    ):
        with attempt(name):
            listener = socket.socket(family, socket.SOCK_STREAM, protocol)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(name != "mapped"))
            listener.bind((host, 0))
            far = socket.AF_INET if name == "mapped" else family
            client = socket.socket(far, socket.SOCK_STREAM, protocol)
            if name == "mapped":
                listener.listen(7)
                client.bind(("127.0.0.1", 0))
                client.connect(("127.0.0.1", listener.getsockname()[1]))
                server, _ = listener.accept()
                note("mapped server", server, "ESTABLISHED", family="inet6", type="stream", protocol="tcp",
                     remote=ends(server, socket.socket.getpeername))
                note("mapped client", client, "ESTABLISHED", family="inet", type="stream", protocol="tcp",
                     remote=ends(client, socket.socket.getpeername))
                note("mapped listener", listener, "LISTEN", family="inet6", type="stream", protocol="tcp")
            else:
                kind = "inet6" if family == socket.AF_INET6 else "inet"
                connect(name, kind, listener, client, "mptcp" if protocol else "tcp")


def lonely() -> None:
    """TCP sockets that are in few tables or in none: bound only, never bound, reset."""
    inet = {"family": "inet", "type": "stream", "protocol": "tcp"}
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    note("bound only", bound, "CLOSE", **inet)
    note("never bound", socket.socket(), "CLOSE", **inet, listed=False)
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    reset, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    listener.close()
    note("reset", reset, "CLOSE", **inet, listed=False)
    note("udp never bound", socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "CLOSE", family="inet", type="dgram",
         protocol="udp", listed=False)


def datagrams() -> None:
    for name, family, host, number in (
        ("udp", socket.AF_INET, "127.0.0.1", 0), ("udp6", socket.AF_INET6, "::1", 0), ("udplite", socket.AF_INET, "127.0.0.1", 136),
        ("udplite6", socket.AF_INET6, "::1", 136),
    ):
        with attempt(name):
            server = socket.socket(family, socket.SOCK_DGRAM, number)
            server.bind((host, 0))
            client = socket.socket(family, socket.SOCK_DGRAM, number)
            client.connect(server.getsockname()[:2])
            kinds = {"family": "inet6" if family == socket.AF_INET6 else "inet", "type": "dgram",
                     "protocol": "udplite" if number else "udp"}
            note(f"{name} server", server, "CLOSE", **kinds)
            note(f"{name} client", client, "ESTABLISHED", **kinds, remote=ends(client, socket.socket.getpeername))
    for name, family, kind, number, protocol in (
        ("raw", socket.AF_INET, socket.SOCK_RAW, 254, "raw"), ("raw6", socket.AF_INET6, socket.SOCK_RAW, 254, "raw"),
        ("ping", socket.AF_INET, socket.SOCK_DGRAM, 1, "icmp"), ("ping6", socket.AF_INET6, socket.SOCK_DGRAM, 58, "icmp"),
    ):
        with attempt(name):
            one = socket.socket(family, kind, number)
            if protocol == "icmp":
                one.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            note(name, one, "CLOSE", family="inet6" if family == socket.AF_INET6 else "inet",
                 type="raw" if protocol == "raw" else "dgram", protocol=protocol, local=None)


def unixes(folder: str) -> None:
    for kind, name in UNIX_NAMES.items():
        for abstract in (False, True):
            one = socket.socket(socket.AF_UNIX, kind)
            path = f"{os.getpid()} {name}" if abstract else f"{folder}/{name}"
            one.bind("\0" + path if abstract else path)
            if name != "dgram":
                one.listen(3)
            note(f"unix {name} {'abstract' if abstract else 'path'}", one, "CLOSE" if name == "dgram" else "LISTEN",
                 family="unix", type=name, protocol="unix", path=path, abstract=abstract)
        for end, one in zip("ab", socket.socketpair(socket.AF_UNIX, kind), strict=True):
            note(f"unix {name} pair {end}", one, "ESTABLISHED", family="unix", type=name, protocol="unix")


def others() -> None:
    for name, arguments, family in (
        ("packet", (socket.AF_PACKET, socket.SOCK_RAW, 0), "packet"),
        ("packet dgram", (socket.AF_PACKET, socket.SOCK_DGRAM, 0), "packet"),
        ("netlink route", (socket.AF_NETLINK, socket.SOCK_RAW, 0), "netlink"),
        ("netlink generic", (socket.AF_NETLINK, socket.SOCK_RAW, 16), "netlink"),
    ):
        with attempt(name):
            one = socket.socket(*arguments)
            if family == "netlink":
                one.bind((0, 0))
            note(name, one, "CLOSE", family=family, protocol=family)
    for name, numbers in OTHERS.items():
        with attempt(name):
            note(name, socket.socket(*numbers), "UNKNOWN", listed=False)


def without_fd() -> None:
    """Sockets that live while nobody has an fd of them: on their way to somebody, or kept by an io_uring."""
    inet = {"family": "inet", "type": "stream", "protocol": "tcp"}
    flying = socket.create_server(("127.0.0.1", 0))
    left, right = socket.socketpair()
    note("in flight", flying, "LISTEN", **inet, fds=[])
    left.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [flying.fileno()]))])
    flying.close()
    for end, one in (("sends", left), ("receives", right)):
        note(f"carrier {end}", one, "ESTABLISHED", family="unix", type="stream", protocol="unix")
    with attempt("io_uring"):
        params = ctypes.create_string_buffer(120)
        ring = libc.syscall(425, 4, params)
        if ring < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        ringed = socket.create_server(("127.0.0.1", 0))
        if libc.syscall(REGISTER, ring, REGISTER_FILES, (ctypes.c_int * 1)(ringed.fileno()), 1):
            raise OSError(ctypes.get_errno(), "io_uring_register")
        note("in a ring", ringed, "LISTEN", **inet, fds=[], ring=ring)
        ringed.close()


class attempt:  # noqa: N801  # reads as a statement
    """What the kernel or our rights do not allow is told by its errno."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, OSError):
            refused[self.name] = error.errno or 0
            return True
        return False


if __name__ == "__main__":
    if "own" in sys.argv:
        enter_own_network()
    with tempfile.TemporaryDirectory() as directory:
        streams()
        lonely()
        datagrams()
        unixes(directory)
        others()
        without_fd()
        print(json.dumps({"pid": os.getpid(), "opened": opened, "refused": refused}), flush=True)
        sys.stdin.read()
