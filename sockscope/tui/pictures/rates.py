"""How fast a socket's totals grow: the difference of two readings some seconds apart. Pure."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present.format import size

KEPT_S, LEAST_S = 10.0, 0.9  # a rate is told over so long at most, and at least


class Totals(Struct, frozen=True):
    """One reading. None is unknown."""

    at_s: float
    received: int | None = None
    sent: int | None = None
    resent: int | None = None  # segments
    drops: int | None = None


def totals_of(socket: Socket, observation: Observation) -> Totals | None:
    """Return what is counted for it now, None where nothing is."""
    detail = observation.details.get(socket.key)
    read = detail.tcp if detail is not None else None
    drops = socket.memory.drops if socket.memory is not None else None
    if read is not None and read.value is not None and not socket.is_listener:
        tcp = read.value
        return Totals(read.read_at_s, tcp.bytes_received, tcp.bytes_sent, tcp.total_retrans, drops)
    return None if drops is None else Totals(observation.snapshot.monotonic_s, drops=drops)


def keep(readings: deque[Totals], one: Totals | None) -> None:
    """Add a reading unless it is the one there is, and let go of those too old to tell a rate by."""
    if one is None or (readings and one.at_s <= readings[-1].at_s):
        return
    readings.append(one)
    while len(readings) > 2 and one.at_s - readings[1].at_s >= KEPT_S:
        readings.popleft()


def rates_text(readings: deque[Totals]) -> str:
    """`in 12K/s   out 0B/s   resent 0/s   drops 0/s   over 8 s`; empty before there are two readings."""
    if len(readings) < 2:
        return ""
    first, last = readings[0], readings[-1]
    span_s = last.at_s - first.at_s
    if span_s < LEAST_S:
        return ""
    pairs = (("in", "B", first.received, last.received), ("out", "B", first.sent, last.sent),
             ("resent", "", first.resent, last.resent), ("drops", "", first.drops, last.drops))
    words = [f"{name} {_per_second((now - before) / span_s)}{unit}/s"
             for name, unit, before, now in pairs if before is not None and now is not None]
    return "   ".join([*words, f"over {span_s:.0f} s"]) if words else ""


def _per_second(rate: float) -> str:
    return f"{rate:.1f}" if 0 < rate < 10 else size(max(0, round(rate)))
