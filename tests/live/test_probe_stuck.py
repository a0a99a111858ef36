"""Targets stuck in a page fault (userfaultfd) while they hold a lock: we leave our helper behind and go on.

Without the helper each of these hung the reader for as long as the fault lasted, beyond the reach of kill -9.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from live.targets import Target, by_inode, look, target, value_of, wait_for

from sockscope.collect.actor import LiveActor
from sockscope.collect.detail import LiveDetailReader
from sockscope.kernel.proc_stat import read_stat
from sockscope.model.detail import SocketDetail, Wanted
from sockscope.model.source import ActionError

# A page of memory whose first touch sleeps until somebody serves the fault, and nobody does.
FAULTING = """
import mmap, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
uffd = libc.syscall(323 if os.uname().machine == "x86_64" else 282, os.O_CLOEXEC)
def control(request, *values):
    import fcntl
    fcntl.ioctl(uffd, request, bytearray(struct.pack("=%dQ" % len(values), *values)))
def watch(address):
    control(0xC020AA00, address, 4096, 1, 0)  # UFFDIO_REGISTER, missing pages
def page():
    return libc.mmap(None, 4096, 3, 0x22, -1, 0)
if uffd >= 0:
    control(0xC018AA3F, 0xAA, 0, 0)  # UFFDIO_API
"""
SENDING = FAULTING + """
s, c = pair(); other, oc = pair(); p = page(); watch(p)
thread(libc.send, s.fileno(), ctypes.c_void_p(p), 4096, 0)
os.read(uffd, 32)  # the fault has happened: send() sleeps in it, with the socket's lock
tell(inode=inode(s), other=inode(other)); stay()
"""
POLLING = FAULTING + """
s, c = pair(); p = page()
ctypes.memmove(p, struct.pack("=iHH", s.fileno(), 1, 0), 8)
thread(libc.poll, ctypes.c_void_p(p), 1, -1)
while open("/proc/self/task/%d/stat" % max(map(int, os.listdir("/proc/self/task")))).read().split()[2] != "S": pass
watch(p); libc.madvise(ctypes.c_void_p(p), 4096, 4)  # the array is taken away; reading it faults
tell(inode=inode(s)); stay()
"""
WAITING = FAULTING + """
s, c = pair(); p = page(); watch(p); e = select.epoll(); e.register(s, 1); c.send(b"x")
thread(libc.epoll_wait, e.fileno(), ctypes.c_void_p(p), 16, -1)
os.read(uffd, 32)  # epoll_wait sleeps while it writes the event, with the set's mutex
tell(inode=inode(s)); stay()
"""

needs_faults = pytest.mark.skipif(os.geteuid() != 0, reason="userfaultfd of kernel faults needs root")
pytestmark = needs_faults


@pytest.fixture
def reader() -> Iterator[LiveDetailReader]:
    made = LiveDetailReader(probe=True)
    yield made
    made.close()


def read(reader: LiveDetailReader, facets: set[str], *inodes: int) -> list[SocketDetail]:
    snapshot = look()
    keys = tuple(by_inode(snapshot, inode).key for inode in inodes)
    wanted = Wanted(1, sockets=keys, facets=frozenset(facets), budget_s=10.0)
    return [one for one in reader.read(wanted, snapshot, lambda: False) if isinstance(one, SocketDetail)]


def reason(read: object) -> str | None:
    gap = getattr(read, "gap", None)
    return None if gap is None else gap.reason


def children() -> list[int]:
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]


def stuck_children() -> list[str]:
    stats = [read_stat(pid) for pid in children()]
    return [stat.state for stat in stats if stat is not None and stat.name.startswith(b"python")]


def test_a_target_stuck_in_send_does_not_hang_us(reader: LiveDetailReader) -> None:
    with target(SENDING) as server:
        stuck, other = read(reader, {"tcp", "marks"}, server["inode"], server["other"])
        assert reason(stuck.tcp) == "timed_out"
        assert value_of(stuck.marks).receive_lowat == 1  # what takes no lock is there all the same
        assert value_of(other.tcp).rtt_us > 0 and value_of(other.marks).receive_lowat == 1
        starts = reader._helper.starts
        again, _ = read(reader, {"tcp"}, server["inode"], server["other"])
        assert reason(again.tcp) == "timed_out"
        assert reader._helper.starts == starts == 2  # quarantined: nobody was sent to it a second time


def test_a_poll_set_that_faults_does_not_hang_us(reader: LiveDetailReader) -> None:
    with target(POLLING) as server:
        (detail,) = read(reader, {"waiters"}, server["inode"])
        assert detail.waiters is not None
        assert detail.waiters.value is None and reason(detail.waiters) == "timed_out"


def test_an_epoll_set_whose_mutex_is_held_does_not_hang_us(reader: LiveDetailReader) -> None:
    with target(WAITING) as server:
        (detail,) = read(reader, {"watches"}, server["inode"])
        assert detail.watches is not None
        assert detail.watches.value is None and reason(detail.watches) == "timed_out"


def test_after_three_lost_helpers_the_facet_is_off_and_says_so(reader: LiveDetailReader) -> None:
    code = SENDING.replace("s, c = pair(); other", "more = [pair() for _ in range(4)]; s, c = pair(); other").replace(
        "tell(inode", "[thread(libc.send, a.fileno(), ctypes.c_void_p(p), 4096, 0) for a, _ in more]\n"
        "while sum(open('/proc/self/task/%s/wchan' % t).read() == 'handle_userfault'"
        " for t in os.listdir('/proc/self/task')) < 5: pass\n"
        "tell(more=[inode(a) for a, _ in more], inode",
    )
    with target(code) as server:
        found = read(reader, {"tcp", "marks"}, server["inode"], *server["more"], server["other"])
        assert [reason(one.tcp) for one in found] == ["timed_out"] * 4 + ["off", "off"]
        assert all(value_of(one.marks).receive_lowat == 1 for one in found)  # other facets go on


def test_left_helpers_die_with_the_fault(reader: LiveDetailReader) -> None:
    with target(SENDING) as server:
        read(reader, {"tcp"}, server["inode"])
        assert wait_for(stuck_children)
    wait_for(lambda: left_behind(reader), lambda left: not left)


def left_behind(reader: LiveDetailReader) -> list[int]:
    reader._helper._reap()
    return reader._helper._abandoned


def test_closing_a_socket_whose_owner_holds_its_lock_says_so() -> None:
    with target(SENDING) as server:
        with pytest.raises(ActionError, match="not closed yet"):
            LiveActor().destroy(by_inode(look(), server["inode"]))
        assert isinstance(server, Target)
