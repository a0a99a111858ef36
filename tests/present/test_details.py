"""The anatomy's lines: every fact with its role, nothing unknown dressed up, nothing outside unsanitised."""

from __future__ import annotations

import pytest
from builders import make_memory, make_snapshot, make_socket
from msgspec.structs import replace

from sockscope.model.detail import Marks, Read, SocketDetail, Waiter, Watch
from sockscope.model.gap import Gap
from sockscope.model.observation import Observation
from sockscope.model.process import Fd, Process
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.model.verdict import Move, RowMove
from sockscope.present.details import Group, anatomy, event_words, report
from sockscope.present.fd_table import fd_lines
from sockscope.present.reports import why_lines

SOCKET = make_socket("127.0.0.1:3000", "127.0.0.1:41022", inode=9, receive_queued=5000,
                     memory=make_memory(receive_alloc=9000))
EVIL = b"\x1b[31m\xff\n"


def observed(socket: Socket = SOCKET, detail: SocketDetail | None = None) -> Observation:
    snapshot: Snapshot = make_snapshot(socket, holders={9: (12, 3)})
    snapshot = replace(snapshot, processes={12: Process(12, name=EVIL)})
    return Observation(snapshot, details={} if detail is None else {socket.key: detail})


def lines(groups: tuple[Group, ...], title: str) -> dict[str, str]:
    return {line.label: line.value for group in groups if group.title == title for line in group.lines}


def test_what_was_not_read_is_not_shown() -> None:
    groups = anatomy(SOCKET, observed())
    assert [group.title for group in groups] == ["identity", "in", "out"]
    assert lines(groups, "in")["verdict"] == "● readable"
    assert lines(groups, "identity")["holder"] == "\\x1b[31m\\xff\\x0a 12 fd 3"


def test_what_was_read_is_shown_and_why_not() -> None:
    detail = SocketDetail(
        SOCKET.key,
        marks=Read(Marks(10_000, nodelay=True), 1.0),
        waiters=Read((Waiter(12, 13, EVIL, "epoll_wait", "epoll", 7),), 1.0),
        watches=Read((Watch(12, 7, 3, 9, 1, 0x2001, "7f", "edge", oneshot=True, armed=False, exclusive=True),), 1.0),
        tcp=Read(None, 1.0, Gap("tcp_info", "timed_out", 1, "no answer \x1b")),
    )
    groups = anatomy(SOCKET, observed(detail=detail))
    assert lines(groups, "in")["mark"] == "10,000 B (read)"
    assert lines(groups, "in")["verdict"] == "○ not readable"
    assert lines(groups, "waits")["thread 13"].endswith("in epoll_wait(7)")
    assert "one-shot, fired" in lines(groups, "watched")["epoll 7"]
    assert lines(groups, "options")["TCP_NODELAY"] == "on"
    assert lines(groups, "gaps")["tcp_info"] == "timed out: no answer \\x1b"
    text = report(SOCKET, observed(detail=detail))
    assert all(character.isprintable() or character == "\n" for character in text)


def test_nobody_is_said_only_where_it_was_read() -> None:
    detail = SocketDetail(SOCKET.key, waiters=Read((), 1.0), watches=Read((), 1.0))
    groups = anatomy(SOCKET, observed(detail=detail))
    assert lines(groups, "waits") == {"threads": "nobody waits"}
    assert lines(groups, "watched") == {"epoll": "in no epoll set"}


@pytest.mark.parametrize(("bits", "words"), [(0, "none"), (1, "IN"), (0x2005, "IN OUT RDHUP"), (1 << 31, "none")])
def test_event_bits(bits: int, words: str) -> None:
    assert event_words(bits) == words


def test_a_listener_s_anatomy_is_its_queue() -> None:
    listener = make_socket("0.0.0.0:80", inode=9, receive_queued=8, send_queued=7)
    groups = anatomy(listener, observed(listener))
    assert lines(groups, "in")["accept queue"] == "8 of 7"
    assert "out" not in [group.title for group in groups]


def test_why_lines_are_one_line_each_and_harmless() -> None:
    one = Move("app", "stalled", 9.0, "read \x1b\n by nobody")
    observation = replace(observed(), moves={SOCKET.key: RowMove(one, one, Move("none", "moving"))})
    (line,) = why_lines(observation, [SOCKET])
    assert line.startswith("! app 9s \\x1b[31m\\xff\\x0a 12 ESTAB 127.0.0.1:3000 ")
    assert line.isprintable()


def test_fd_lines_show_sockets_files_and_facts() -> None:
    snapshot = replace(observed().snapshot, fds=(
        Fd(12, 3, "socket", b"socket:[9]", 9, 2), Fd(12, 4, "file", b"/tmp/\x1bx", None, 0o100001),
        Fd(12, 5, "eventfd", b"anon_inode:[eventfd]", None, 2, 0, (("eventfd-count", "0"),)),
    ))
    shown = list(fd_lines(Observation(snapshot), header=False))
    assert [line.split()[1:4] for line in shown] == [["12", "3", "rw"], ["12", "4", "w"], ["12", "5", "rw"]]
    assert "ESTAB 127.0.0.1:3000" in shown[0]
    assert shown[1].endswith("/tmp/\\x1bx") and shown[2].endswith("eventfd-count=0")
