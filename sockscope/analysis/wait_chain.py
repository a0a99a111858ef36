"""Who waits for whom: from a socket to the thread that should act, to what that thread waits for, and on from there.

Followed across sockets and pipes of this host, as far as threads and fds were read in detail.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, structs

from sockscope.analysis.peers import peer_of
from sockscope.model.detail import ProcessDetail
from sockscope.model.observation import Observation
from sockscope.model.process import Fd, Thread
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket, SocketKey

MOST_LINKS = 8
WAITS_FOR_PEER = frozenset({"read", "readv", "recvfrom", "recvmsg", "recvmmsg", "connect"})
WRITES = frozenset({"write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice"})
BLOCKED = frozenset({"S", "D"})
_newest: tuple[Snapshot, dict[tuple[int, int], Socket]] | None = None


class Link(Struct, frozen=True, gc=False):
    """One thread that waits: in which call, on which fd, and what that fd is. `closes` marks a circle: a deadlock.

    `fd` is None for the last of a chain that waits for no fd: it is due, and this is what it does instead. `what`
    is "" where the fd is no socket and was not read. `socket` is the socket it waits on; `other` the row of the other
    end where that is on this host.
    """

    pid: int
    tid: int
    name: bytes
    call: str
    fd: int | None
    what: str
    socket: SocketKey | None = None
    other: SocketKey | None = None
    closes: bool = False


def wait_chain(socket: Socket, observation: Observation) -> tuple[Link, ...]:
    """Follow, from the threads of this socket's holders, what each waits for. Empty where nothing was read."""
    return follow(socket, observation)[0]


def follow(socket: Socket, observation: Observation) -> tuple[tuple[Link, ...], tuple[int, ...]]:
    """Return the chain, and the processes whose threads and fds would tell how it goes on; () where it has its end."""
    snapshot, details = observation.snapshot, observation.process_details
    links: list[Link] = []
    seen: set[int] = set()
    pids = [holder.pid for holder in snapshot.holders_of(socket)]
    came_by: Socket | None = socket
    while pids and len(links) < MOST_LINKS:
        step = _next_step(pids, details, snapshot, came_by)
        if step is None:
            last = _due(pids, details, snapshot) if links else None
            return ((*links, last), ()) if last is not None and last.pid not in seen else (tuple(links), tuple(pids))
        link, pids, came_by = step
        if link.pid in seen:
            links[-1] = structs.replace(links[-1], closes=True)
            return tuple(links), ()
        seen.add(link.pid)
        links.append(link)
    return tuple(links), tuple(dict.fromkeys(pids))


def _next_step(
    pids: list[int], details: Mapping[int, ProcessDetail], snapshot: Snapshot, came_by: Socket | None
) -> tuple[Link, list[int], Socket | None] | None:
    """Find the first of these processes with a thread blocked on an fd other than where we came from."""
    for pid in dict.fromkeys(pids):
        for thread in _threads(pid, details, snapshot):
            call = thread.call or ""
            if thread.state not in BLOCKED or thread.on_fd is None or call not in WAITS_FOR_PEER | WRITES:
                continue
            socket = held(snapshot, pid, thread.on_fd)
            if socket is not None and came_by is not None and socket.key == came_by.key:
                continue
            if socket is not None:
                return _by_socket(thread, thread.on_fd, socket, snapshot)
            fd = _fd(pid, thread.on_fd, details, snapshot)
            if fd is not None and fd.kind in ("pipe", "fifo") and fd.inode is not None:
                return _by_pipe(thread, fd, details, snapshot)
            what = fd.target.decode("utf-8", "backslashreplace") if fd is not None else ""
            return Link(pid, thread.tid, thread.name, call, thread.on_fd, what), [], None  # and nobody knows further
    return None


def _due(pids: list[int], details: Mapping[int, ProcessDetail], snapshot: Snapshot) -> Link | None:
    """Say what the first of these that was read does: nobody but itself keeps it from acting."""
    for pid in dict.fromkeys(pids):
        threads = _threads(pid, details, snapshot)
        main = next((thread for thread in threads if thread.tid == pid), None)
        if main is not None:
            return Link(pid, main.tid, main.name, "running" if main.state == "R" else main.call or "", None, "")
    return None


