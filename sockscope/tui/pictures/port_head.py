"""The head of the port view: its listeners side by side, the last minute, by state, by worker, by remote. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from sockscope.analysis.direction import serves
from sockscope.analysis.memory import Memory
from sockscope.analysis.queues import accept_queue
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey
from sockscope.present.bars import bar, spark
from sockscope.present.format import address, count, endpoint, process_name, state_word
from sockscope.present.width import elide, fit
from sockscope.tui.pictures.listener import half_open, server_of, server_text
from sockscope.tui.pictures.parts import EMPTY_LINE, Part, TextLine, line
from sockscope.tui.pictures.past import NOBODY, UNSEEN, MovesSeen, strip

SHORT, TALL = 16, 30
ROOMY = 100  # columns; below it nothing is drawn for a zero, so that who holds the listener stays on the line
COUNTERS = ("ListenOverflows", "ListenDrops")  # MIB names of TcpExt: of the whole namespace, not of one listener


class PortFacts(Struct, frozen=True):
    """What is on a port: listeners, connections served here, and those that use it elsewhere."""

    listeners: tuple[Socket, ...]
    served: tuple[Socket, ...]
    used: tuple[Socket, ...]


def port_facts(port: int, observation: Observation) -> PortFacts:
    """Divide the sockets that have this port at either end."""
    listeners: list[Socket] = []
    served: list[Socket] = []
    used: list[Socket] = []
    for socket in observation.snapshot.sockets.values():
        here = socket.local.port == port
        if not here and (socket.remote is None or socket.remote.port != port):
            continue
        if socket.is_listener or socket.remote is None:
            listeners.append(socket)
        elif here and serves(observation.snapshot, socket) is not False:
            served.append(socket)
        else:
            used.append(socket)
    return PortFacts(tuple(listeners), tuple(served), tuple(used))


def drop_rate(socket: Socket, memory: Memory) -> float | None:
    """Return connections dropped a second over the last looks; None before there are two."""
    track = memory.tracks.get(socket.key)
    if len(memory.counters) < 2:
        return None
    span_s = memory.counters[-1].at_s - memory.counters[0].at_s
    first = memory.counters[0].sample
    drops = sum(rise for sample, rise in track.drops if sample > first) if track is not None else 0
    return drops / span_s if span_s > 0 else None


def counter_rates(netns: int, memory: Memory) -> tuple[float | None, ...]:
    """Return COUNTERS of a namespace as rates a second over the last looks; None where they were not read twice."""
    first, last = ({}, {}) if len(memory.counters) < 2 else (
        next((dict(one.values) for one in seen.counters if one.netns == netns), {})
        for seen in (memory.counters[0], memory.counters[-1])
    )
    span_s = memory.counters[-1].at_s - memory.counters[0].at_s if last else 0.0
    names = [f"TcpExt.{name}" for name in COUNTERS]
    return tuple(
        (last[name] - first[name]) / span_s if span_s > 0 and name in first and name in last else None for name in names
    )


def port_lines(port: int, service: str, observation: Observation, memory: Memory, *, seen: MovesSeen,
               accepts: Sequence[tuple[float, int]], width: int, height: int) -> list[TextLine]:
    """As much as the height allows; listeners can be followed."""
    facts = port_facts(port, observation)
    lines = [_title(port, service, facts, observation, width)]
    lines += [_listener(one, facts.served, observation, memory, width)
              for one in facts.listeners[: 2 if height < SHORT else 6]]
    now_s = observation.snapshot.monotonic_s
    if height < SHORT:
        return lines
    if height >= TALL:
        lines.append(EMPTY_LINE)
        if len(accepts) > 1:
            lines.append(_accept_plot(accepts, facts, width))
    lines += _counter_line(facts, memory, always=height >= TALL)
    lines.append(_whose_move(facts.served, observation, seen, now_s, width))
    if height >= TALL:
        lines += _counts(facts, observation, width)
    return lines


def _title(port: int, service: str, facts: PortFacts, observation: Observation, width: int) -> TextLine:
    workers = {holder.pid for one in facts.listeners for holder in observation.snapshot.holders_of(one)}
    words = [f"{count(len(facts.listeners))} listener{'' if len(facts.listeners) == 1 else 's'}"]
    if workers:
        words.append(f"{count(len(workers))} process{'' if len(workers) == 1 else 'es'}")
    words += [f"{count(len(facts.served))} served here", f"{count(len(facts.used))} used elsewhere"]
    text = "   ".join(words[-2:] if width < 60 else words)
    return line((f"Port {port}", "title"), (f" {service}  " if service else "  ", "dim"), text)


def _listener(listener: Socket, served: Sequence[Socket], observation: Observation, memory: Memory,
              width: int) -> TextLine:
    queue = accept_queue(listener)
    room = 22 if width >= ROOMY else 18 if width >= 60 else 12
    parts: list[Part] = [(fit(endpoint(listener.local), room), "plain"), (" ", "plain")]
    cells = max(4, min(20, width // 6 if width >= ROOMY else width // 10))
    if queue is None:
        parts.append((fit(listener.protocol, cells + 10), "dim"))
    else:
        role = "severe" if queue.is_full else "bar"
        parts.append((bar(queue.fill if queue.length else 0.0, None, cells), role))
        parts.append((f"{count(queue.length)}/{count(queue.limit)}".rjust(10), role if queue.length else "dim"))
    if width >= 60:
        parts += [*_losses(listener, served, memory, width), *_held(listener, observation)]
        server = server_of(listener, observation)
        if server is not None:
            parts.append((f"  {server_text(server)}", "dim"))
    return line(*parts, key=("socket", listener.key))


def _losses(listener: Socket, served: Sequence[Socket], memory: Memory, width: int) -> list[Part]:
    """Tell what this listener itself dropped, and handshakes under way; zeros only where there is room for them."""
    rate, half = drop_rate(listener, memory), half_open(listener, served)
    parts: list[Part] = []
    if rate or width >= ROOMY:
        parts.append((f"  dropped {'?' if rate is None else f'{rate:.0f}'} /s", "severe" if rate else "dim"))
    if half or width >= ROOMY:
        parts.append((f"  SYN {count(half)}", "dim"))
    return parts


def _held(listener: Socket, observation: Observation) -> list[Part]:
    holders = observation.snapshot.holders_of(listener)
    if not holders:
        return []
    pids = {holder.pid for holder in holders}
    name = process_name(observation.snapshot.processes.get(holders[0].pid))
    more = f" +{len(pids) - 1}" if len(pids) > 1 else ""
    return [(f"  {elide(name, 15)} {holders[0].pid}{more}", "plain")]


def _counter_line(facts: PortFacts, memory: Memory, *, always: bool) -> list[TextLine]:
    """ListenOverflows and ListenDrops as rates: where there is room, else only when they rise."""
    netns = next((one.netns for one in facts.listeners if one.protocol in ("tcp", "mptcp")), None)
    if netns is None:
        return []
    rates = counter_rates(netns, memory)
    if not always and not any(rates):
        return []
    words = [(f"{name} {'?' if rate is None else f'{rate:.1f}' if 0 < rate < 10 else f'{rate:.0f}'} /s   ",
              "warning" if rate else "plain") for name, rate in zip(COUNTERS, rates, strict=True)]
    return [line(("Host      ", "dim"), *words, ("all listeners of this network namespace together", "dim"))]


def _accept_plot(accepts: Sequence[tuple[float, int]], facts: PortFacts, width: int) -> TextLine:
    rates = [
        max(0.0, (now[1] - before[1]) / (now[0] - before[0]))
        for before, now in pairwise(accepts) if now[0] > before[0]
    ]
    cells = min(60, max(10, width - 60))
    latest = rates[-1] if rates else 0.0
    return line(("Last 60 s ", "dim"), f" accepts {latest:.0f} /s ", (spark(rates, cells).rjust(cells), "bar"),
                (f"   connections {count(len(facts.served))}", "dim"))


def _whose_move(served: Sequence[Socket], observation: Observation, seen: MovesSeen, now_s: float,
                width: int) -> TextLine:
    """Return a strip of the worst move among all of them, and how many wait for each party now."""
    cells = min(60, max(8, width - 56))
    parties = Counter(
        move.row.party for one in served if (move := (observation.moves or {}).get(one.key)) is not None
    )
    busy = parties["app"] + parties["peer"] + parties["network"]
    nobody = count(len(served) - busy)
    text = f"  app {parties['app']}  peer {parties['peer']}  net {parties['network']}  nobody {nobody}"
    keys = {one.key for one in served}
    return line(("Move ", "dim"), (worst_strip(keys, seen, now_s, cells), "plain"), text)


def worst_strip(keys: set[SocketKey], seen: MovesSeen, now_s: float, cells: int) -> str:
    """One letter a slice: the loudest of all these sockets; app before peer before network."""
    loudest: list[tuple[float, dict[SocketKey, str]]] = []
    for at_s, moves in seen:
        found = {moves[key] for key in keys & moves.keys()}
        letter = next((one for one in "APNapn" if one in found), None)
        loudest.append((at_s, {("all",): letter} if letter else {}))
    drawn = strip(loudest, ("all",), now_s, cells)
    return drawn if drawn.strip(UNSEEN) else NOBODY * cells


def _counts(facts: PortFacts, observation: Observation, width: int) -> list[TextLine]:
    snapshot = observation.snapshot
    states = Counter(state_word(one.state) for one in facts.served)
    workers = Counter(holder.pid for one in facts.served for holder in snapshot.holders_of(one)[:1])
    remotes = Counter(one.remote.address for one in facts.served if one.remote is not None)
    rows = [
        ("By state  ", [f"{state} {count(number)}" for state, number in states.most_common(6)]),
        ("By worker ", [f"{process_name(snapshot.processes.get(pid))} {pid}: {count(number)}"
                        for pid, number in workers.most_common(5)]),
        ("By remote ", [f"{address(far)} {count(number)}" for far, number in remotes.most_common(5)]),
    ]
    return [line((label, "dim"), elide("   ".join(words), width - 14)) for label, words in rows if words]
