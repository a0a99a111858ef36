"""A thousand probes change nothing in the target: no edge, no larger buffer, no late FIN, no stolen error."""

from __future__ import annotations

import os
import resource
import select
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live.targets import Target, by_inode, look, target, value_of

from sockscope.collect.detail import SOCKET_FACETS, LiveDetailReader
from sockscope.kernel.calls import syscall
from sockscope.kernel.pidfd import read_marks
from sockscope.model.detail import SocketDetail, Wanted
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import SocketKey, SocketMemory

PROBES = 1_000

# Answers "count" with the events its edge-triggered watcher got so far.
EDGE = """
s, c = pair(); s.setblocking(False)
def fill():
    while True:
        try: s.send(bytes(65536))
        except BlockingIOError: return
fill()
e = select.epoll(); seen = []
e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET | select.EPOLLRDHUP)
e.poll(0.1); fill()  # the first report is not an edge
def watcher():
    while True: seen.extend(e.poll())
thread(watcher)
tell(inode=inode(s))
for line in sys.stdin: print(len(seen), flush=True)
"""
# Full enough that poll() says no, yet never so full that send() itself marked the socket. "drain" lets the peer read.
# At an address of its own: a small congestion window that the kernel remembers of 127.0.0.1 (ip tcp_metrics) keeps the
# buffer from growing whatever is done.
FILLED = """
import os, struct
address = "127." + ".".join(str(1 + number % 250) for number in os.urandom(3))
listener = socket.create_server((address, 0))
c = socket.create_connection(listener.getsockname(), source_address=(address, 0))
s, _ = listener.accept(); s.setblocking(False)
def memory(): return struct.unpack("=9I", s.getsockopt(socket.SOL_SOCKET, 55, 36))
while memory()[5] < memory()[3] * 0.75: s.send(bytes(16384))
tell(inode=inode(s), fd=s.fileno())
for line in sys.stdin:
    got = 0
    while memory()[5]: got += len(c.recv(65536))
    print(got, flush=True)
"""
LOAD = """
s, c = pair(); data = bytes(16384)
def pour():
    while True: c.sendall(data)
def drain():
    global got
    while True: got += len(s.recv(65536))
got = 0; thread(pour); thread(drain)
tell(inode=inode(s))
for line in sys.stdin: print(got, flush=True)
"""
ERROR = """
s, c = pair(); s.send(b"unread"); c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1,0,0,0,0,0,0,0]))
p = select.poll(); p.register(s, 0)
c.close(); p.poll(); tell(inode=inode(s), fd=s.fileno())
for line in sys.stdin:
    print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
"""
# Each "close" closes one end and answers how long the peer waited for its FIN, in microseconds.
CLOSING = """
pairs = [pair() for _ in range(400)]; tell(inodes=[inode(s) for s, _ in pairs])
for line in sys.stdin:
    s, c = pairs[int(line)]
    start = time.perf_counter(); s.close(); c.recv(1); print(int((time.perf_counter() - start) * 1e6), flush=True)
"""


@pytest.fixture
def reader() -> Iterator[LiveDetailReader]:
    made = LiveDetailReader(probe=True)
    yield made
    made.close()


@pytest.fixture
def probe(reader: LiveDetailReader) -> Callable[[Snapshot, SocketKey], SocketDetail]:
    """Reads every facet of one socket once."""

    def read(snapshot: Snapshot, key: SocketKey) -> SocketDetail:
        wanted = Wanted(1, sockets=(key,), facets=SOCKET_FACETS, budget_s=10.0)
        (detail,) = reader.read(wanted, snapshot, lambda: False)
        assert isinstance(detail, SocketDetail)
        return detail

    return read


Probe = Callable[[Snapshot, SocketKey], SocketDetail]


def test_an_edge_triggered_watcher_gets_no_spurious_event(probe: Probe) -> None:
    """poll() on a duplicate would make one of these in three of three settings."""
    with target(EDGE) as server:
        snapshot = look()
        before = server.command("count")
        details = [probe(snapshot, by_inode(snapshot, server["inode"]).key) for _ in range(PROBES)]
        assert all(value_of(one.marks).receive_lowat == 1 and value_of(one.watches) for one in details)
        assert server.command("count") == before


@pytest.mark.parametrize("polled", [False, True], ids=["probed", "polled"])
def test_a_full_send_buffer_does_not_grow(probe: Probe, polled: bool) -> None:
    """Two thirds full and then read by the peer, a socket keeps its buffer when probed; poll() on a duplicate grows it.

    The second case shows that the first could fail.
    """
    with target(FILLED) as server:
        before = memory_of(server["inode"]).send_buffer
        snapshot = look()
        key = by_inode(snapshot, server["inode"]).key
        if polled:
            with borrowed(server.pid, server["fd"]) as fd:
                poll = select.poll()
                poll.register(fd, 0)
                poll.poll(0)
        else:
            for _ in range(PROBES):
                probe(snapshot, key)
        server.command("drain")
        after = memory_of(server["inode"]).send_buffer
        assert (after > before) if polled else (after == before)


