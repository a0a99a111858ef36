"""A row as it is seen: quiet when healthy, told apart when not, safe whatever a process is called."""

from __future__ import annotations

import pytest
from builders import make_memory, make_snapshot, make_socket
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint, Holder, Socket
from sockscope.model.verdict import Move, RowMove
from sockscope.present.columns import COLUMNS, cell, layout, whole_cell
from sockscope.present.table import table_lines
from sockscope.present.width import cell_len

NONE = Move("none", "moving")


def stalled(since_s: float | None, party: str = "app") -> RowMove:
    move = Move(party, "stalled", since_s, "nobody reads it")
    return RowMove(move, move, NONE)


def texts(socket: Socket, observation: Observation, width: int = 120) -> dict[str, str]:
    return {p.column.name: cell(p.column, socket, observation, p.width).text.strip() for p in layout(width)}


def test_a_healthy_row_is_quiet() -> None:
    socket = make_socket("192.0.2.1:80", "198.51.100.7:41022", inode=9)
    seen = texts(socket, Observation(make_snapshot(socket, holders={9: (12, 3)}), moves={}))
    assert seen == {"glyph": "", "move": "", "process": "server 12", "state": "ESTAB",
                    "address": ":80    ← 198.51.100.7:41022", "receive": "", "send": "", "why": ""}


def test_a_listener_shows_its_queue_and_all_holders() -> None:
    socket = make_socket("0.0.0.0:80", inode=9, receive_queued=3, send_queued=7)
    snapshot = make_snapshot(socket, holders={9: (12, 3)})
    snapshot = replace(snapshot, holders={9: (Holder(12, 3), Holder(13, 3), Holder(14, 3), Holder(14, 5))})
    seen = texts(socket, Observation(snapshot))
    assert seen["process"] == "server 12 +2"
    assert seen["receive"].endswith("3/7")
    assert seen["send"] == ""
    assert texts(socket, Observation(snapshot), 80)["queue"].startswith("◂")


def test_severity_comes_from_findings_then_from_stalls() -> None:
    socket = make_socket("192.0.2.1:80", "198.51.100.7:41022", receive_queued=212_004,
                         memory=make_memory(receive_alloc=131_000))
    snapshot = make_snapshot(socket)
    old = Observation(snapshot, moves={socket.key: stalled(12.0)})
    assert texts(socket, old)["glyph"] == "!"
    assert texts(socket, old)["move"] == "app   12s"
    assert texts(socket, old)["why"] == "nobody reads it"
    assert texts(socket, Observation(snapshot, moves={socket.key: stalled(3.0)}))["glyph"] == ""
    found = Finding("receive-stalled", "severe", "s", (), (), cause="edge-missed", sockets=(socket.key,))
    severe = replace(old, findings=(found,))
    assert texts(socket, severe)["glyph"] == "▲"
    assert texts(socket, severe)["why"] == "edge missed"
    assert texts(socket, severe)["receive"].endswith("212K")
    assert cell(COLUMNS["glyph"], socket, severe, 1).role == "severe"


def test_eof_is_a_word() -> None:
    socket = make_socket("192.0.2.1:80", "198.51.100.7:41022", state="CLOSE_WAIT", receive_queued=1, shutdown=1)
    assert texts(socket, Observation(make_snapshot(socket)))["receive"] == "EOF"


def test_owners_of_others_are_hidden_not_absent() -> None:
    socket = make_socket("0.0.0.0:22", uid=0)
    observation = Observation(make_snapshot(socket, hidden_processes=3))
    assert texts(socket, observation)["process"] == "(0)"


HOSTILE = [b"\x1b[31mred\x1b]0;x\x07", b"evil[/x]", b"a\nb", "\u202eevil".encode(), b"\xff\xfe", "日本語".encode(),
           b"x" * 4096, b"\x9b2J", b"=cmd|x"]


@given(st.sampled_from(HOSTILE), st.integers(1, 210))
def test_hostile_names_stay_in_their_cells(name: bytes, width: int) -> None:
    socket = replace(make_socket(family="unix", protocol="unix", inode=9), local=Endpoint(path=name, abstract=True))
    snapshot = make_snapshot(socket, holders={9: (12, 3)})
    snapshot = replace(snapshot, processes={12: Process(12, name=name, command=name + b"\0" + name, container="c")})
    observation = Observation(snapshot)
    for place in layout(width):
        got = cell(place.column, socket, observation, place.width)
        assert cell_len(got.text) == place.width
        assert got.text.isprintable()
    for column in COLUMNS.values():
        assert whole_cell(column, socket, observation).text.isprintable()
    for line in table_lines(observation, [socket], width=width):
        assert line.isprintable() and cell_len(line) <= width


@pytest.mark.parametrize("width", [None, 40, 80, 120, 200])
def test_ascii_means_ascii(width: int | None) -> None:
    socket = make_socket("192.0.2.1:80", "198.51.100.7:41022", receive_queued=60_000)
    observation = Observation(make_snapshot(socket), moves={socket.key: stalled(12.0)})
    assert all(line.isascii() for line in table_lines(observation, [socket], width=width, ascii=True))


def test_colour_only_when_wanted() -> None:
    socket = make_socket("192.0.2.1:80", "198.51.100.7:41022")
    observation = Observation(make_snapshot(socket), moves={socket.key: stalled(12.0)})
    plain = list(table_lines(observation, [socket], width=100))
    coloured = list(table_lines(observation, [socket], width=100, colour=True))
    assert "\x1b" not in "".join(plain)
    assert "\x1b[33m!\x1b[0m" in coloured[1]
