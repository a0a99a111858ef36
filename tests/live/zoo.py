"""A zoo of hostile processes: names of every kind that must not reach a terminal raw (run as a program).

The keeper enters a network namespace where it may, starts one process for each name, tells what they have as one JSON
line, and stays until its input ends. Names go as hexadecimal: they are no text.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

NAMES = (
    b"\x1b[31mred\x1b[0m", b"\x1b]0;title\x07", b"\x1bP+q544e\x1b\\", b"\x9b31mC1", "\x9b31m\x85C1".encode(), b"\xff\xfe\x80bad",
    "\u202eevil\u202c\u2066x".encode(), "z\u0301\u0302\u0303\u0304\u0305\u0306".encode(), "漢字カナ🙂".encode(),
    b"a\nb\r\x08c", b"tab\there\x0b\x0c", b"evil[/x][b]", b"$text [link=x]y", b"=1+1,\"quo;te'", "\ufeff\u200d\ufe0f\U000e0041".encode(),
    b" ) S 1 (", b"\x7f\x01\x02",
)
LONG = b"\x1b[5mlong\xff" * 450  # 4 KiB
PR_SET_NAME, CLONE_NEWNET = 15, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def live_as(name: bytes, folder: str) -> None:
    """Be a process of this name, with a thread, sockets and files of this name."""
    kept: list[Any] = []
    told: dict[str, Any] = {"pid": os.getpid(), "name": name.hex(), "inodes": [], "paths": {}}

    def have(one: socket.socket) -> socket.socket:
        kept.append(one)
        told["inodes"].append(os.fstat(one.fileno()).st_ino)
        return one

    libc.prctl(PR_SET_NAME, name[:15], 0, 0, 0)
    ready, gate = threading.Event(), threading.Event()

    def thread() -> None:
        libc.prctl(PR_SET_NAME, name[:15][::-1], 0, 0, 0)
        ready.set()
        gate.wait()

    threading.Thread(target=thread, daemon=True).start()
    ready.wait()
    for abstract in (False, True):
        one = have(socket.socket(socket.AF_UNIX))
        safe = name.replace(b"/", b"_")[:60]
        path = b"\0" + b"%d\0" % os.getpid() + safe if abstract else os.fsencode(folder) + b"/" + safe
        one.bind(path)
        one.listen(2)
        told["paths"][str(told["inodes"][-1])] = (path[1:] if abstract else path).hex()
    listener = have(socket.create_server(("127.0.0.1", 0)))
    client = have(socket.create_connection(listener.getsockname()))
    server = have(listener.accept()[0])
    client.sendall(b"\x1b[2Junread")
    told["ports"] = [listener.getsockname()[1]]
    kept += [server, open_file(folder, name)]
    print(json.dumps(told), flush=True)
    sys.stdin.read()


def open_file(folder: str, name: bytes) -> int:
    """A file of this name; for the long one in a path that is longer than the kernel can print."""
    safe = name.replace(b"/", b"_")[:200]
    os.chdir(folder)
    if len(name) > 255:
        for _ in range(30):
            os.mkdir(safe)  # noqa: PTH102  # a name of bytes
            os.chdir(safe)
    return os.open(safe + b".open", os.O_CREAT | os.O_RDWR)


def keep() -> None:
    is_own = libc.unshare(CLONE_NEWNET) == 0
    if is_own:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        animals = [
            subprocess.Popen(
                [sys.executable, os.fsencode(__file__), name.hex().encode(), os.fsencode(make_folder(folder, number)), name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for number, name in enumerate((*NAMES, LONG))
        ]
        told = [json.loads(animal.stdout.readline()) for animal in animals if animal.stdout is not None]
        print(json.dumps({"pid": os.getpid(), "animals": told}), flush=True)
        sys.stdin.read()
        for animal in animals:
            animal.communicate(b"")


def make_folder(parent: str, number: int) -> str:
    made = Path(parent) / str(number)
    made.mkdir()
    return str(made)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        live_as(bytes.fromhex(sys.argv[1]), sys.argv[2])
    else:
        keep()
