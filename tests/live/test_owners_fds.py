"""All fds of python, nginx and postgres are what `lsof -p` says: same numbers, kinds and names."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from field import servers

from sockscope.collect.process_fds import read_fds
from sockscope.model.process import Fd

MENAGERIE = """
import os, select, signal, socket, ctypes, tempfile
a = socket.create_server(("127.0.0.1", 0)); b = socket.socketpair(); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n6 = socket.socket(socket.AF_INET6); e = select.epoll(); e.register(a, select.EPOLLIN); p = os.pipe()
m = os.memfd_create("x"); ef = os.eventfd(3); pf = os.pidfd_open(os.getpid()); ns = os.open("/proc/self/ns/net", os.O_RDONLY)
d = os.open("/", os.O_RDONLY); t = tempfile.TemporaryFile(); g = open(__file__ if "__file__" in globals() else "/etc/passwd")
k = tempfile.mkdtemp(); os.mkfifo(k + "/f"); ff = os.open(k + "/f", os.O_RDWR); z = os.open("/dev/zero", os.O_RDONLY)
libc = ctypes.CDLL(None); tf = libc.timerfd_create(1, 0); i = libc.inotify_init()
mask = ctypes.create_string_buffer(128); libc.sigaddset(mask, 15); sf = libc.signalfd(-1, mask, 0)
os.unlink(k + "/f"); os.rmdir(k)
print("up", flush=True); signal.pause()
"""

# Our kinds to lsof's types. lsof calls a socket by its family where it finds it in a table, else "sock".
TYPES = {
    "socket": {"IPv4", "IPv6", "unix", "sock", "netlink", "pack"}, "file": {"REG"}, "directory": {"DIR"},
    "pipe": {"FIFO"}, "fifo": {"FIFO"}, "device": {"CHR", "BLK"}, "memfd": {"REG"}, "deleted": {"REG", "FIFO"},
    "namespace": {"REG", "unknown"},
}


@contextlib.contextmanager
def running(command: list[str], ready: Callable[[subprocess.Popen[bytes]], bool], **more: object) -> Iterator[int]:
    process: subprocess.Popen[bytes] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 20
        while not ready(process):
            assert process.poll() is None, f"{command[0]} did not start"
            assert time.monotonic() < deadline, f"{command[0]} is not ready"
        yield process.pid
    finally:
        process.send_signal(signal.SIGQUIT)  # postgres and nginx leave at once, python as well
        process.wait(20)
        if process.stdout:
            process.stdout.close()


def lsof(pid: int) -> dict[int, tuple[str, str, str]]:
    """fd -> (type, inode, name); cwd, rtd, txt and mem are no fds."""
    out = subprocess.run(["lsof", "-nP", "-p", str(pid), "-F", "ftdin"], capture_output=True, check=False).stdout
    found: dict[int, tuple[str, str, str]] = {}
    fields: dict[str, str] = {}

    def keep() -> None:
        if fields.get("f", "").isdigit():
            inode = fields["d"] if fields["t"].startswith("IPv") else fields.get("i", "")
            found[int(fields["f"])] = (fields["t"], inode, fields.get("n", ""))

    for line in os.fsdecode(out).splitlines():
        if line[0] in "fp":
            keep()
            fields = {}
        fields[line[0]] = line[1:]
    keep()
    return found


def assert_same(pid: int) -> tuple[Fd, ...]:
    for _ in range(20):  # servers open and close files of their own: compare where both looks meet the same
        fds, gaps = read_fds(pid)
        theirs = lsof(pid)
        if {fd.fd for fd in fds} == set(theirs) == {fd.fd for fd in read_fds(pid)[0]}:
            break
    assert not gaps
    assert {fd.fd for fd in fds} == set(theirs)
    for fd in fds:
        kind, inode, name = theirs[fd.fd]
        assert kind in TYPES.get(fd.kind, {"a_inode"}), (fd, theirs[fd.fd])
        if fd.inode is not None:
            assert str(fd.inode) == inode, (fd, theirs[fd.fd])
        if fd.target.startswith(b"/"):
            assert name == os.fsdecode(fd.target), (fd, theirs[fd.fd])
    return fds


def test_python_with_every_kind_of_fd() -> None:
    with running([sys.executable, "-c", MENAGERIE], lambda process: process.stdout.readline() == b"up\n") as pid:  # type: ignore[union-attr]
        fds = assert_same(pid)
    kinds = {fd.kind for fd in fds}
    assert kinds >= {
        "socket", "eventpoll", "eventfd", "timerfd", "signalfd", "inotify", "memfd", "pipe", "pidfd", "namespace",
        "directory", "file", "deleted", "device",
    }
    by_kind = {fd.kind: fd for fd in fds}
    assert ("count", "3") in (by_kind["eventfd"].facts or ())
    assert ("signals", "SIGTERM") in (by_kind["signalfd"].facts or ())
    assert by_kind["eventpoll"].facts is None, "its mutex may be held by a stuck process: not read unless asked for"


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_nginx_master_and_workers(tmp_path: Path) -> None:
    port = servers.free_port()
    (tmp_path / "logs").mkdir()
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; worker_processes 2; pid {tmp_path}/pid; error_log {tmp_path}/logs/error.log;\n"
        f"events {{}} http {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}\n"
    )
    command = ["nginx", "-p", str(tmp_path), "-e", str(tmp_path / "logs/early.log"), "-c", str(tmp_path / "nginx.conf")]
    with running(command, lambda process: servers.accepts(port) and len(servers.family(process.pid)) == 3) as pid:
        pids = servers.family(pid)
        for each in pids:
            fds = assert_same(each)
            assert any(fd.kind == "socket" for fd in fds)


@pytest.mark.slow
def test_postgres_and_its_processes() -> None:
    with servers.postgres() as server, servers.clients(server.port, 1):
        servers.wait_until(lambda: sum(map(is_helper_of_postgres, servers.family(server.pid))) >= 4, "postgres' own processes")
        for each in filter(is_helper_of_postgres, servers.family(server.pid)):
            assert_same(each)
        assert_same(server.pid)


def is_helper_of_postgres(pid: int) -> bool:
    """Whether it is one that stays, such as the checkpointer; backends of readiness probes come and go."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(word in command for word in (b"checkpointer", b"writer", b"launcher"))
