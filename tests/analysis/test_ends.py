"""The ends that memory keeps row by row name the same peer as the index over all rows."""

from __future__ import annotations

from typing import Any

from builders import make_socket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Script, change, make_unix

from sockscope.analysis.ends import other_end
from sockscope.analysis.peers import living_peer_of, normalised, peer_of
from sockscope.model.socket import Socket

ADDRESSES = ["127.0.0.1", "192.0.2.1", "192.0.2.2", "::ffff:127.0.0.1"]
PORTS = [80, 4000, 4001]


def every_row() -> list[Socket]:
    rows = [
        make_socket(f"[{local}]:{port}", f"[{remote}]:{far}", netns=netns)
        for local in ADDRESSES for remote in ADDRESSES for port in PORTS for far in PORTS for netns in (1, 2)
    ]
    pair = make_unix()
    return [*rows, pair, make_unix(peer_inode=pair.inode)]


def tuple_of(row: Socket) -> tuple[object, ...]:
    """What no two connections of a namespace share, mapped or not."""
    remote = row.remote
    if remote is None:
        return row.key
    return row.netns, normalised(row.local.address), row.local.port, normalised(remote.address), remote.port


ROWS = every_row()
looks = st.lists(st.lists(st.tuples(st.sampled_from(ROWS), st.sampled_from(["ESTABLISHED", "TIME_WAIT"])),
                          unique_by=lambda pair: tuple_of(pair[0]), max_size=14), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(looks)
def test_they_agree_with_the_index_over_all_rows(script: list[list[tuple[Socket, Any]]]) -> None:
    fed = Script()
    for rows in script:
        shown = [change(row, state=state) for row, state in rows]
        fed.look(*shown)
        for row in shown:
            living = living_peer_of(fed.snapshot, row)
            assert other_end(fed.memory.ends, fed.snapshot, row) is living
            peer = peer_of(fed.snapshot, row)
            if peer is None or peer.state != "TIME_WAIT":
                assert living is peer


def test_an_address_that_appears_later() -> None:
    client = make_socket("192.0.2.1:4000", "192.0.2.2:80")
    server = make_socket("192.0.2.2:80", "192.0.2.1:4000")
    script = Script().look(client)
    assert other_end(script.memory.ends, script.snapshot, client) is None
    script.look(client, server)
    assert other_end(script.memory.ends, script.snapshot, client) is server
    assert other_end(script.memory.ends, script.snapshot, server) is client
    script.look(client)
    assert other_end(script.memory.ends, script.snapshot, client) is None


def test_one_look_makes_none_and_asks_the_index_of_that_look() -> None:
    client, server = make_socket("192.0.2.1:4000", "192.0.2.2:80"), make_socket("192.0.2.2:80", "192.0.2.1:4000")
    script = Script().look(client, server)
    assert script.memory.ends is None
    assert other_end(script.memory.ends, script.snapshot, client) is server
    script.look(client, server)
    assert script.memory.ends is not None
    assert other_end(script.memory.ends, script.snapshot, client) is server


def test_an_end_that_is_over_is_none_from_the_first_look_on() -> None:
    client = make_socket("192.0.2.1:4000", "192.0.2.2:80", state="LAST_ACK")
    over = make_socket("192.0.2.2:80", "192.0.2.1:4000", state="TIME_WAIT")
    script = Script()
    for _ in range(3):
        script.look(client, over)
        assert peer_of(script.snapshot, client) is over
        assert other_end(script.memory.ends, script.snapshot, client) is None


def test_a_datagram_socket_of_unix_is_an_end_though_in_close() -> None:
    server = make_unix(b"/run/log", type="dgram", state="CLOSE")
    client = make_unix(type="dgram", peer_inode=server.inode)
    script = Script()
    for rows in ((client,), (client,), (client, server), (client, server)):
        script.look(*rows)
        assert other_end(script.memory.ends, script.snapshot, client) is (server if server in rows else None)


def test_rows_whose_other_end_cannot_be_here_cost_nothing() -> None:
    rows = [make_socket("192.0.2.1:80", f"198.51.100.1:{port}") for port in range(1, 500)]
    script = Script().look(*rows).look(*rows)
    assert script.memory.ends is not None
    assert script.memory.ends.first == {}
