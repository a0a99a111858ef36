"""A load of real sockets: N TCP sockets over P processes in a network namespace of its own (as root), optional churn.

`python load.py --sockets 10000 --processes 20` prints one JSON line when all connections stand, then serves until its
standard input closes. Half the sockets are clients, half are accepted. Loopback only; everything ends with the parent.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PER_ADDRESS = 20_000  # connections to one (address, port): well inside the ephemeral range of 28,232
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41


def enter_own_namespace() -> bool:
    """Unshare the network and bring its loopback up. False without the right to."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        return False
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP_RUNNING))
    return True


def allow_files(count: int) -> None:
    """Raise our fd limit to `count` as far as we may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def hold_pairs(number: int, pairs: int) -> list[socket.socket]:
    """`pairs` connections to a listener of this process's own; both ends are held here."""
    held: list[socket.socket] = []
    while pairs:
        batch = min(pairs, PER_ADDRESS)
        address = f"127.0.{1 + number // 200}.{1 + number % 200}"
        listener = socket.create_server((address, 0), backlog=64)
        held.append(listener)
        for _ in range(batch):
            client = socket.socket()
            client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are chosen at connect
            client.bind((address, 0))
            client.connect(listener.getsockname())
            held += [client, listener.accept()[0]]
        pairs -= batch
    return held


def churn(rate: float) -> None:
    """Open and abort `rate` connections a second until ended, in slices of 10 ms."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    due, start = 0.0, time.monotonic()
    while True:
        due += rate / 100
        while due >= 1:
            due -= 1
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            accepted.close()
        start += 0.01
        time.sleep(max(0.0, start - time.monotonic()))


def start_process(work: str, number: int, amount: float, ready: int) -> int:
    """Fork one holder ("hold") or churner ("churn"); it writes a byte to `ready` when it stands."""
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if work == "churn":
        os.write(ready, b".")
        churn(amount)
    allow_files(2 * int(amount) + 200)
    held = hold_pairs(number, int(amount))
    os.write(ready, b"." if held else b"!")
    signal.pause()
    os._exit(0)


def main(argv: Sequence[str]) -> int:
    """Make the load, say so, wait for the end of standard input, end every child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--churn", type=float, default=0.0, help="connections a second opened and aborted")
    parser.add_argument("--own-namespace", action="store_true")
    chosen = parser.parse_args(argv)
    own = chosen.own_namespace and enter_own_namespace()
    read_end, ready = os.pipe()
    pairs = max(1, chosen.sockets // 2 // chosen.processes)
    pids = [start_process("hold", number, pairs, ready) for number in range(chosen.processes)]
    pids += [start_process("churn", 0, chosen.churn, ready)] if chosen.churn else []
    try:
        for _ in pids:
            os.read(read_end, 1)
        print(json.dumps({"pids": pids, "sockets": pairs * 2 * chosen.processes, "own_namespace": own}), flush=True)
        sys.stdin.read()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
