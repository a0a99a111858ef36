"""The last minute of a socket: whose move it was, and both queues, one cell for a second or more. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sockscope.analysis.history import Sample, samples_of
from sockscope.analysis.memory import Memory
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey
from sockscope.present.bars import spark
from sockscope.present.format import byte_count, count, duration
from sockscope.tui.pictures.parts import TextLine, labelled, title

SPAN_S = 60.0
NOBODY, UNSEEN = "·", " "
LETTERS = {"app": "A", "peer": "P", "network": "N"}
NAMES = {"A": "app", "P": "peer", "N": "network", NOBODY: "nobody"}

MovesSeen = Sequence[tuple[float, dict[SocketKey, str]]]  # (time, letters of the rows that had one), oldest first


def letters(observation: Observation) -> dict[SocketKey, str]:
    """Return the rows whose move it is: upper case where that is proved (stalled), lower where bytes merely wait."""
    found: dict[SocketKey, str] = {}
    for key, move in (observation.moves or {}).items():
        letter = LETTERS.get(move.row.party)
        if letter is not None:
            found[key] = letter if move.row.condition == "stalled" else letter.lower()
    return found


def strip(seen: MovesSeen, key: SocketKey, now_s: float, cells: int) -> str:
    """One letter for each slice of the last minute; blank before watching began."""
    made = [UNSEEN] * cells
    for at_s, moves in seen:
        cell = _cell(at_s, now_s, cells)
        if cell is not None:
            letter = moves.get(key, NOBODY)
            if made[cell] in (UNSEEN, NOBODY) or letter.isupper():
                made[cell] = letter
    return _carried(made)


def _carried(made: list[str]) -> str:
    """Return a slice without a look keeps what the look before it showed."""
    last = UNSEEN
    for number, letter in enumerate(made):
        if letter == UNSEEN:
            made[number] = last
        last = made[number]
    return "".join(made)


def _cell(at_s: float, now_s: float, cells: int) -> int | None:
    ago_s = now_s - at_s
    return min(cells - 1, max(0, int((SPAN_S - ago_s) / SPAN_S * cells))) if 0 <= ago_s <= SPAN_S else None


def tally(moves: str, span_s: float = SPAN_S) -> str:
    """`app 9s  nobody 48s` for a strip."""
    counted = Counter(letter.upper() for letter in moves if letter != UNSEEN)
    cell_s = span_s / max(1, len(moves))
    return "  ".join(f"{NAMES[letter]} {duration(number * cell_s)}"
                     for letter, number in sorted(counted.items(), key=lambda item: "APN·".index(item[0])))


def series(samples: Sequence[Sample], of: Callable[[Sample], int], now: int, *, now_s: float, from_s: float,
           cells: int) -> list[float]:
    """Return the queue at each slice: a row is remembered where it changed, so a value holds until the next one."""
    start_s = now_s - SPAN_S
    values: list[float] = []
    at, current = 0, 0.0
    for cell in range(cells):
        end_s = start_s + (cell + 1) * SPAN_S / cells
        top: float | None = None
        while at < len(samples) and samples[at].at_s <= end_s:
            current = float(of(samples[at]))
            top = current if top is None else max(top, current)
            at += 1
        if end_s >= from_s:
            values.append(max(current, top or 0.0))
    if values:
        values[-1] = float(now)
    return values


def past_lines(socket: Socket, memory: Memory, seen: MovesSeen, now_s: float, width: int) -> list[TextLine]:
    """Return the strip and both plots, with a time axis where there is room."""
    wide = width >= 100
    cells = min(60, max(10, width - (52 if wide else 40)))
    moves = strip(seen, socket.key, now_s, cells)
    samples = samples_of(memory.history, socket.key, now_s - SPAN_S)
    from_s = memory.history.from_s if memory.history.from_s is not None else now_s
    lines = [title(" LAST 60 s"), labelled("move", (moves.rjust(cells), "plain"), ("  " + tally(moves), "dim"))]
    names = ("accept", "") if socket.is_listener else ("receive", "send")
    unit = count if socket.is_listener else byte_count
    for name, of, now in (
        (names[0], _receive_queued, socket.receive_queued), (names[1], _send_queued, socket.send_queued),
    ):
        if not name:
            continue
        values = series(samples, of, now or 0, now_s=now_s, from_s=from_s, cells=cells)
        drawn = spark(values, cells).rjust(cells)
        most = f"  max {count(int(max(values)))}" if wide and values and max(values) else ""
        lines.append(labelled(name, (drawn, "bar"), f"  {unit(now or 0)}", (most, "dim")))
    if wide:
        third = cells // 3
        axis = "-60 s".ljust(third) + "-40 s".ljust(third) + "-20 s".ljust(cells - 2 * third - 3) + "now"
        lines.append(labelled("", (axis, "dim")))
    return lines


def _receive_queued(sample: Sample) -> int:
    return sample.receive_queued


def _send_queued(sample: Sample) -> int:
    return sample.send_queued
