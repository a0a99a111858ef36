"""Signals and SOCK_DESTROY reach exactly what was meant, or nobody, and say so."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_snapshot, make_socket
from live.targets import by_inode, look, target, value_of, wait_for
from msgspec import structs

from sockscope.collect.actor import LiveActor
from sockscope.collect.detail import LiveDetailReader
from sockscope.kernel.proc_stat import read_stat
from sockscope.model.detail import SocketDetail, Wanted
from sockscope.model.process import Process
from sockscope.model.source import ActionError

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def start() -> int:
    return os.posix_spawn("/bin/sleep", ["sleep", "100"], {})


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.fixture
def sleeper() -> Iterator[int]:
    pid = start()
    yield pid
    try:
        end(pid)
    except ProcessLookupError:
        return


def described(pid: int) -> Process:
    stat = read_stat(pid)
    assert stat is not None
    return Process(pid=pid, start_ticks=stat.start_ticks, name=stat.name)


def test_a_signal_arrives() -> None:
    pid = start()
    LiveActor().signal(described(pid), signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM


def test_a_process_with_another_start_time_gets_no_signal(sleeper: int) -> None:
    """What a reused pid looks like."""
    meant = described(sleeper)
    assert meant.start_ticks is not None
    with pytest.raises(ActionError, match="belongs to another process"):
        LiveActor().signal(structs.replace(meant, start_ticks=meant.start_ticks - 1), signal.SIGKILL)
    assert is_alive(sleeper)


def is_alive(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state != "Z"


@pytest.mark.skipif(not os.access(LAST_PID, os.W_OK), reason="choosing a pid needs root")
def test_a_pid_that_was_reused_signals_nobody() -> None:
    old = start()
    meant = described(old)
    end(old)
    wait_for(lambda: ticks_now() > (meant.start_ticks or 0) + 1)  # in one tick of 10 ms no pid comes round by itself
    heir = reuse(old)
    try:
        assert described(heir).start_ticks != meant.start_ticks
        with pytest.raises(ActionError, match=r"nothing sent: .* belongs to another process"):
            LiveActor().signal(meant, signal.SIGKILL)
        assert is_alive(heir)
    finally:
        end(heir)


def ticks_now() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def reuse(pid: int) -> int:
    """Start processes until one gets this pid; others on this machine start processes too."""
    for _ in range(200):
        wait_for(lambda: not Path(f"/proc/{pid}").exists())
        LAST_PID.write_text(str(pid - 1), encoding="ascii")
        made = start()
        if made == pid:
            return made
        end(made)
    raise AssertionError("the pid could not be had again")


def test_a_process_that_is_gone_or_not_known_exactly() -> None:
    pid = start()
    meant = described(pid)
    with pytest.raises(ActionError, match="not known"):
        LiveActor().signal(structs.replace(meant, start_ticks=None), signal.SIGTERM)
    end(pid)
    with pytest.raises(ActionError, match=r"nothing sent: process .* is gone"):
        LiveActor().signal(meant, signal.SIGTERM)


CONNECTED = "s, c = pair(); tell(s=inode(s), c=inode(c))\n" + """
for line in sys.stdin:
    try: got = {"s": s, "c": c}[line.strip()].recv(1)
    except OSError as error: got = error.errno
    print(got, flush=True)
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="SOCK_DESTROY needs CAP_NET_ADMIN")


@needs_root
def test_a_closed_socket_is_told_to_owner_and_peer() -> None:
    with target(CONNECTED) as server:
        LiveActor().destroy(by_inode(look(), server["s"]))
        assert int(server.command("s")) == errno.ECONNABORTED
        assert int(server.command("c")) == errno.ECONNRESET


@needs_root
def test_a_wrong_cookie_closes_nothing() -> None:
    with target(CONNECTED) as server:
        row = by_inode(look(), server["s"])
        assert row.cookie is not None
        with pytest.raises(ActionError, match="not closed: it is gone"):
            LiveActor().destroy(structs.replace(row, cookie=row.cookie + 1))
        assert by_inode(look(), server["s"]).state == "ESTABLISHED"


@needs_root
@pytest.mark.parametrize("code", [
    "s = listener()",
    "s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))",
    "s = socket.create_server(('::1', 0), family=socket.AF_INET6)",
    """
l = socket.create_server(('::', 0), family=socket.AF_INET6, dualstack_ipv6=True)
c = socket.create_connection(('127.0.0.1', l.getsockname()[1])); s = l.accept()[0]""",
], ids=["listener", "udp", "inet6", "v4-mapped"])
def test_other_sockets_can_be_closed(code: str) -> None:
    with target(f"{code}\ntell(inode=inode(s)); stay()") as server:
        LiveActor().destroy(by_inode(look(), server["inode"]))
        gone = [row for row in look().sockets.values() if row.inode == server["inode"] and row.state != "CLOSE"]
        assert gone == [] or gone[0].protocol == "udp"


def test_a_unix_socket_cannot_be_closed() -> None:
    code = "s, c = socket.socketpair(); tell(inode=inode(s)); stay()"
    with target(code) as server, pytest.raises(ActionError, match="TCP and UDP"):
        LiveActor().destroy(by_inode(look(), server["inode"]))


@needs_root
def test_a_socket_of_another_network_namespace_can_be_read_and_closed() -> None:
    code = """
assert ctypes.CDLL(None).unshare(0x40000000) == 0
s = socket.create_server(("0.0.0.0", 0)); cookie = int.from_bytes(s.getsockopt(1, 57, 8), "little")
tell(inode=inode(s), port=s.getsockname()[1], cookie=cookie, netns=os.stat("/proc/self/ns/net").st_ino)
for line in sys.stdin:
    try: s.accept()
    except OSError as error: print(error.errno, flush=True)
"""
    with target(code) as server:
        row = make_socket(
            f"0.0.0.0:{server['port']}", inode=server["inode"], cookie=server["cookie"], netns=server["netns"]
        )
        snapshot = make_snapshot(row, holders={row.inode: (server.pid, 3)})
        reader = LiveDetailReader(probe=True)
        (detail,) = reader.read(Wanted(1, (row.key,), facets=frozenset({"tcp"})), snapshot, lambda: False)
        reader.close()
        assert isinstance(detail, SocketDetail) and value_of(detail.tcp).state == 10
        LiveActor().destroy(row)
        assert int(server.command("accept")) == errno.EINVAL