def memory_of(inode: int) -> SocketMemory:
    memory = by_inode(look(), inode).memory
    assert memory is not None
    return memory


@contextmanager
def borrowed(pid: int, fd: int) -> Iterator[int]:
    """What the product never does: an fd of the target held for as long as we like."""
    process = os.pidfd_open(pid)
    duplicate = syscall("pidfd_getfd", process, fd, 0)
    try:
        yield duplicate
    finally:
        os.close(duplicate)
        os.close(process)


def test_a_pending_error_stays_for_its_owner() -> None:
    """Marks of a reset socket are read by its holder's fd; SO_ERROR would take the error away."""
    with target(ERROR) as server:
        for _ in range(PROBES):
            assert read_marks(server.pid, server["fd"], server["inode"], None, tcp=True).receive_lowat == 1
        assert int(server.command("error")) == 104  # ECONNRESET


def test_probes_under_load_leave_no_fd_and_lose_no_answer(probe: Probe, reader: LiveDetailReader) -> None:
    with target(LOAD) as server:
        snapshot = look()
        key = by_inode(snapshot, server["inode"]).key
        probe(snapshot, key)
        helper = reader._helper._pid
        before, ours = count_fds(helper), count_fds(os.getpid())
        first = int(server.command("count"))
        details = [probe(snapshot, key) for _ in range(PROBES)]
        assert all(one.tcp and one.tcp.value and one.marks and one.marks.value for one in details)
        assert (count_fds(helper), count_fds(os.getpid())) == (before, ours)
        assert reader._helper.starts == 1
        assert int(server.command("count")) > first


def count_fds(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_no_fin_is_delayed(probe: Probe) -> None:
    """Half the sockets are closed while they are probed without a pause, half are left in peace.

    Told as medians: single waits of milliseconds are this machine's scheduling, probed or not.
    """
    with target(CLOSING) as server:
        snapshot = look()
        inodes = server["inodes"]
        waits: dict[bool, list[int]] = {True: [], False: []}
        for place, inode in enumerate(inodes):
            probed = place % 2 == 0
            key = by_inode(snapshot, inode).key
            waits[probed].append(close_one(server, place, snapshot, key, probe if probed else None))
        medians = {probed: statistics.median(values) for probed, values in waits.items()}
        late = {probed: sum(value > 1_000 for value in values) for probed, values in waits.items()}
        print(f"FIN after close, median us: probed {medians[True]}, else {medians[False]}; over 1 ms: {late} of 200")
        assert medians[True] < 1_000
        assert late[True] <= late[False] + 10


def close_one(server: Target, place: int, snapshot: Snapshot, key: SocketKey, probe: Probe | None) -> int:
    """The target's wait for the FIN; with a probe, marks are borrowed again and again until it has it."""
    stdin, stdout = server.process.stdin, server.process.stdout
    assert stdin is not None and stdout is not None
    if probe is not None:
        probe(snapshot, key)
    stdin.write(f"{place}\n")
    stdin.flush()
    while probe is not None and not readable(stdout.fileno()):
        probe(snapshot, key)
    return int(stdout.readline())


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_without_the_probe_nothing_is_borrowed() -> None:
    with target("s, c = pair(); tell(inode=inode(s)); stay()") as server:
        reader = LiveDetailReader(probe=False)
        snapshot = look()
        wanted = Wanted(1, sockets=(by_inode(snapshot, server["inode"]).key,), facets=SOCKET_FACETS)
        (detail,) = reader.read(wanted, snapshot, lambda: False)
        reader.close()
        assert isinstance(detail, SocketDetail) and detail.marks is not None and detail.marks.gap is not None
        assert detail.marks.value is None and detail.marks.gap.reason == "off"
        assert value_of(detail.tcp).snd_mss > 0


def test_a_process_with_few_fds_allowed_can_still_be_read(probe: Probe) -> None:
    """The borrowed fd is ours, not the target's: its limit does not matter."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = f"""
import resource
s, c = pair(); resource.setrlimit(resource.RLIMIT_NOFILE, (8, {hard})); tell(inode=inode(s)); stay()
"""
    assert soft > 8
    with target(code) as server:
        snapshot = look()
        assert value_of(probe(snapshot, by_inode(snapshot, server["inode"]).key).marks).receive_lowat == 1
