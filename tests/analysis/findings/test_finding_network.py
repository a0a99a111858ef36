"""retransmitting with its path-mtu hint, connect-unanswered, syn-cookies."""

from __future__ import annotations

from builders import make_socket
from scripted import Script, make_counters, tcp_detail

from sockscope.model.socket import Socket, Timer


def resending(remote: str, retransmits: int, local: str = "192.0.2.1:40000") -> Socket:
    return make_socket(local, remote, send_queued=5000, timer=Timer("retransmit", retransmits))


def test_outbound_with_three_retransmits() -> None:
    two = resending("198.51.100.9:443", 2)
    assert Script().look(two).hold(10).rules() == []  # a badge only: the row's move says it
    three = resending("198.51.100.9:443", 3)
    script = Script().look(three).hold(2)
    assert script.rules() == []
    (finding,) = script.hold(1).find()
    assert (finding.rule, finding.severity, finding.cause) == ("retransmitting", "warning", None)


def test_path_mtu() -> None:
    socket = resending("198.51.100.9:443", 4)
    script = Script().look(socket).hold(4, lambda at_s: [tcp_detail(socket, at_s, lost=3, unacked=3)])
    (finding,) = script.find()
    assert finding.cause == "path-mtu"


def test_clients_of_a_server_need_five_rows_and_five_percent() -> None:
    listener = make_socket("192.0.2.1:443")
    good = [make_socket("192.0.2.1:443", f"203.0.113.5:{n}") for n in range(1, 96)]

    def with_bad(count: int) -> list[str]:
        bad = [resending(f"203.0.113.6:{n}", 2, "192.0.2.1:443") for n in range(1, count + 1)]
        return Script().look(listener, *good, *bad).hold(4).rules()

    assert with_bad(4) == []
    assert with_bad(5) == ["retransmitting"]


def test_a_local_peer_is_never_the_network() -> None:
    here, there = resending("127.0.0.1:80", 6, "127.0.0.1:40000"), make_socket("127.0.0.1:80", "127.0.0.1:40000")
    assert Script().look(here, there).hold(10).rules() == []


def test_connect_unanswered_is_grouped_by_remote() -> None:
    trying = [
        make_socket(f"192.0.2.1:{n}", "198.51.100.9:443", state="SYN_SENT", timer=Timer("retransmit", 2))
        for n in (40_000, 40_001)
    ]
    script = Script(holders={socket.inode: (10, 5) for socket in trying}).look(*trying).hold(2)
    assert script.rules() == []
    (finding,) = script.hold(1).find()
    assert finding.rule == "connect-unanswered"
    assert "(2 connections)" in finding.summary
    assert ("remote", "198.51.100.9:443") in finding.about


def test_syn_cookies_need_three_looks_and_never_half_open_rows() -> None:
    half_open = [make_socket("192.0.2.1:80", f"198.51.100.9:{n}", state="SYN_RECV", inode=0) for n in range(1, 60)]
    script = Script()
    for sent in (0, 5, 9):
        script.look(*half_open, counters=make_counters(TcpExt__SyncookiesSent=sent, TcpExt__TCPReqQFullDrop=0))
    assert script.rules() == []
    script.look(*half_open, counters=make_counters(TcpExt__SyncookiesSent=12, TcpExt__TCPReqQFullDrop=0))
    (finding,) = script.find()
    assert (finding.rule, finding.severity) == ("syn-cookies", "warning")
    assert "port 80" in finding.summary
    script.look(*half_open, counters=make_counters(TcpExt__SyncookiesSent=15, TcpExt__TCPReqQFullDrop=1))
    assert script.find()[0].severity == "severe"
