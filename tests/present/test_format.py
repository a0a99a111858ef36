"""Numbers, states, endpoints and bars as the mocks draw them."""

from __future__ import annotations

import pytest
from builders import make_endpoint, make_snapshot, make_socket
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sockscope.model.observation import Observation
from sockscope.model.socket import Endpoint
from sockscope.model.verdict import Move
from sockscope.present import format as words
from sockscope.present.address import local_and_remote, short_endpoint
from sockscope.present.bars import bar, spark


@pytest.mark.parametrize(("number", "shown"), [
    (0, "0"), (999, "999"), (1000, "1K"), (4096, "4.1K"), (9_600, "9.6K"), (9_960, "10K"), (212_004, "212K"),
    (999_499, "999K"), (999_999, "1M"), (2_500_000, "2.5M"), (3 * 10**12, "3T"), (2**64, "18E"),
])
def test_sizes(number: int, shown: str) -> None:
    assert words.size(number) == shown


@given(st.integers(0, 10**18))
def test_a_size_takes_four_cells(number: int) -> None:
    assert len(words.size(number)) <= 4


@pytest.mark.parametrize(("seconds", "shown"), [
    (0.2, "<1s"), (12.9, "12s"), (59.9, "59s"), (240, "4m"), (7200, "2h"), (3 * 86_400, "3d"), (1e9, "31y"),
])
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


@given(st.floats(0, 3e9))
def test_a_duration_takes_four_cells(seconds: float) -> None:
    assert len(words.duration(seconds)) <= 4


def test_ages_and_parties() -> None:
    assert words.age(Move("app", "stalled", 250.0, "", at_least=True)) == "≥4m"
    assert words.age(Move("app", "stalled")) == ""
    assert words.party(Move("network", "moving")) == "net"
    assert words.party(Move("app", "unverified")) == "app?"
    assert words.party(Move("none", "moving")) == ""


@pytest.mark.parametrize(("values", "shown"), [
    ({"state": "ESTABLISHED"}, "ESTAB"), ({"state": "FIN_WAIT2"}, "FIN-WAIT-2"), ({"state": "CLOSE_WAIT"}, "CLOSE-WAIT"),
    ({"protocol": "udp", "type": "dgram", "state": "CLOSE"}, "udp"),
    ({"protocol": "udp", "type": "dgram", "state": "ESTABLISHED"}, "udp ESTAB"),
    ({"protocol": "unix", "family": "unix", "type": "dgram", "state": "CLOSE"}, "dgram"),
    ({"protocol": "unix", "family": "unix", "state": "LISTEN"}, "LISTEN"),
])
def test_states(values: dict[str, str], shown: str) -> None:
    assert words.state(make_socket(**values)) == shown


@pytest.mark.parametrize(("end", "shown"), [
    ("0.0.0.0:80", "*:80"), ("[::]:443", "[::]:443"), ("[::1]:22", "[::1]:22"),
    ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"), ("0.0.0.0:0", "*:*"),
])
def test_endpoints(end: str, shown: str) -> None:
    assert words.endpoint(make_endpoint(end)) == shown


def test_hostile_paths_are_escaped() -> None:
    assert words.endpoint(Endpoint(path=b"\x1b]0;x\x07", abstract=True)) == "@\\x1b]0;x\\x07"


@pytest.mark.parametrize(("width", "shown"), [
    (40, "[2003:10e1:1:2:3:4:9a:7c40]:40112"), (24, "[2003:10e1…9a:7c40]:40112"[:24]), (20, "[2003…9a:7c40]:40112"),
    (15, "[…7c40]:40112"), (9, "[…]:40112"), (6, ":40112"),
])
def test_ipv6_is_elided_by_whole_groups_and_never_the_port(width: int, shown: str) -> None:
    end = make_endpoint("[2003:10e1:1:2:3:4:9a:7c40]:40112")
    got = short_endpoint(end, width)
    assert len(got) <= width
    assert got.endswith(":40112")
    if width != 24:
        assert got == shown


@given(st.integers(6, 60), st.sampled_from(["192.0.2.1:65535", "[2001:db8::1]:443", "[2001:db8:1:2:3:4:5:6]:50000"]))
def test_a_port_is_never_cut(width: int, text: str) -> None:
    got = short_endpoint(make_endpoint(text), width)
    assert len(got) <= width
    assert got.endswith(text[text.rindex(":"):])


def test_arrows_tell_who_called() -> None:
    listener = make_socket("127.0.0.1:3000")
    served = make_socket("127.0.0.1:3000", "127.0.0.1:41022")
    call = make_socket("127.0.0.1:41022", "127.0.0.1:3000")
    observation = Observation(make_snapshot(listener, served, call))
    assert local_and_remote(listener, observation, 33) == "127.0.0.1:3000"
    assert local_and_remote(served, observation, 33) == ":3000  ← 127.0.0.1:41022"
    assert local_and_remote(call, observation, 33) == ":41022 → 127.0.0.1:3000"
    assert local_and_remote(served, observation, 18) == ":3000←12…0.1:41022"
    assert local_and_remote(served, observation, None) == "127.0.0.1:3000 ← 127.0.0.1:41022"


def test_unix_ends_name_their_peer() -> None:
    server = replace(make_socket(family="unix", protocol="unix", state="ESTABLISHED", inode=11, peer_inode=12),
                     local=Endpoint(path=b"/run/x.sock"))
    client = replace(make_socket(family="unix", protocol="unix", state="ESTABLISHED", inode=12, peer_inode=11),
                     local=Endpoint())
    pair = replace(client, inode=13, peer_inode=14, cookie=1)
    observation = Observation(make_snapshot(server, client, pair))
    assert local_and_remote(server, observation, 30) == "/run/x.sock"
    assert local_and_remote(client, observation, 30) == "→ /run/x.sock"
    assert local_and_remote(pair, observation, 30) == "13 ⇄ 14"


@pytest.mark.parametrize(("fill", "mark", "width", "shown"), [
    (0.0, None, 5, "     "), (1.0, None, 5, "█████"), (1.2, None, 3, "███"), (0.5, None, 5, "██▌  "),
    (0.001, None, 5, "▏    "), (0.4, 0.67, 5, "██ │ "), (1.0, 0.67, 5, "███│█"), (0.5, None, 0, ""),
])
def test_bars(fill: float, mark: float | None, width: int, shown: str) -> None:
    assert bar(fill, mark, width) == shown


@given(st.floats(0, 2), st.one_of(st.none(), st.floats(-1, 2)), st.integers(0, 40), st.booleans())
def test_a_bar_is_as_wide_as_asked(fill: float, mark: float | None, width: int, plain: bool) -> None:
    drawn = bar(fill, mark, width, ascii=plain)
    assert len(drawn) == width
    assert not plain or drawn.isascii()


def test_sparks() -> None:
    assert spark([0, 1, 2, 4], 3) == "▂▄█"
    assert spark([0, 0], 5) == "▁▁"
    assert spark([], 5) == ""
    assert spark([1, 8], 5, ascii=True).isascii()
