"""Each way a thread can wait on a socket is found, with the right call, fd and events."""

from __future__ import annotations

import os
import signal

import pytest
from live.targets import Target, read_one_process, read_socket, target, value_of, wait_for

from sockscope.collect.detail import LiveDetailReader
from sockscope.model.detail import ON_DEMAND, Waiter

FACETS = frozenset({"waiters", "watches"})


def waiters_of(inode: int) -> tuple[Waiter, ...]:
    read = read_socket(inode, FACETS).waiters
    assert read is not None and read.gap is None and read.value is not None, read
    return read.value


def the_waiter(inode: int) -> Waiter:
    (waiter,) = wait_for(lambda: waiters_of(inode), lambda found: len(found) == 1)
    return waiter


DIRECT = {
    "accept": ("s = listener(); thread(s.accept)", {"accept", "accept4"}),
    "recv": ("s, c = pair(); thread(s.recv, 1)", {"recvfrom"}),
    "read": ("s, c = pair(); thread(os.read, s.fileno(), 1)", {"read"}),
    "recvmsg": ("s, c = pair(); thread(s.recvmsg, 1)", {"recvmsg"}),
    "send": ("s, c = pair(); thread(s.sendall, bytes(1 << 26))", {"sendto"}),
    "write": ("s, c = pair(); thread(os.write, s.fileno(), bytes(1 << 26))", {"write"}),
    "udp": ("s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0)); thread(s.recv, 1)", {"recvfrom"}),
    "unix recv": ("s, c = socket.socketpair(); thread(s.recv, 1)", {"recvfrom"}),
    "unix send": ("s, c = socket.socketpair(); thread(s.sendall, bytes(1 << 26))", {"sendto"}),
    "unix accept": (
        "s = socket.socket(socket.AF_UNIX); s.bind('\\0sockscope-%d' % os.getpid()); s.listen(); thread(s.accept)",
        {"accept", "accept4"},
    ),
    # A listener whose queue is full answers no SYN: the next connect() sleeps.
    "connect": (
        """
l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(0)
c = socket.create_connection(l.getsockname())
s = socket.socket(); thread(s.connect, l.getsockname())""",
        {"connect"},
    ),
    "sendfile": (
        """
import tempfile; f = tempfile.TemporaryFile(); f.truncate(1 << 27); s, c = pair()
thread(os.sendfile, s.fileno(), f.fileno(), 0, 1 << 27)""",
        {"sendfile"},
    ),
}


@pytest.mark.parametrize("name", DIRECT)
def test_a_thread_in_a_call_on_the_socket(name: str) -> None:
    code, calls = DIRECT[name]
    with target(f"{code}\ntell(inode=inode(s), fd=s.fileno())\nstay()") as server:
        waiter = the_waiter(server["inode"])
        assert (waiter.pid, waiter.via, waiter.fd) == (server.pid, "direct", server["fd"])
        assert waiter.call in calls and waiter.tid != server.pid and waiter.via_fd is None


POLLS = {
    "poll": ("p = select.poll(); p.register(s, select.POLLIN | select.POLLPRI); thread(p.poll)", "poll", 3),
    "poll with a timeout": ("p = select.poll(); p.register(s, select.POLLIN); thread(p.poll, 600000)", "poll", 1),
    "select read": ("thread(select.select, [s], [], [])", "select", 1),
    "select exceptional": ("thread(select.select, [], [], [s])", "select", 2),
    "a python timeout": ("s.settimeout(600); thread(s.recv, 1)", "poll", 1),
}


@pytest.mark.parametrize("name", POLLS)
def test_a_thread_in_poll_or_select(name: str) -> None:
    code, via, events = POLLS[name]
    with target(f"s, c = pair()\n{code}\ntell(inode=inode(s), fd=s.fileno())\nstay()") as server:
        waiter = the_waiter(server["inode"])
        assert (waiter.via, waiter.fd, waiter.events) == (via, server["fd"], events)


