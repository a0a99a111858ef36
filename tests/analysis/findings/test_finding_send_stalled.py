"""both-full, send-stalled, peer-vanished; and the two ends of one fault are one finding."""

from __future__ import annotations

from builders import make_socket
from scripted import Script, change, make_thread, make_unix, tcp_detail, threads_detail

from sockscope.model.socket import Timer

ZERO = Timer("zero-window-probe", 0)


def test_a_remote_reader_that_does_not_read_is_a_note() -> None:
    socket = make_socket("192.0.2.1:443", "198.51.100.9:40000", send_queued=90_000, timer=ZERO)
    script = Script(holders={socket.inode: (10, 5)}).look(change(socket, send_queued=0, timer=None)).look(socket)
    script.hold(9, lambda at_s: [tcp_detail(socket, at_s)])
    assert script.rules() == []
    script.hold(3, lambda at_s: [tcp_detail(socket, at_s)])
    (finding,) = script.find()
    assert (finding.rule, finding.severity) == ("send-stalled", "note")


def test_a_reader_that_is_slow_but_reads_is_healthy() -> None:
    socket = make_socket("192.0.2.1:443", "198.51.100.9:40000", send_queued=90_000, timer=ZERO)
    script = Script().look(socket)
    script.hold(60, lambda at_s: [tcp_detail(socket, at_s, bytes_acked=int(at_s) // 4)])
    assert script.rules() == []


def test_both_ends_on_this_host_are_one_finding_about_the_reader() -> None:
    here = make_socket("127.0.0.1:3000", "127.0.0.1:40000")
    there = make_socket("127.0.0.1:40000", "127.0.0.1:3000")
    script = Script(holders={here.inode: (10, 5), there.inode: (20, 6)}).look(here, there)
    script.look(change(here, send_queued=90_000, timer=ZERO), change(there, receive_queued=60_000))
    script.hold(12, lambda at_s: [
        tcp_detail(there, at_s, receive_queued=60_000, rcv_wnd=0), threads_detail(20, at_s, make_thread(20, call="futex")),
    ])
    (finding,) = script.find()
    assert (finding.rule, finding.also) == ("receive-stalled", ("send-stalled",))
    assert finding.severity == "warning"
    assert {here.key, there.key} <= set(finding.sockets)


def test_both_full() -> None:
    here = make_socket("192.0.2.1:3000", "198.51.100.9:40000")
    full = change(here, send_queued=90_000, receive_queued=60_000, timer=ZERO)
    script = Script(holders={here.inode: (10, 5)}).look(here).look(full)
    script.hold(13, lambda at_s: [tcp_detail(here, at_s, receive_queued=60_000)])
    (finding,) = script.find()
    assert (finding.rule, finding.severity) == ("both-full", "severe")


def test_unix_writer_behind_a_sleeping_reader() -> None:
    writer = make_unix()
    reader = make_unix(peer_inode=writer.inode)
    writer = change(writer, peer_inode=reader.inode)
    full = change(writer, send_queued=212_992)
    script = Script(holders={writer.inode: (10, 3), reader.inode: (20, 4)}).look(writer, reader)
    script.look(full, change(reader, receive_queued=93_000))
    script.hold(13, lambda at_s: [threads_detail(20, at_s, make_thread(20, call="futex", on_fd=None))])
    (finding,) = script.find()
    assert finding.severity == "warning"
    assert {finding.rule, *finding.also} == {"receive-stalled", "send-stalled"}


def test_a_busy_unix_pair_is_healthy() -> None:
    writer = make_unix(send_queued=212_992)
    reader = make_unix(peer_inode=writer.inode, receive_queued=93_000)
    script = Script(holders={writer.inode: (10, 3), reader.inode: (20, 4)}).look(writer, reader)
    script.hold(60, lambda at_s: [threads_detail(20, at_s, make_thread(20, run_ns=int(at_s * 1e6)))])
    assert script.rules() == []


def test_peers_that_vanished_are_one_finding_a_process() -> None:
    silent = [make_socket("192.0.2.1:443", f"198.51.100.9:{n}", timer=Timer("keepalive", 3)) for n in range(1, 4)]
    script = Script(holders={socket.inode: (10, 5) for socket in silent}).look(*silent)
    (finding,) = script.find()
    assert (finding.rule, finding.severity, len(finding.sockets)) == ("peer-vanished", "warning", 3)
    once = make_socket("192.0.2.1:443", "198.51.100.9:1", timer=Timer("keepalive", 1))
    assert Script().look(once).rules() == []
