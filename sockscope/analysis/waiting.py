"""The waiting column: who waits on a socket, in a few cells' width."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from sockscope.model.detail import Read, SocketDetail, Waiter, Watch

T = TypeVar("T")
_FAMILIES = {
    "accept4": "accept", "recvfrom": "recv", "recvmsg": "recv", "recvmmsg": "recv", "readv": "read", "preadv": "read",
    "sendto": "send", "sendmsg": "send", "sendmmsg": "send", "writev": "write", "ppoll": "poll", "pselect6": "select",
    "io_uring_enter": "io_uring",
}
_SETS = ("epoll", "io_uring")


def waiting_text(detail: SocketDetail | None) -> str:
    """Say who waits: "epoll ET ×2", "accept ×4", "poll", "nobody"; "" when it was not read, "?" when it could not be.

    Threads blocked on the socket itself come first, then its epoll registrations, whether or not a thread sleeps in
    that set now. "nobody" is said only when both were read and nothing was left out.
    """
    if detail is None or (detail.waiters is None and detail.watches is None):
        return ""
    waiters = detail.waiters.value if detail.waiters is not None else None
    watches = detail.watches.value if detail.watches is not None else None
    parts = _thread_parts(waiters or (), is_watched=bool(watches)) + _watch_parts(watches or ())
    if parts:
        return ", ".join(parts)
    return "nobody" if _is_whole(detail.waiters) and _is_whole(detail.watches) else "?"


def call_word(call: str) -> str:
    """Name the family of a system call: accept4 is accept, recvfrom and recvmsg are recv."""
    return _FAMILIES.get(call, call)


def _is_whole(read: Read[T] | None) -> bool:
    return read is not None and read.value is not None and read.gap is None


def _thread_parts(waiters: tuple[Waiter, ...], *, is_watched: bool) -> list[str]:
    """Threads by call. Those in epoll_wait are left to the registrations, which say more, where these were read."""
    words: Counter[str] = Counter()
    for waiter in waiters:
        if not (waiter.via == "epoll" and is_watched):
            words[waiter.via if waiter.via in _SETS else call_word(waiter.call)] += 1
    return [_times(word, count) for word, count in words.items()]


def _watch_parts(watches: tuple[Watch, ...]) -> list[str]:
    words = Counter(_watch_word(watch) for watch in watches)
    return [_times(word, count) for word, count in words.items()]


def _watch_word(watch: Watch) -> str:
    word = "epoll ET" if watch.trigger == "edge" else "epoll LT"
    if not watch.armed:
        return f"{word} fired"
    return f"{word} stale" if watch.stale is not None else word


def _times(word: str, count: int) -> str:
    return word if count == 1 else f"{word} ×{count}"
