"""The sentence and the wait chain: from the row to the thread that should act, and whom that one waits for."""

from __future__ import annotations

from typing import Any

from analysis.test_memory import fold, scripts
from builders import make_socket
from hypothesis import HealthCheck, given, settings
from msgspec import structs
from scripted import Script, change, make_thread, tcp_detail, threads_detail

from sockscope.analysis.findings.rules import RULES, find
from sockscope.analysis.findings.scene import SEVERITIES
from sockscope.analysis.move import moves
from sockscope.analysis.suspects import suspects
from sockscope.analysis.wait_chain import chain_text, follow, wait_chain
from sockscope.analysis.why import sentence
from sockscope.model.detail import PipeEnd, ProcessDetail, Read
from sockscope.model.observation import Observation
from sockscope.model.process import Fd, Process
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket, Timer


def observed(script: Script) -> Observation:
    """As the feed concludes it."""
    memory, snapshot = script.memory, script.snapshot
    first = Observation(snapshot, memory.details, {key[0]: detail for key, detail in memory.process_details.items()},
                        moves=moves(memory, snapshot))
    return Observation(snapshot, first.details, first.process_details, first.moves, findings=find(memory, first))


def reading(pid: int, tid: int, fd: int, call: str = "recvfrom") -> ProcessDetail:
    return threads_detail(pid, 100.0, make_thread(pid, tid, call=call, on_fd=fd))


def test_the_reason_follows_the_chain() -> None:
    served = make_socket("192.0.2.1:3000", "198.51.100.9:40000", receive_queued=500)
    database = make_socket("192.0.2.1:41000", "10.0.0.7:5432")
    script = Script(holders={served.inode: (10, 24), database.inode: (10, 9)})
    script.look(change(served, receive_queued=0), database).look(served, database, details=[reading(10, 2311, 9)])
    text = sentence(served, observed(script))
    assert text == "500 B unread at this look; thread 2311 is in recvfrom(fd 9 → 10.0.0.7:5432)"


def test_the_chain_goes_on_at_the_other_end_and_through_a_pipe() -> None:
    served = make_socket("192.0.2.1:3000", "198.51.100.9:40000", receive_queued=500)
    here, there = make_socket("127.0.0.1:41000", "127.0.0.1:5432"), make_socket("127.0.0.1:5432", "127.0.0.1:41000")
    script = Script(holders={served.inode: (10, 24), here.inode: (10, 9), there.inode: (20, 4)})
    pipe = Fd(20, 6, "pipe", b"pipe:[77]", inode=77)
    script.look(served, here, there, details=[
        reading(10, 2311, 9),
        ProcessDetail((20, 1), threads=Read((make_thread(20, call="write", on_fd=6),), 100.0), fds=Read((pipe,), 100.0)),
        ProcessDetail((30, 1), threads=Read((make_thread(30, call="nanosleep", on_fd=None),), 100.0),
                      fds=Read((Fd(30, 0, "pipe", b"pipe:[77]", inode=77),), 100.0)),
    ])
    links = wait_chain(served, observed(script))
    assert [(link.pid, link.call, link.fd) for link in links] == [
        (10, "recvfrom", 9), (20, "write", 6), (30, "nanosleep", None),
    ]
    assert links[0].other == there.key
    assert chain_text(links).endswith(
        "process 20 is in write(fd 6 → pipe:[77]); process 30 has the other end, in nanosleep()")


def test_a_pipe_leads_to_whoever_has_its_other_end_and_asks_for_what_was_not_read() -> None:
    served = make_socket("192.0.2.1:3000", "198.51.100.9:40000", receive_queued=500)
    script = Script(holders={served.inode: (10, 24)})
    waits = structs.replace(
        reading(10, 2311, 3, "read"), fds=Read((Fd(10, 3, "pipe", b"pipe:[77]", inode=77),), 100.0),
        pipes=Read((PipeEnd(40, 8, 77, writes=False), PipeEnd(30, 9, 77, writes=True)), 100.0),
    )
    script.look(served, details=[waits])
    assert follow(served, observed(script))[1] == (30,), "the other reader cannot help it"
    assert [link.pid for link in wait_chain(served, observed(script))] == [10]


