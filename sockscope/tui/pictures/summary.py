"""The line on top of every screen: views with their subjects, counts, age, gaps. Pure."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from sockscope.model.gap import Gap
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.present.format import count, duration
from sockscope.present.text import sanitise
from sockscope.present.width import cell_len, elide
from sockscope.tui.pictures.parts import Part, parts_width

_newest: tuple[Snapshot, Counter[str]] | None = None
STALE_S = 3.0  # beyond interval and duration of a look: a machine under load is no alarm


class Clock(Struct, frozen=True):
    """How the data stands in time. `paused_s` is set while paused, with what came and went meanwhile."""

    now_s: float
    interval_s: float
    paused_s: float | None = None
    came: int = 0
    went: int = 0
    error: str | None = None


def tabs(view: str, port: str, process: str, findings: int | None, width: int) -> list[tuple[Part, str]]:
    """Return the views as parts with the action of a click; subjects are shortened before views are dropped."""
    marks = f"▲{findings}" if findings else "0" if findings == 0 else ""
    long = [("1", "Sockets", "sockets"), ("2", f"Port {port}", "port"), ("3", f"Process {process}", "process"),
            ("4", f"Findings {marks}".rstrip(), "findings")]
    short = [("1", "Sockets", "sockets"), ("2", f":{port}", "port"), ("3", elide(process, 14), "process"),
             ("4", marks or "Findings", "findings")]
    chosen = long if width >= 100 else short
    if width < 60:
        chosen = [tab for tab in short if tab[2] == view] + ([short[3]] if findings and view != "findings" else [])
    made: list[tuple[Part, str]] = []
    for number, label, name in chosen:
        made.append(((" ", "plain"), ""))
        role = "tab" if name == view else "severe" if name == "findings" and findings else "dim"
        made.append(((f"{number} {label} ", role), f"view({number})"))
    return made


def status(observation: Observation | None, clock: Clock, width: int) -> tuple[Part, ...]:
    """Return counts, age, how long the look took, and what could not be read; the least important goes first."""
    if observation is None:
        return ((sanitise(clock.error, 60) if clock.error else "looking…", "warning" if clock.error else "dim"),)
    snapshot = observation.snapshot
    pieces = [(3, _age(observation, clock))]
    if clock.error:
        pieces.append((0, (elide("! " + sanitise(clock.error), max(10, width - 12)), "severe")))
    hidden = snapshot.hidden_processes
    if hidden:
        pieces.append((5, (f"{count(hidden)} owner{'' if hidden == 1 else 's'} hidden", "dim")))
    others = sum(gap.what != "holders" for gap in snapshot.gaps)
    if others:
        pieces.append((6, (f"{others} gap{'s' if others > 1 else ''}", "dim")))
    states = _states(snapshot)
    if states["CLOSE_WAIT"]:
        pieces.append((7, (f"{count(states['CLOSE_WAIT'])} close-wait", "plain")))
    pieces.append((8, (f"{count(states['LISTEN'])} listening", "plain")))
    pieces.append((4, (f"{count(len(snapshot.sockets))} sockets", "plain")))
    order = (4, 8, 7, 6, 5, 0, 3)
    shown = sorted(pieces, key=lambda piece: order.index(piece[0]))
    while len(shown) > 1 and sum(cell_len(part[0]) + 2 for _, part in shown) > width:
        shown.remove(max(shown))
    parts: list[Part] = []
    for _, part in shown:
        parts += [part, ("  ", "plain")]
    return tuple(parts[:-1])


def _states(snapshot: Snapshot) -> Counter[str]:
    """Count inet sockets by state; kept for the newest snapshot, since the line is drawn at every key."""
    global _newest  # noqa: PLW0603  # a memo of one entry; replacing it is atomic
    memo = _newest
    if memo is None or memo[0] is not snapshot:
        counted = Counter(socket.state for socket in snapshot.sockets.values() if socket.is_inet)
        memo = _newest = (snapshot, counted)
    return memo[1]


def _age(observation: Observation, clock: Clock) -> Part:
    if clock.paused_s is not None:
        return (f"PAUSED {duration(clock.paused_s)}, +{count(clock.came)} -{count(clock.went)}", "warning")
    age_s = max(0.0, clock.now_s - observation.snapshot.monotonic_s)
    if age_s > clock.interval_s + observation.snapshot.took_s + STALE_S:
        return (f"○ {duration(age_s)} old", "warning")
    return (f"● {interval_text(clock.interval_s)} {observation.snapshot.took_s * 1000:.0f} ms", "good")


def interval_text(interval_s: float) -> str:
    """1 s, 250 ms."""
    return f"{interval_s:g} s" if interval_s >= 1 else f"{interval_s * 1000:.0f} ms"


def top_line(left: list[tuple[Part, str]], right: tuple[Part, ...], width: int) -> tuple[Part, ...]:
    """Tabs on the left, status on the right."""
    parts = tuple(part for part, _ in left)
    gap = width - parts_width(parts) - parts_width(right) - 1
    return (*parts, (" " * max(1, gap), "plain"), *right)


def gap_text(gap: Gap) -> str:
    """One gap in a line."""
    detail = f": {sanitise(gap.detail)}" if gap.detail else ""
    number = f" ×{count(gap.count)}" if gap.count > 1 else ""
    return f"{gap.what} {gap.reason.replace('_', ' ')}{number}{detail}"