def test_poll_for_writing_on_a_full_socket() -> None:
    code = """
s, c = pair(); s.setblocking(False)
while True:
    try: s.send(bytes(65536))
    except BlockingIOError: break
p = select.poll(); p.register(s, select.POLLOUT); thread(p.poll)
tell(inode=inode(s)); stay()
"""
    with target(code) as server:
        assert the_waiter(server["inode"]).events == 4


EPOLLS = {
    # name: (flags, trigger, oneshot, exclusive)
    "level": ("select.EPOLLIN", "level", False, False),
    "edge": ("select.EPOLLIN | select.EPOLLET | select.EPOLLRDHUP", "edge", False, False),
    "one-shot": ("select.EPOLLIN | select.EPOLLONESHOT", "level", True, False),
    "exclusive": ("select.EPOLLIN | select.EPOLLEXCLUSIVE", "level", False, True),
}


@pytest.mark.parametrize("name", EPOLLS)
def test_an_epoll_registration_and_its_waiter(name: str) -> None:
    flags, trigger, oneshot, exclusive = EPOLLS[name]
    code = f"""
s, c = pair(); e = select.epoll(); e.register(s, {flags}); thread(e.poll)
tell(inode=inode(s), fd=s.fileno(), set=e.fileno()); stay()
"""
    with target(code) as server:
        waiter = the_waiter(server["inode"])
        assert (waiter.via, waiter.via_fd, waiter.fd) == ("epoll", server["set"], server["fd"])
        assert waiter.call in {"epoll_wait", "epoll_pwait", "epoll_pwait2"} and waiter.events in {0x19, 0x2019}
        (watch,) = value_of(read_socket(server["inode"], FACETS).watches)
        assert (watch.trigger, watch.oneshot, watch.exclusive) == (trigger, oneshot, exclusive)
        assert watch.armed and watch.stale is None and (watch.pid, watch.epoll_fd) == (server.pid, server["set"])
        assert int(watch.data, 16) & 0xFFFFFFFF == server["fd"]


def test_a_fired_one_shot_watch_waits_for_nothing() -> None:
    code = """
s, c = pair(); e = select.epoll(); e.register(s, select.EPOLLIN | select.EPOLLONESHOT)
c.send(b"x"); assert e.poll(10); thread(e.poll)
tell(inode=inode(s)); stay()
"""
    with target(code) as server:
        wait_for(lambda: calls_of(server), lambda calls: "epoll_wait" in calls)
        detail = read_socket(server["inode"], FACETS)
        assert value_of(detail.waiters) == ()
        (watch,) = value_of(detail.watches)
        assert watch.oneshot and not watch.armed


def calls_of(server: Target) -> set[str | None]:
    return {thread.call for thread in value_of(read_one_process(server.pid, frozenset({"threads"})).threads)}


def test_a_set_nested_in_two_levels_of_sets() -> None:
    code = """
s, c = pair(); e = select.epoll(); e.register(s, select.EPOLLIN)
middle = select.epoll(); middle.register(e, select.EPOLLIN)
other = select.epoll(); event = select.epoll()
outer = select.epoll(); outer.register(event, select.EPOLLIN); outer.register(middle, select.EPOLLIN)
thread(outer.poll); tell(inode=inode(s), outer=outer.fileno(), set=e.fileno()); stay()
"""
    with target(code) as server:
        waiter = the_waiter(server["inode"])
        assert (waiter.via, waiter.via_fd) == ("epoll", server["outer"])
        (watch,) = value_of(read_socket(server["inode"], FACETS).watches)
        assert watch.epoll_fd == server["set"]


def test_a_nested_set_whose_fd_moved_is_told_by_kcmp() -> None:
    code = """
s, c = pair(); e = select.epoll(); e.register(s, select.EPOLLIN)
outer = select.epoll(); outer.register(e, select.EPOLLIN)
moved = os.dup(e.fileno()); e.close()
thread(outer.poll); tell(inode=inode(s), outer=outer.fileno(), moved=moved); stay()
"""
    with target(code) as server:
        waiter = the_waiter(server["inode"])
        assert waiter.via_fd == server["outer"]


