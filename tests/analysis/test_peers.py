"""kernel-facts.md section 7: the other end, where it is on this host."""

from __future__ import annotations

import gc

import pytest
from builders import make_endpoint, make_snapshot, make_socket
from scripted import make_unix

from sockscope.analysis import peers
from sockscope.analysis.ownership import CODES, ownership
from sockscope.analysis.peers import listener_of, peer_of, queue_of, senders_of


def test_reversed_five_tuple() -> None:
    client = make_socket("127.0.0.1:40000", "127.0.0.1:80")
    server = make_socket("127.0.0.1:80", "127.0.0.1:40000")
    other = make_socket("127.0.0.2:80", "127.0.0.1:40000")
    udp = make_socket("127.0.0.1:80", "127.0.0.1:40000", protocol="udp", type="dgram")
    snapshot = make_snapshot(udp, other, client, server)
    assert peer_of(snapshot, client) is server and peer_of(snapshot, server) is client
    assert peer_of(snapshot, other) is None


def test_v4_client_of_a_dual_stack_listener() -> None:
    client = make_socket("127.0.0.1:40000", "127.0.0.1:80")
    server = make_socket("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:40000")
    assert server.family == "inet6"
    snapshot = make_snapshot(client, server)
    assert peer_of(snapshot, client) is server and peer_of(snapshot, server) is client


def test_self_connected_is_its_own_peer() -> None:
    socket = make_socket("127.0.0.1:5000", "127.0.0.1:5000")
    assert peer_of(make_snapshot(socket), socket) is socket


def test_inside_its_namespace_first_and_loopback_only_there() -> None:
    a = make_socket("10.0.0.1:40000", "10.0.0.2:80", netns=1)
    b_there = make_socket("10.0.0.2:80", "10.0.0.1:40000", netns=2)
    b_here = make_socket("10.0.0.2:80", "10.0.0.1:40000", netns=1)
    b_third = make_socket("10.0.0.2:80", "10.0.0.1:40000", netns=3)
    assert peer_of(make_snapshot(a, b_there, b_here), a) is b_here
    assert peer_of(make_snapshot(a, b_there), a) is b_there
    assert peer_of(make_snapshot(a, b_there, b_third), a) is None
    near = make_socket("127.0.0.1:40000", "127.0.0.1:80", netns=1)
    far = make_socket("127.0.0.1:80", "127.0.0.1:40000", netns=2)
    assert peer_of(make_snapshot(near, far), near) is None


def test_unix_by_inode_and_by_name() -> None:
    path = make_endpoint("x:1").__class__(path=b"/run/app")
    listener = make_unix(state="LISTEN", local=path, waiting_clients=(71,), peer_inode=0)
    accepted, client, waiting = make_unix(inode=60, local=path, peer_inode=61), make_unix(inode=61, peer_inode=60), make_unix(inode=71, peer_inode=0)
    snapshot = make_snapshot(listener, accepted, client, waiting)
    assert peer_of(snapshot, accepted) is client and peer_of(snapshot, client) is accepted
    assert peer_of(snapshot, waiting) is None and queue_of(snapshot, waiting) is listener
    assert listener_of(snapshot, accepted) is listener and listener_of(snapshot, client) is None
    server = make_unix(inode=80, type="dgram", peer_inode=0)
    senders = (make_unix(inode=81, type="dgram", peer_inode=80), make_unix(inode=82, type="dgram", peer_inode=80))
    assert senders_of(make_snapshot(server, *senders), server) == senders


@pytest.mark.parametrize(("local", "found"), [
    ("127.0.0.1:80", True), ("0.0.0.0:80", True), ("[::]:80", True), ("127.0.0.2:80", False), ("127.0.0.1:81", False),
])
def test_the_listener_a_connection_came_in_by(local: str, found: bool) -> None:
    listener, connection = make_socket(local), make_socket("127.0.0.1:80", "127.0.0.1:40000")
    assert (listener_of(make_snapshot(listener, connection), connection) is listener) is found


def test_the_index_dies_with_its_snapshot() -> None:
    socket = make_socket("127.0.0.1:5000", "127.0.0.1:80")
    snapshot = make_snapshot(socket)
    peer_of(snapshot, socket)
    number = id(snapshot)
    assert number in peers._indexes
    del snapshot
    gc.collect()
    assert number not in peers._indexes


def test_whose_a_socket_is() -> None:
    far = "127.0.0.1:40000"
    def code(**values: object) -> str:
        snapshot_values = {key: values.pop(key) for key in ("hidden_processes", "scanned_all") if key in values}
        socket = make_socket("127.0.0.1:80", far, **values)
        return ownership(make_snapshot(socket, holders={9: (1, 3)}, **snapshot_values), socket)

    codes = [
        code(inode=9), code(inode=0), code(inode=0, state="FIN_WAIT2"), code(inode=0, state="TIME_WAIT"),
        code(inode=0, state="SYN_RECV"), code(inode=0, protocol="udp", type="dgram", state="CLOSE"),
        code(inode=8, hidden_processes=2), code(inode=8), code(inode=8, scanned_all=False),
    ]
    assert codes == ["held", "not-accepted", "orphan", "time-wait", "syn-queue", "kernel", "hidden", "unheld", "not-scanned"]
    assert set(codes) == set(CODES)
