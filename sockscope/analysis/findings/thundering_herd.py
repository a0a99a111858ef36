"""thundering-herd: every connection wakes many threads and one of them gets it."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_port, about_process, evidence
from sockscope.analysis.sight import port_text
from sockscope.model.finding import Finding
from sockscope.model.socket import Socket

WAITERS, ACCEPTS_PER_S, FOR_LOOKS = 4, 20.0, 5


def find(scene: Scene) -> Iterator[Finding]:
    """Report listeners watched by four and more epoll sets without EPOLLEXCLUSIVE whose threads wake in vain.

    Voluntary switches per connection at max(3, N/2) and above (staged: 4.0 to 16.0 level-triggered, 1.0 exclusive).
    The namespace's PassiveOpens counts the connections: more than this listener's, so the ratio errs downwards.
    """
    opens = scene.rises(scene.snapshot.netns, "Tcp.PassiveOpens")
    recent = [opens.get(seen.sample, 0) for seen in scene.memory.counters[-FOR_LOOKS:]]
    looks = scene.memory.counters[-(FOR_LOOKS + 1):]
    span_s = looks[-1].at_s - looks[0].at_s if len(looks) > FOR_LOOKS else 0.0
    if not span_s or min(recent) < ACCEPTS_PER_S * span_s / FOR_LOOKS:
        return
    for socket, _ in scene.tracked("tcp"):
        watches = scene.watches(socket) if socket.is_listener else None
        sets = {(watch.pid, watch.epoll_fd) for watch in watches or () if not watch.exclusive and watch.events & 1}
        if len(sets) >= WAITERS:
            yield from _judge(scene, socket, sets, sum(recent) / span_s)


def _judge(scene: Scene, socket: Socket, sets: set[tuple[int, int]], accepts_per_s: float) -> Iterator[Finding]:
    switches_per_s = 0.0
    threads = 0
    for pid in {pid for pid, _ in sets}:
        seen = scene.memory.process(scene.snapshot.processes.get(pid))
        if seen is None or seen.before_s is None or not scene.memory.is_fresh(seen.at_s):
            return
        for thread in seen.threads:
            if (pid, thread.set_fd) in sets and thread.switches_before is not None and thread.thread.switches:
                threads += 1
                switches_per_s += (thread.thread.switches[0] - thread.switches_before) / (seen.at_s - seen.before_s)
    ratio = switches_per_s / accepts_per_s
    if threads < WAITERS or ratio < max(3.0, threads / 2):
        return
    pids = scene.pids(socket)
    yield Finding(
        "thundering-herd", "note",
        f"each connection to {port_text(socket)} wakes {ratio:.0f} of {threads} waiting threads: one gets it",
        (evidence("wake-ups", f"{switches_per_s:.0f} voluntary switches a second", "task/status, two readings"),
         evidence("connections", f"{accepts_per_s:.0f} a second in this namespace", "PassiveOpens, each look"),
         evidence("epoll sets", f"{len(sets)} watch the listener without EPOLLEXCLUSIVE", "epoll fdinfo")),
        ("Register the listener with EPOLLEXCLUSIVE, or give each worker its own with SO_REUSEPORT",),
        about=(*about_process(pids), *about_port(socket)), sockets=(socket.key,),
    )