def test_the_chain_ends_where_an_fd_is_not_known() -> None:
    served = make_socket("192.0.2.1:3000", "198.51.100.9:40000", receive_queued=500)
    script = Script(holders={served.inode: (10, 24)}).look(served, details=[reading(10, 2311, 6, "write")])
    assert chain_text(wait_chain(served, observed(script))) == "thread 2311 is in write(fd 6)"


def test_a_circle_is_a_deadlock() -> None:
    one, two = make_socket("127.0.0.1:1000", "127.0.0.1:2000"), make_socket("127.0.0.1:2000", "127.0.0.1:1000")
    three, four = make_socket("127.0.0.1:3000", "127.0.0.1:4000"), make_socket("127.0.0.1:4000", "127.0.0.1:3000")
    holders = {one.inode: (10, 3), two.inode: (20, 3), three.inode: (10, 4), four.inode: (20, 4)}
    script = Script(holders=holders).look(one, two, three, four, details=[reading(10, 10, 4), reading(20, 20, 3)])
    links = wait_chain(one, observed(script))
    assert [link.pid for link in links] == [10, 20]
    assert links[-1].closes
    assert chain_text(links).endswith("a deadlock")


def test_nothing_read_nothing_said() -> None:
    socket = make_socket("192.0.2.1:3000", "198.51.100.9:40000")
    script = Script().look(socket)
    assert wait_chain(socket, observed(script)) == ()
    assert sentence(socket, observed(script)) == ""


def test_a_finding_says_it_with_its_mend_and_others_of_it_say_their_own() -> None:
    listener = make_socket("192.0.2.1:3000")
    rows = [make_socket("192.0.2.1:40000", f"198.51.100.{n}:443", timer=Timer("keepalive", 3)) for n in (1, 2)]
    script = Script(holders={row.inode: (10, 4) for row in rows}).look(listener, *rows)
    observation = observed(script)
    first, second = (sentence(row, observation) for row in rows)
    assert first.startswith("198.51.100.1:443 and 1 more answered none of 3 probes")
    assert second.startswith("3 keepalive probes unanswered")
    assert "firewall" in first and "firewall" in second


def test_turn_is_said_of_a_request_without_an_answer() -> None:
    socket = make_socket("192.0.2.1:3000", "198.51.100.9:40000")
    script = Script().look(socket)
    script.look(socket, details=[tcp_detail(socket, 101.0, last_data_recv_ms=42_000, last_data_sent_ms=90_000)])
    assert sentence(socket, observed(script)) == "peer spoke last 42 s ago, read, nothing sent since"


def test_suspects_ask_for_limits_and_for_threads_that_wait_for_names() -> None:
    asking = make_socket("192.0.2.1:5353", "192.0.2.53:53", protocol="udp", type="dgram")
    script = Script(holders={asking.inode: (10, 7)}).look(asking)
    assert suspects(script.memory, script.snapshot, 64).processes == ()
    script.hold(1)
    assert suspects(script.memory, script.snapshot, 64).processes == (10,)
    crowd = {pid: Process(pid, 1, b"x", fd_count=900) for pid in range(20, 40)}
    script.look(processes=crowd)
    wanted = suspects(script.memory, script.snapshot, 64)
    assert wanted.processes == (20, 21, 22, 23)
    assert "process" in wanted.facets
    known = [ProcessDetail((pid, 1), process=Read(Process(pid, 1, fd_limit=1024), 103.0)) for pid in range(20, 24)]
    script.look(details=known)
    assert suspects(script.memory, script.snapshot, 64).processes == (24, 25, 26, 27)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts())
def test_findings_and_sentences_never_raise(looks: list[tuple[Snapshot, list[Any]]]) -> None:
    memory, snapshot = fold(looks), looks[-1][0]
    observation = Observation(snapshot, memory.details, moves=moves(memory, snapshot))
    found = find(memory, observation)
    assert found == find(memory, observation)
    for finding in found:
        assert finding.rule in RULES
        assert finding.severity in SEVERITIES
        assert finding.evidence and finding.advice and finding.summary
    told = Observation(snapshot, memory.details, moves=observation.moves, findings=found)
    for socket in snapshot.sockets.values():
        assert isinstance(sentence(socket, told), str)


def test_every_socket_of_a_finding_is_in_the_look() -> None:
    rows: list[Socket] = [make_socket("192.0.2.1:40000", "198.51.100.1:443", timer=Timer("keepalive", 3))]
    script = Script().look(*rows)
    assert all(key in script.snapshot.sockets for finding in script.find() for key in finding.sockets)
