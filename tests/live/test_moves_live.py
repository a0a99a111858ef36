"""Whose move, on real sockets: each way of being stuck on loopback, told by itself, beside healthy busy traffic."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockscope.analysis.findings.rules import find
from sockscope.analysis.memory import EMPTY, Memory, remember
from sockscope.analysis.move import moves
from sockscope.analysis.suspects import suspects
from sockscope.analysis.why import sentence
from sockscope.collect.live import LiveSource
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Scope
from sockscope.model.socket import Socket
from sockscope.model.verdict import RowMove

HERE = Path(__file__).parent
LOOKS = 16  # a second apart: the slowest rule, send-stalled, needs ten seconds and three readings


class Watched:
    """Everything seen over the looks: the last observation, and every move of every look."""

    def __init__(self) -> None:
        self.memory: Memory = EMPTY
        self.observation: Observation
        self.all_moves: list[dict[Any, RowMove]] = []
        self.found: tuple[Finding, ...] = ()

    def watch(self, looks: int) -> None:
        source = LiveSource()
        reader = source.open_detail()
        pause = threading.Event()
        details: list[Any] = []
        try:
            for _ in range(looks):
                snapshot = source.snapshot(Scope())
                self.memory = remember(self.memory, snapshot, details)
                found = moves(self.memory, snapshot)
                self.all_moves.append(dict(found))
                self.observation = Observation(snapshot, self.memory.details, moves=found)
                wanted = suspects(self.memory, snapshot, 64)
                details = list(reader.read(wanted, snapshot, lambda: False))
                pause.wait(1.0)
            self.found = find(self.memory, self.observation)
        finally:
            reader.close()
            source.close()

    def row(self, local: int | None, remote: int | None = None, state: str = "ESTABLISHED") -> Socket:
        return next(
            row for row in self.observation.snapshot.sockets.values()
            if row.protocol == "tcp" and row.state == state and (local is None or row.local.port == local)
            and (remote is None or (row.remote is not None and row.remote.port == remote))
        )

    def move(self, row: Socket) -> RowMove:
        moved = self.observation.moves
        assert moved is not None
        return moved[row.key]

    def findings_on(self, row: Socket) -> list[Finding]:
        return [finding for finding in self.found if row.key in finding.sockets]


@contextlib.contextmanager
def running(*command: str) -> Iterator[dict[str, Any]]:
    with subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield {**json.loads(process.stdout.readline()), "pid": process.pid}
        finally:
            process.stdin.close()
            process.wait(10)


def fill(one: socket.socket) -> None:
    """Send until nothing more is taken."""
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(b"x" * 65_536)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Watched, dict[str, Any]]]:
    with (
        running(str(HERE / "stuck.py"), str(tmp_path_factory.mktemp("stuck"))) as stuck,
        running(str(HERE / "busy.py")) as busy, contextlib.ExitStack() as stack,
    ):
        def connect(port: int) -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", port)))

        full, unread, ended = (connect(stuck["accepting"]) for _ in range(3))
        waiting = [connect(stuck["deaf"]) for _ in range(3)]  # listen(2) takes three
        knocking = stack.enter_context(socket.socket())
        knocking.setblocking(False)
        knocking.connect_ex(("127.0.0.1", stuck["deaf"]))
        pair = stack.enter_context(socket.socket(socket.AF_UNIX))
        pair.connect(stuck["unix"])
        fill(full)
        fill(pair)
        unread.sendall(b"x" * 500)
        ended_port = ended.getsockname()[1]
        ended.shutdown(socket.SHUT_WR)
        watched = Watched()
        watched.watch(LOOKS)
        yield watched, {
            **stuck, "busy": busy["port"], "full": full.getsockname()[1], "unread": unread.getsockname()[1],
            "ended": ended_port, "knocking": knocking.getsockname()[1], "waiting": waiting[0].getsockname()[1],
        }


def test_unread_data_is_the_apps_move(staged: tuple[Watched, dict[str, Any]]) -> None:
    watched, ports = staged
    row = watched.row(ports["accepting"], ports["unread"])
    move = watched.move(row)
    assert (move.row.party, move.row.condition) == ("app", "stalled")
    assert move.row.reason.startswith("500 B unread")
    assert move.turn == "app"
    assert "500 B" in sentence(row, watched.observation)


def test_a_peer_that_does_not_read_is_told_from_its_row(staged: tuple[Watched, dict[str, Any]]) -> None:
    watched, ports = staged
    sender = watched.row(ports["full"], ports["accepting"])
    move = watched.move(sender)
    assert (move.send.party, move.send.condition) == ("peer", "stalled")
    reader = watched.row(ports["accepting"], ports["full"])
    assert watched.move(reader).row.party == "app"
    (finding,) = watched.findings_on(sender)
    assert finding.rule == "receive-stalled"
    assert "send-stalled" in finding.also
    assert finding.severity == "warning"


def test_a_full_accept_queue(staged: tuple[Watched, dict[str, Any]]) -> None:
    watched, ports = staged
    listener = watched.row(ports["deaf"], state="LISTEN")
    move = watched.move(listener)
    assert (move.row.party, move.row.condition) == ("app", "stalled")
    assert "accept queue full: 3 of 3" in move.row.reason
    (finding,) = watched.findings_on(listener)
    assert (finding.rule, finding.severity) == ("accept-stalled", "severe")
    knocking = watched.row(ports["knocking"], state="SYN_SENT")
    assert watched.move(knocking).row.party == "peer"
    assert "accept queue is full" in watched.move(knocking).row.reason
    assert knocking.key in finding.sockets


def test_end_of_file_unread_is_dim(staged: tuple[Watched, dict[str, Any]]) -> None:
    watched, ports = staged
    row = watched.row(ports["accepting"], ports["ended"], state="CLOSE_WAIT")
    move = watched.move(row)
    assert (move.row.party, move.row.condition) == ("app", "unverified")
    assert move.row.reason.startswith("EOF not read")
    half = watched.row(ports["ended"], state="FIN_WAIT2")
    assert watched.move(half).row.party == "peer"
    assert watched.findings_on(row) == []


def test_a_full_unix_pair(staged: tuple[Watched, dict[str, Any]]) -> None:
    watched, _ = staged
    rows = [row for row in watched.observation.snapshot.sockets.values() if row.family == "unix" and row.peer_inode]
    reading = [row for row in rows if row.receive_queued and row.receive_queued > 50_000]
    assert any(
        (watched.move(row).row.party, watched.move(row).row.condition) == ("app", "stalled") for row in reading
    )


def test_healthy_busy_traffic_is_never_stalled(staged: tuple[Watched, dict[str, Any]]) -> None:
    watched, ports = staged
    looked_at = 0
    for found in watched.all_moves:
        for key, move in found.items():
            row = watched.observation.snapshot.sockets.get(key)
            if row is not None and ports["busy"] in (row.local.port, row.remote.port if row.remote else None):
                looked_at += 1
                assert move.row.condition != "stalled", move
                assert move.row.party != "network", move  # both ends are on this host
    assert looked_at > LOOKS
    busy = {key for key, row in watched.observation.snapshot.sockets.items() if row.local.port == ports["busy"]}
    assert not [finding for finding in watched.found if busy & set(finding.sockets)]