def _by_socket(
    thread: Thread, fd: int, socket: Socket, snapshot: Snapshot
) -> tuple[Link, list[int], Socket | None]:
    other = peer_of(snapshot, socket)
    remote = socket.remote
    if remote is not None and remote.port is not None:
        what = f"[{remote.address}]:{remote.port}" if ":" in remote.address else f"{remote.address}:{remote.port}"
    else:
        what = f"{socket.family} socket"
    link = Link(thread.pid, thread.tid, thread.name, thread.call or "", fd, what, socket.key,
                other.key if other is not None else None)
    return link, [holder.pid for holder in snapshot.holders_of(other)] if other is not None else [], other


def _by_pipe(
    thread: Thread, fd: Fd, details: Mapping[int, ProcessDetail], snapshot: Snapshot
) -> tuple[Link, list[int], Socket | None]:
    """Go on at whoever has the other end: writers for a reader, readers for a writer."""
    link = Link(thread.pid, thread.tid, thread.name, thread.call or "", fd.fd, f"pipe:[{fd.inode}]")
    detail = details.get(thread.pid)
    ends = detail.pipes.value if detail is not None and detail.pipes is not None else None
    if ends is not None:
        unwanted = thread.call in WRITES
        return link, [end.pid for end in ends if end.inode == fd.inode and end.writes is not unwanted], None
    others = [pid for pid in {*details, *(one.pid for one in snapshot.fds or ())} if pid != thread.pid]
    holding = [pid for pid in sorted(others) if any(
        one.inode == fd.inode and one.kind in ("pipe", "fifo") for one in _fds(pid, details, snapshot)
    )]
    return link, holding, None


def _threads(pid: int, details: Mapping[int, ProcessDetail], snapshot: Snapshot) -> tuple[Thread, ...]:
    detail = details.get(pid)
    if detail is not None and detail.threads is not None and detail.threads.value is not None:
        return detail.threads.value
    return tuple(thread for thread in snapshot.threads or () if thread.pid == pid)


def _fds(pid: int, details: Mapping[int, ProcessDetail], snapshot: Snapshot) -> tuple[Fd, ...]:
    detail = details.get(pid)
    if detail is not None and detail.fds is not None and detail.fds.value is not None:
        return detail.fds.value
    return tuple(fd for fd in snapshot.fds or () if fd.pid == pid)


def _fd(pid: int, number: int, details: Mapping[int, ProcessDetail], snapshot: Snapshot) -> Fd | None:
    return next((fd for fd in _fds(pid, details, snapshot) if fd.fd == number), None)


def held(snapshot: Snapshot, pid: int, fd: int) -> Socket | None:
    """Find the socket behind a process's fd. All of a snapshot are joined when the first is asked for."""
    global _newest  # noqa: PLW0603  # a memo of one entry; replacing it is atomic
    memo = _newest
    if memo is None or memo[0] is not snapshot:
        by_inode = {socket.inode: socket for socket in snapshot.sockets.values() if socket.inode}
        memo = _newest = (snapshot, {
            (holder.pid, holder.fd): socket
            for inode, holders in snapshot.holders.items() if (socket := by_inode.get(inode)) is not None
            for holder in holders
        })
    return memo[1].get((pid, fd))


def chain_text(links: tuple[Link, ...]) -> str:
    """Say the chain: "thread 2311 is in recvfrom(fd 9 → 10.0.0.7:5432)"; further processes after a semicolon."""
    return "; ".join(link_texts(links))


def link_texts(links: tuple[Link, ...]) -> list[str]:
    """Say each link; the last one tells if the chain is a circle."""
    texts = []
    for link in links:
        who = f"thread {link.tid}" if link is links[0] else f"process {link.pid}"
        if link.fd is None:
            does = link.call if link.call in ("", "running") else f"in {link.call}()"
            texts.append(f"{who} has the other end" + (f", {does}" if does else ""))
            continue
        where = f"fd {link.fd} → {link.what}" if link.what else f"fd {link.fd}"
        texts.append(f"{who} is in {link.call}({where})")
    if links and links[-1].closes:
        texts[-1] += "; and so in a circle: a deadlock"
    return texts
