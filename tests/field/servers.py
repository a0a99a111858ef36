"""Real servers for tests: each on a free loopback port, ready when yielded, ended by its own pids on the way out.

A server whose program is not installed skips the test, visibly. Nothing here listens beyond 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

READY_S = 30.0
PYTHON_SERVERS = Path(__file__).with_name("python_servers.py")
JAVA_SERVERS = Path(__file__).parent / "java"


class Running(NamedTuple):
    """A server that accepts connections on 127.0.0.1:`port`; `pid` is the process we started."""

    name: str
    port: int
    pid: int


def free_port() -> int:
    """A port nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(*pids: int) -> set[int]:
    """These processes and their children, as far as they still are."""
    found = set(pids)
    for pid in pids:
        with suppress(OSError):
            found |= {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return found


def need(program: str, *places: str) -> str:
    """The program's path, or a visible skip."""
    path = shutil.which(program) or next((place for place in places if Path(place).exists()), None)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Await a condition; a failure names it."""
    end = time.monotonic() + READY_S
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {READY_S:.0f} s")
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Whether a connection can be made."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def started(name: str, command: Sequence[str], port: int, **options: object) -> Iterator[Running]:
    """Run it in a session of its own, wait until it accepts, end the whole session's group on the way out."""
    process = subprocess.Popen(  # type: ignore[call-overload]
        command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, **options,
    )
    try:
        wait_until(lambda: process.poll() is not None or accepts(port), f"{name} on port {port}")
        assert process.poll() is None, f"{name} ended with {process.returncode}"
        yield Running(name, port, process.pid)
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """TERM the group we made, KILL what stays, and wait until the last member has let go of its sockets."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
    wait_until(lambda: not living_members(process.pid), f"the end of group {process.pid}")


def living_members(group: int) -> list[int]:
    """Pids of the process group that still run (a zombie waits for its new parent and holds nothing)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, member_of = path.read_bytes().rpartition(b")")[2].split()[:3]
            if int(member_of) == group and state != b"Z":
                found.append(int(path.parent.name))
    return found


@contextmanager
def nginx(workers: int = 1, *, reuseport: bool = False) -> Iterator[Running]:
    """nginx with `workers` worker processes."""
    program, port = need("nginx", "/usr/sbin/nginx"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "www").mkdir()
        Path(folder, "www", "index.html").write_text("hello\n")
        Path(folder).chmod(0o755)
        temp_paths = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        Path(folder, "nginx.conf").write_text(
            f"daemon off; worker_processes {workers}; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{ access_log off; keepalive_timeout 300s; {temp_paths}\n"
            f"  server {{ listen 127.0.0.1:{port}{' reuseport' if reuseport else ''}; root {folder}/www; }} }}\n"
        )
        command = [program, "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        with started("nginx", command, port) as running:
            yield running


@contextmanager
def redis() -> Iterator[Running]:
    """redis-server without persistence."""
    program, port = need("redis-server"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with started("redis", command, port) as running:
            yield running


@contextmanager
def postgres(connections: int = 120) -> Iterator[Running]:
    """PostgreSQL as nobody (it refuses root), trust on loopback."""
    newest = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))
    program, initdb = need("postgres", str(newest / "postgres")), str(newest / "initdb")
    if not Path(initdb).exists():
        pytest.skip("initdb is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        as_nobody: list[str] = []
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        data = f"{folder}/data"
        subprocess.run(
            [*as_nobody, initdb, "-D", data, "-U", "test", "-A", "trust", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
            cwd=folder,
        )
        command = [
            *as_nobody, program, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F",
            "-c", f"max_connections={connections}",
        ]
        with started("postgres", command, port, cwd=folder) as running:
            yield running


@contextmanager
def node(kind: str = "net") -> Iterator[Running]:
    """node's own server: `net` reads and answers nothing, `http` answers 2 KB."""
    program, port = need("node"), free_port()
    answer = {
        "net": "require('net').createServer(s => s.on('error', () => 0).resume())",
        "http": "require('http').createServer((q, a) => a.end('x'.repeat(2000)))",
    }[kind]
    script = f"{answer}.listen({port}, '127.0.0.1')"
    with started("node", [program, "-e", script], port) as running:
        yield running


@contextmanager
def python_server(kind: str) -> Iterator[Running]:
    """One of python_servers.py: asyncio, select, poll, epoll-level, epoll-edge, forking, threading, ..."""
    port = free_port()
    with started(kind, [sys.executable, str(PYTHON_SERVERS), kind, str(port)], port) as running:
        yield running


@contextmanager
def java_server(kind: str) -> Iterator[Running]:
    """`Blocking` (ServerSocket, a thread per connection) or `Nio` (a selector), compiled on the spot."""
    java, javac, port = need("java"), need("javac"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([javac, "-d", folder, str(JAVA_SERVERS / f"{kind}.java")], check=True)
        command = [java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", folder, kind, str(port)]
        with started(f"java {kind}", command, port) as running:
            yield running


@contextmanager
def clients(port: int, count: int, greeting: bytes = b"") -> Iterator[list[socket.socket]]:
    """`count` connections that stay open; each sends `greeting` if given."""
    held = []
    try:
        for _ in range(count):
            held.append(socket.create_connection(("127.0.0.1", port), 5))
            if greeting:
                held[-1].sendall(greeting)
        yield held
    finally:
        for client in held:
            client.close()
