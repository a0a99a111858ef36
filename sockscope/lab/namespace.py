"""A network namespace of the lab's own, for what must not touch this machine's.

Port ranges, addresses, stray packets.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

from sockscope.lab.stage import NotHereError

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
ENTERED = "SOCKSCOPE_LAB_NETNS"  # tells a scenario started by the lab that it is already inside


def enter() -> None:
    """Leave this process's network for a new one with its loopback up. Raises NotHereError without the right to."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise NotHereError(f"this scenario needs a network namespace of its own (root): {reason}")
    set_up("lo")
    os.environ[ENTERED] = _own()


def ensure() -> None:
    """Enter one unless our starter did. Whatever starts such a scenario, this machine's settings stay as they are.

    Ends the program with one line where there is no right to.
    """
    if os.environ.get(ENTERED) == _own():
        return
    try:
        enter()
    except NotHereError as error:
        raise SystemExit(str(error)) from None


def _own() -> str:
    return str(Path("/proc/thread-self/ns/net").stat().st_ino)


def set_up(interface: str) -> None:
    """Bring an interface up (netdevice(7), SIOCSIFFLAGS)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), IFF_UP_RUNNING))


def set_sysctl(name: str, value: str) -> None:
    """Write net.* of our namespace; /proc/sys/net shows the one of who opens it."""
    Path("/proc/sys/net", *name.split(".")).write_text(value)
