"""A process as a live tree: thread -> call -> epoll set -> sockets, and what nobody watches. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from msgspec import Struct

from sockscope.analysis.memory import Memory
from sockscope.model.detail import Watch
from sockscope.model.gap import Gap
from sockscope.model.observation import Observation
from sockscope.model.process import Fd, Thread
from sockscope.model.socket import Socket
from sockscope.present.format import duration
from sockscope.present.text import sanitise
from sockscope.tui.pictures.parts import EMPTY_LINE, Part, TextLine, line, title
from sockscope.tui.pictures.pipeline import events_text
from sockscope.tui.pictures.process_fds import Holding, socket_parts
from sockscope.tui.pictures.summary import gap_text

SHOWN_OF_SET = 10  # watches before `n more`, which Space opens
ALIKE_FROM = 3  # threads of one name in one call that become one line


class Tree(Struct, frozen=True):
    """What the tree is made of. `opened` are keys of lines that are unfolded beyond their default."""

    pid: int
    threads: Sequence[Thread]
    watches: Sequence[Watch]
    holding: Holding
    observation: Observation
    memory: Memory
    opened: frozenset[Hashable] = frozenset()
    gaps: tuple[Gap, ...] = ()
    width: int = 80


def make_tree(pid: int, observation: Observation, memory: Memory, holding: Holding, *,
              opened: frozenset[Hashable], width: int) -> Tree:
    """Take threads and watches from the details, or from the look itself."""
    detail = observation.process_details.get(pid)
    threads = detail.threads.value if detail is not None and detail.threads is not None else None
    watches = detail.watches.value if detail is not None and detail.watches is not None else None
    if threads is None:
        threads = tuple(thread for thread in observation.snapshot.threads or () if thread.pid == pid)
    gaps = tuple(
        read.gap for read in (detail.threads, detail.watches) if read is not None and read.gap is not None
    ) if detail is not None else ()
    return Tree(pid, threads, watches or (), holding, observation, memory, opened, gaps, width)


def tree_lines(tree: Tree) -> list[TextLine]:
    """All threads, then sets nobody sleeps in, then sockets nobody watches."""
    running = sum(thread.state == "R" for thread in tree.threads)
    asleep = f"{running} running, {len(tree.threads) - running} asleep" if tree.threads else "not read yet"
    lines = [title(f"THREADS {len(tree.threads) or ''}", asleep)]
    waited: set[int] = set()
    for group in _alike(tree.threads):
        lines += _thread_lines(group, tree, waited)
    idle = sorted({watch.epoll_fd for watch in tree.watches} - waited)
    if idle:
        lines += [EMPTY_LINE, title("EPOLL SETS NOBODY SLEEPS IN NOW")]
        for epoll_fd in idle:
            lines += _set_lines(epoll_fd, tree, "")
    lonely = unwatched(tree)
    if lonely:
        lines += [EMPTY_LINE, title("NOT WATCHED BY ANYBODY", "no epoll set, no thread waits on it")]
        for fd, socket in lonely:
            parts = socket_parts(socket, tree.observation, max(20, tree.width - 40))
            lines.append(line(f"  fd {fd.fd:<4} ", *parts, key=("socket", socket.key, "lonely", fd.fd)))
    lines += [line(("  " + gap_text(gap), "dim")) for gap in tree.gaps]
    return lines


def _alike(threads: Sequence[Thread]) -> list[list[Thread]]:
    """Threads of one name in one call on nothing in particular stand together, a pool of workers above all."""
    groups: dict[object, list[Thread]] = {}
    for thread in threads:
        own = thread.on_fd is not None or thread.on_fds or thread.tid == thread.pid
        groups.setdefault(thread.tid if own else (thread.name, thread.call), []).append(thread)
    split: list[list[Thread]] = []
    for group in groups.values():
        split += [group] if len(group) >= ALIKE_FROM else [[thread] for thread in group]
    return split


def _thread_lines(group: list[Thread], tree: Tree, waited: set[int]) -> list[TextLine]:
    first = group[0]
    number = f"{first.tid}" if len(group) == 1 else f"{first.tid}-{group[-1].tid}"
    times = "" if len(group) == 1 else f" ×{len(group)}"
    call = _call(first)
    age = _call_age(first, tree)
    role = "good" if first.state == "R" else "plain"
    key = ("thread", first.tid)
    lines = [line(f"▾ {number} {sanitise(first.name, 16)}{times}   ", (call + age, role), key=key, foldable=True)]
    if key in tree.opened:
        return [line(f"▸ {number} {sanitise(first.name, 16)}{times}   ", (call + age, role), key=key, foldable=True)]
    if first.on_fd is not None and (first.call or "").startswith("epoll_"):
        waited.add(first.on_fd)
        lines += _set_lines(first.on_fd, tree, "  ")
    elif first.on_fds:
        lines += [_fd_line(fd, events_text(events), tree, "    ", ("polled", first.tid, fd))
                  for fd, events in first.on_fds[:SHOWN_OF_SET * 2]]
    elif first.on_fd is not None:
        lines.append(_fd_line(first.on_fd, "", tree, "    ", ("direct", first.tid)))
    return lines


def _call(thread: Thread) -> str:
    if thread.call is None:
        return thread.wchan or "not readable"
    if thread.call in ("running", "none"):
        return thread.call
    return f"{thread.call}({'' if thread.on_fd is None else thread.on_fd})"


def _call_age(thread: Thread, tree: Tree) -> str:
    """For how long it has been in its call: at least so long, where it was so when it was first looked at."""
    process = tree.observation.snapshot.processes.get(tree.pid)
    known = tree.memory.process(process)
    seen = next((seen for seen in known.threads if seen.thread.tid == thread.tid), None) if known is not None else None
    if seen is None or seen.call_since_s is None:
        return ""
    return f" {'' if seen.call_whole else '≥'}{duration(max(0.0, tree.memory.now_s - seen.call_since_s))}"


def _set_lines(epoll_fd: int, tree: Tree, indent: str) -> list[TextLine]:
    watches = [watch for watch in tree.watches if watch.epoll_fd == epoll_fd]
    readable = sum(
        bool((socket := tree.holding.socket_by_inode(watch.inode)) and socket.receive_queued) for watch in watches
    )
    key = ("set", epoll_fd)
    note = f"{len(watches)} watched" + (f", {readable} with something to read" if readable else "")
    lines = [line(f"{indent}▾ epoll {epoll_fd}  ", (note, "dim"), key=key, foldable=True)]
    shown = watches if key in tree.opened else watches[:SHOWN_OF_SET]
    for number, watch in enumerate(shown):
        words = [events_text(watch.events & 0x1FFF)]
        words += ["EDGE"] if watch.trigger == "edge" else []
        words += [] if not watch.oneshot else ["ONE-SHOT" if watch.armed else "SPENT"]
        words += ["EXCL"] if watch.exclusive else []
        words += [f"STALE {watch.stale}"] if watch.stale else []
        lines.append(_fd_line(watch.fd, " ".join(words), tree, indent + "    ", (epoll_fd, number),
                              inode=watch.inode))
    if len(watches) > len(shown):
        lines.append(line((f"{indent}    {len(watches) - len(shown)} more (Space)", "dim"), key=("more", epoll_fd),
                          foldable=True))
    return lines


def _fd_line(number: int, how: str, tree: Tree, indent: str, place: Hashable, *,
             inode: int | None = None) -> TextLine:
    fd = tree.holding.fds.get(number)
    socket = tree.holding.socket_by_inode(inode if inode is not None else fd.inode if fd is not None else None)
    parts: list[Part] = [(f"{indent}fd {number:<4} ", "plain"), (f"{how:<8} ", "dim")]
    if socket is not None:
        parts += socket_parts(socket, tree.observation, max(20, tree.width - 40))
        return line(*parts, key=("socket", socket.key, "tree", place))
    what = sanitise(fd.target, 60) if fd is not None else "?"
    return line(*parts, (what, "dim"), key=("fd", number, "tree", place))


def unwatched(tree: Tree) -> list[tuple[Fd, Socket]]:
    """Sockets of the process in no epoll set and under no thread; only said where threads and watches were read."""
    detail = tree.observation.process_details.get(tree.pid)
    if detail is None or detail.threads is None or detail.watches is None or tree.gaps:
        return []
    watched = {watch.inode for watch in tree.watches}
    waited = {thread.on_fd for thread in tree.threads} | {fd for one in tree.threads for fd, _ in one.on_fds or ()}
    return [
        (fd, socket) for fd, socket in tree.holding.sockets()
        if socket.inode not in watched and fd.fd not in waited
    ]


def fold_key(key: Hashable) -> Hashable:
    """Return what Space on this line opens or closes."""
    if isinstance(key, tuple) and key and key[0] == "more":
        return ("set", key[1])
    return key