def test_a_set_shared_over_fork_is_one_watch_with_two_waiters() -> None:
    code = """
s, c = pair(); e = select.epoll(); e.register(s, select.EPOLLIN)
child = os.fork()
if not child:
    c.close(); os.close(s.fileno()); signal.alarm(120); e.poll(); os._exit(0)
thread(e.poll); tell(inode=inode(s), child=child)
stay(); os.kill(child, 9)
"""
    with target(code) as server:
        try:
            found = wait_for(lambda: waiters_of(server["inode"]), lambda some: len(some) == 2)
            assert {waiter.pid for waiter in found} == {server.pid, server["child"]}
            (watch,) = value_of(read_socket(server["inode"], FACETS).watches)
            assert watch.pid == server.pid and watch.stale is None
        finally:
            os.kill(server["child"], signal.SIGKILL)


def test_a_watch_in_a_set_the_holder_does_not_share_is_found_on_demand_and_stays_known() -> None:
    """The child alone has the set; the parent alone has the socket. Only a search through every process finds it."""
    code = """
s, c = pair(); s2 = os.dup(s.fileno())
child = os.fork()
if not child:
    e = select.epoll(); e.register(s2, select.EPOLLIN); c.close(); s.close(); os.close(s2)
    signal.alarm(120); e.poll(); os._exit(0)
os.close(s2); tell(inode=inode(s), child=child)
stay(); os.kill(child, 9)
"""
    facets = frozenset({"watches"})
    with target(code) as server:
        reader = LiveDetailReader(probe=False)
        try:
            def watchers(more: frozenset[str]) -> set[int]:
                read = read_socket(server["inode"], facets | more, reader).watches
                return {watch.pid for watch in (read.value if read is not None else None) or ()}

            assert watchers(frozenset()) == set()
            wait_for(lambda: watchers(frozenset({ON_DEMAND})), lambda found: found == {server["child"]})
            assert watchers(frozenset()) == {server["child"]}, "a pass that nobody asked for keeps what is known"
        finally:
            reader.close()
            os.kill(server["child"], signal.SIGKILL)


STALE = {
    "closed": "kept = os.dup(s.fileno()); fd = s.fileno(); s.close()",
    "reused": (
        "kept = os.dup(s.fileno()); fd = s.fileno(); s.close()\n"
        "null = os.open('/dev/null', 0); os.dup2(null, fd)"
    ),
}


@pytest.mark.parametrize("state", STALE)
def test_a_registration_that_outlived_its_fd_is_named(state: str) -> None:
    code = f"""
s, c = pair(); e = select.epoll(); e.register(s, select.EPOLLIN); node = inode(s)
{STALE[state]}
thread(e.poll); tell(inode=node, fd=fd); stay()
"""
    with target(code) as server:
        (watch,) = value_of(read_socket(server["inode"], FACETS).watches)
        assert (watch.fd, watch.stale) == (server["fd"], state)


def test_a_stopped_thread_waits_for_nothing() -> None:
    """In T the old call line is still shown; after the continue it counts again, and poll as what it was."""
    with target("s, c = pair(); p = select.poll(); p.register(s, 1); tell(inode=inode(s)); p.poll()") as server:
        the_waiter(server["inode"])
        os.kill(server.pid, signal.SIGSTOP)
        wait_for(lambda: waiters_of(server["inode"]), lambda found: found == ())
        (thread,) = value_of(read_one_process(server.pid, frozenset({"threads"})).threads)
        assert (thread.state, thread.call, thread.on_fds) == ("T", "none", None)
        os.kill(server.pid, signal.SIGCONT)
        waiter = the_waiter(server["inode"])
        assert (waiter.call, waiter.via) == ("poll", "poll")  # the kernel itself says restart_syscall by now


