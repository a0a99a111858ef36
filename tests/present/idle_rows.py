"""Idle connections as they come in thousands, with some among them that are not like the others."""

from __future__ import annotations

from builders import make_snapshot, make_socket
from msgspec.structs import replace

from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint, Socket, Timer
from sockscope.model.verdict import Move, RowMove

STALLED = RowMove(Move("app", "stalled", 9.0, "why"), Move("app", "stalled", 9.0, "why"), Move("none", "moving"))


def many(count: int) -> list[Socket]:
    """Idle connections of one server, both ends here; ends and memory shared as the decoder shares them."""
    template = make_socket("10.0.0.1:80", inode=1)
    server = Endpoint("10.0.0.1", 80)
    rows: list[Socket] = []
    for number in range(count // 2):
        client = Endpoint("10.0.0.2", 20_000 + number)
        for local, remote in ((server, client), (client, server)):
            inode = 100 + len(rows)
            rows.append(replace(template, state="ESTABLISHED", local=local, remote=remote, inode=inode, cookie=inode,
                                receive_queued=0, send_queued=0))
    return rows


def seen(rows: list[Socket]) -> Observation:
    snapshot = make_snapshot(*rows, holders={row.inode: (12 + row.inode % 2, row.inode) for row in rows if row.inode})
    names = {12: Process(12, 5, b"ngi\xffnx\x7f"), 13: Process(13, name=b"100%")}
    moves = {rows[1].key: STALLED} if rows else {}
    return Observation(replace(snapshot, processes=names), moves=moves)


def odd(rows: list[Socket]) -> list[Socket]:
    """Rows that are not like the others, among them."""
    return [
        *rows, replace(rows[0], inode=0, cookie=9001, state="TIME_WAIT", timer=Timer("time-wait", 0, 31.25)),
        replace(rows[0], inode=0, cookie=9002, state="TIME_WAIT", timer=Timer("time-wait", 0, 1e-7)),
        replace(rows[2], inode=9003, cookie=9003, uid=None, drops=3, interface=4),
        replace(rows[2], inode=9004, cookie=None, memory=None),
        replace(rows[2], inode=9005, cookie=9005, local=Endpoint('fe80::1%"\\', 4), remote=None, state="LISTEN"),
        replace(rows[3], inode=9006, cookie=9006, memory=None, receive_queued=None),
    ]
