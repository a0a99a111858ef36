"""The waiting column's words."""

from __future__ import annotations

from builders import make_socket

from sockscope.analysis.waiting import waiting_text
from sockscope.model.detail import Read, SocketDetail, Waiter, Watch
from sockscope.model.gap import Gap

KEY = make_socket().key


def detail(waiters: tuple[Waiter, ...] | None = (), watches: tuple[Watch, ...] | None = (), gap: Gap | None = None) -> SocketDetail:
    return SocketDetail(KEY, waiters=Read(waiters, 0.0, gap), watches=Read(watches, 0.0))


def waiter(call: str, via: str = "direct", tid: int = 1) -> Waiter:
    return Waiter(1, tid, b"", call, via)


def watch(trigger: str = "edge", *, armed: bool = True, stale: str | None = None, epoll_fd: int = 5) -> Watch:
    return Watch(1, epoll_fd, 9, 1, 9, 1, "0", trigger, not armed, armed, False, stale)


def test_words() -> None:
    assert waiting_text(None) == waiting_text(SocketDetail(KEY)) == ""
    assert waiting_text(detail()) == "nobody"
    assert waiting_text(detail(tuple(waiter("accept4", tid=tid) for tid in range(4)))) == "accept ×4"
    assert waiting_text(detail((waiter("ppoll", "poll"),))) == "poll"
    assert waiting_text(detail((waiter("pselect6", "select"), waiter("recvmsg", tid=2)))) == "select, recv"
    assert waiting_text(detail((waiter("epoll_wait", "epoll"),), (watch(), watch(epoll_fd=6)))) == "epoll ET ×2"
    assert waiting_text(detail((), (watch("level"),))) == "epoll LT"
    assert waiting_text(detail((), (watch(armed=False),))) == "epoll ET fired"
    assert waiting_text(detail((), (watch(stale="closed"),))) == "epoll ET stale"
    assert waiting_text(detail((waiter("io_uring_enter", "io_uring"),))) == "io_uring"


def test_what_was_not_wholly_seen_is_no_nobody() -> None:
    assert waiting_text(detail(None)) == "?"
    assert waiting_text(detail((), None)) == "?"
    assert waiting_text(detail((), (), Gap("syscall", "not_permitted"))) == "?"
    assert waiting_text(SocketDetail(KEY, watches=Read((), 0.0))) == "?"
    assert waiting_text(detail((waiter("read"),), None)) == "read"
