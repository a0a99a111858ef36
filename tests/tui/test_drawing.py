"""The drawn texts hold for every kind of socket, known or unknown numbers, and any size of terminal."""

from __future__ import annotations

from typing import Any

import pytest
from builders import make_memory, make_snapshot, make_socket
from msgspec import structs
from tui.fake_source import sick_details, sick_script

from sockscope.analysis.memory import EMPTY, remember
from sockscope.feed.conclude import conclude
from sockscope.model.detail import Read, SocketDetail
from sockscope.model.gap import Gap
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.socket import Endpoint, SocketKey, Timer
from sockscope.present.width import cell_len
from sockscope.tui.arrangement import View, arrange_lines
from sockscope.tui.pictures.anatomy import anatomy_lines, crumbs
from sockscope.tui.pictures.frame import Frame
from sockscope.tui.pictures.parts import cut, pack, wrap
from sockscope.tui.pictures.past import series, strip, tally
from sockscope.tui.pictures.port_head import port_lines
from sockscope.tui.pictures.process_fds import fd_lines, holding_of
from sockscope.tui.pictures.process_tree import make_tree, tree_lines
from sockscope.tui.pictures.summary import Clock, status, tabs, top_line
from sockscope.tui.toggles import narrow, toggle

NOTHING = Endpoint()


def odd(**values):
    return structs.replace(make_socket(cookie=None), **values)


SOCKETS = [
    make_socket(), make_socket("127.0.0.1:1", "127.0.0.1:2"), make_socket("[::]:443"),
    make_socket("127.0.0.1:1", "127.0.0.1:3", state="TIME_WAIT", inode=0, memory=None, receive_queued=None,
                send_queued=None, uid=None, shutdown=None, cookie=None),
    make_socket("127.0.0.1:1", "127.0.0.1:4", state="SYN_RECV", inode=0, memory=None),
    make_socket("127.0.0.1:1", "127.0.0.1:5", state="CLOSE_WAIT", receive_queued=1, shutdown=1),
    make_socket("127.0.0.1:1", "127.0.0.1:6", timer=Timer("retransmit", 3, 1.5), send_queued=10_000),
    make_socket("0.0.0.0:53", protocol="udp", type="dgram", state="CLOSE", memory=make_memory(drops=9)),
    odd(family="unix", protocol="unix", local=Endpoint(path=b"/run/\xff\x1b[2J", abstract=True), remote=None),
    odd(family="unix", protocol="unix", local=NOTHING, remote=None, state="ESTABLISHED", peer_inode=0),
    odd(family="unix", protocol="unix", type="dgram", local=NOTHING, remote=None, state="CLOSE"),
    odd(family="packet", protocol="packet", type="raw", local=NOTHING, remote=None, state="CLOSE"),
    odd(family="netlink", protocol="netlink", type="raw", local=Endpoint(port=7), remote=None, state="CLOSE"),
]
SIZES = [(1, 1), (12, 5), (40, 10), (80, 24), (120, 36), (200, 50)]
REFUSED: Read[Any] = Read(None, 100.0, Gap("watches", "not_permitted", detail="not permitted"))


def look() -> Observation:
    snapshot = make_snapshot(*SOCKETS, hidden_processes=3)
    details = [SocketDetail(one.key, waiters=REFUSED, watches=REFUSED, tcp=REFUSED, marks=REFUSED) for one in SOCKETS[::2]]
    return conclude(remember(EMPTY, snapshot, details), snapshot, Names())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", range(len(SOCKETS)))
def test_every_kind_has_an_anatomy(number, size):
    observation, socket = look(), SOCKETS[number]
    memory = remember(EMPTY, observation.snapshot)
    lines = anatomy_lines(socket, observation, memory, [], Frame(size[0], size[1], 101.0))
    assert lines
    text = "".join(part for line in lines for part, _ in line.parts)
    assert text.isprintable()
    keys = [line.key for line in lines if line.key is not None]
    assert len(keys) == len(set(keys))
    crumb = crumbs(socket, observation, "1 of 2", size[0], is_there=False)
    assert "".join(part for part, _ in crumb.parts).isprintable()


@pytest.mark.parametrize("size", SIZES)
def test_port_process_and_top_at_every_size(size):
    width, height = size
    memory = EMPTY
    for snapshot in sick_script(4):
        memory = remember(memory, snapshot, sick_details(snapshot.monotonic_s))
    observation = conclude(memory, snapshot, Names())
    lines = port_lines(3000, "", observation, memory, seen=[], accepts=((100.0, 1), (101.0, 5)), width=width,
                       height=height)
    holding = holding_of(23118, observation)
    tree = make_tree(23118, observation, memory, holding, opened=frozenset(), width=width)
    lines += tree_lines(tree) + fd_lines(holding, observation, width)
    assert all(part.isprintable() for line in lines for part, _ in line.parts)
    left = tabs("port", "3000", "node 23118", 3, width)
    top = top_line(left, status(observation, Clock(200.0, 1.0, error="odd\x1b"), max(0, width)), width)
    assert "".join(part for part, _ in top).isprintable()


@pytest.mark.parametrize("width", [0, 1, 5, 40])
def test_cut_is_exact(width):
    made = cut([("aé", "plain"), ("漢字漢字", "dim"), ("x" * 100, "plain")], width)
    assert sum(cell_len(part) for part, _ in made) == width


def test_wrap_and_pack_never_exceed():
    assert all(cell_len(line.parts[0][0]) <= 20 for line in wrap("word " * 30 + "w" * 50, 20, indent="  "))
    assert pack(["a b", "c d", "e"], 9) == ["a b   c d", "e"]


def test_a_strip_tells_the_minute_from_what_was_seen():
    key: SocketKey = ("s",)
    seen: list[tuple[float, dict[SocketKey, str]]] = [(100.0 + n, {key: "A"} if n >= 20 else {}) for n in range(40)]
    drawn = strip(seen, key, 139.0, 60)
    assert drawn == " " * 21 + "·" * 20 + "A" * 19
    assert tally(drawn) == "app 19s  nobody 20s"


def test_a_series_holds_its_value_until_the_next_change():
    assert series([], lambda sample: sample.receive_queued, 5, now_s=100.0, from_s=90.0, cells=6) == [0.0, 5.0]


def test_toggles_edit_what_is_typed():
    assert toggle("nginx", "l") == "nginx state:listen"
    assert toggle("state:listen nginx", "l") == "nginx"
    assert toggle("state:listen", "e") == "state:listen,established"
    assert narrow("nginx", "port:80") == "nginx port:80"
    assert narrow("port:80", "port:80") == "port:80"


def test_thousands_are_folded_by_service_and_open_on_demand():
    sockets = [make_socket("192.0.2.1:80", f"198.51.100.7:{1_000 + n}") for n in range(300)]
    snapshot = make_snapshot(make_socket("192.0.2.1:80"), *sockets)
    observation = conclude(remember(EMPTY, snapshot), snapshot, Names())
    folded = arrange_lines(observation, View())
    assert folded.matched == 301
    assert len(folded.lines) < 10
    opened = structs.replace(View(), folds={folded.lines[-1].key[1]: False})
    assert len(arrange_lines(observation, opened).lines) > 300