def test_a_running_thread_waits_for_nothing() -> None:
    with target("s, c = pair(); tell(inode=inode(s), fd=s.fileno())\nwhile True: pass") as server:
        assert waiters_of(server["inode"]) == ()
        assert calls_of(server) == {"running"}


def test_a_thread_with_its_own_fd_table() -> None:
    """After unshare(CLONE_FILES) the same fd number is another file in this thread."""
    code = """
a, ac = pair(); b, bc = pair(); told = threading.Event()
def own():
    assert ctypes.CDLL(None).unshare(0x400) == 0
    os.dup2(b.fileno(), a.fileno())  # in this thread only
    told.set(); os.read(a.fileno(), 1)
thread(own); told.wait(); tell(a=inode(a), b=inode(b), fd=a.fileno()); stay()
"""
    with target(code) as server:
        waiter = the_waiter(server["b"])
        assert waiter.fd == server["fd"]
        assert waiters_of(server["a"]) == ()


def test_a_socket_nobody_waits_on_and_one_without_an_owner() -> None:
    with target("l = listener(); c = socket.create_connection(l.getsockname()); tell(inode=inode(c)); stay()") as server:
        assert waiters_of(server["inode"]) == ()


def test_several_threads_wait_on_one_listener() -> None:
    with target("s = listener(); [thread(s.accept) for _ in range(4)]; tell(inode=inode(s)); stay()") as server:
        found = wait_for(lambda: waiters_of(server["inode"]), lambda some: len(some) == 4)
        assert len({waiter.tid for waiter in found}) == 4


# io_uring without a library: one request is put into the ring, a thread sleeps for its completion.
RING = """
import mmap, struct
libc = ctypes.CDLL(None, use_errno=True)
parameters = ctypes.create_string_buffer(120)
ring = libc.syscall(425, 8, parameters)
if ring < 0:
    tell(refused=True); sys.exit()
values = struct.unpack("=30I", parameters.raw)
sq = mmap.mmap(ring, values[16] + values[0] * 4)
requests = mmap.mmap(ring, values[0] * 64, offset=0x10000000)
def submit(opcode, fd, address=0, length=0):
    tail = struct.unpack_from("=I", sq, values[11])[0]
    place = tail & (values[0] - 1)
    requests[place * 64 : place * 64 + 64] = struct.pack("=BBHiQQI", opcode, 0, 0, fd, 0, address, length).ljust(64, b"\\0")
    sq[values[16] + place * 4 : values[16] + place * 4 + 4] = struct.pack("=I", place)
    sq[values[11] : values[11] + 4] = struct.pack("=I", tail + 1)
def enter(count):
    thread(libc.syscall, 426, ring, count, 1, 1, 0, 0)
"""


def test_io_uring_accept_is_laid_to_the_only_listener() -> None:
    code = RING + "s = listener(); submit(13, s.fileno()); enter(1); tell(inode=inode(s), ring=ring); stay()"
    with target(code) as server:
        if "refused" in server.facts:
            pytest.skip("io_uring is turned off here")
        waiter = the_waiter(server["inode"])
        assert (waiter.call, waiter.via, waiter.via_fd) == ("io_uring_enter", "io_uring", server["ring"])


def test_io_uring_receives_on_several_sockets_are_not_guessed() -> None:
    code = RING + """
pairs = [pair() for _ in range(2)]; buffer = ctypes.create_string_buffer(16)
for s, _ in pairs: submit(27, s.fileno(), ctypes.addressof(buffer), 16)
enter(2); tell(inode=inode(pairs[0][0])); stay()
"""
    with target(code) as server:
        if "refused" in server.facts:
            pytest.skip("io_uring is turned off here")
        read = wait_for(lambda: read_socket(server["inode"], FACETS).waiters, lambda some: some is not None and some.gap is not None)
        assert read is not None and read.gap is not None
        assert read.value is None and read.gap.reason == "unsupported" and "2 recv" in read.gap.detail
