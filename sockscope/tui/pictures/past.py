"""The past of a socket: whose move it was in the last minute, both queues over up to five minutes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from sockscope.analysis.history import Sample, samples_of
from sockscope.analysis.memory import Memory
from sockscope.analysis.peers import peer_of
from sockscope.analysis.queues import accept_queue, receive_queue, send_queue
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey
from sockscope.present.bars import spark
from sockscope.present.format import byte_count, count, duration
from sockscope.tui.pictures.frame import Frame
from sockscope.tui.pictures.parts import TextLine, labelled, line, title
from sockscope.tui.pictures.plot import AXIS, plot_rows

SPAN_S = 60.0
PLOT_SPANS_S = (60.0, 120.0, 300.0)  # a plot covers the shortest of them that holds all that was seen
WIDE = 100  # columns
PLOT_FROM, PLOT_ROWS = 44, 4  # rows of terminal, rows of a plot
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


def plot_span_s(seen_s: float) -> float:
    """Return how much time a plot shows of a row that has been watched for `seen_s`."""
    return next((span_s for span_s in PLOT_SPANS_S if seen_s <= span_s), PLOT_SPANS_S[-1])


def series(samples: Sequence[Sample], of: Callable[[Sample], int], now: int, *, now_s: float, from_s: float,
           cells: int, span_s: float = SPAN_S) -> list[float]:
    """Return the queue at each slice: a row is remembered where it changed, so a value holds until the next one."""
    start_s = now_s - span_s
    values: list[float] = []
    at, current = 0, 0.0
    for cell in range(cells):
        end_s = start_s + (cell + 1) * span_s / cells
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


def past_lines(socket: Socket, observation: Observation, memory: Memory, seen: MovesSeen,
               frame: Frame) -> list[TextLine]:
    """Return the strip and both queues, with a time axis where there is room; on a high screen as plots."""
    wide = frame.width >= WIDE
    cells = min(60, max(10, frame.width - (52 if wide else 40)))
    before = " " * AXIS if _is_plotted(frame) else ""
    moves = strip(seen, socket.key, frame.now_s, cells)
    lines = [title(" LAST 60 s"), labelled("move", before, (moves.rjust(cells), "plain"), ("  " + tally(moves), "dim"))]
    from_s = memory.history.from_s if memory.history.from_s is not None else frame.now_s
    span_s = plot_span_s(frame.now_s - from_s) if _is_plotted(frame) else SPAN_S
    if span_s != SPAN_S:
        lines += [_axis(SPAN_S, before, cells), title(f" LAST {span_s / 60:.0f} min")]
    samples = samples_of(memory.history, socket.key, frame.now_s - span_s)
    for drawn in _queues(socket, observation):
        values = series(samples, drawn.of, drawn.now, now_s=frame.now_s, from_s=from_s, cells=cells, span_s=span_s)
        lines += _queue_lines(drawn, values, cells, frame)
    if wide:
        lines.append(_axis(span_s, before, cells))
    return lines


def _axis(span_s: float, before: str, cells: int) -> TextLine:
    """Draw the time axis below a strip or a plot."""
    third = cells // 3
    marks = [f"-{span_s * share / 3:.0f} s" for share in (3, 2, 1)]
    axis = "".join(mark.ljust(third) for mark in marks[:2]) + marks[2].ljust(cells - 2 * third - 3) + "now"
    return labelled("", before, (axis, "dim"))


class Drawn(Struct, frozen=True):
    """One queue as it is drawn: its name, how to get it from a sample, how long it is now and where its mark is."""

    name: str
    of: Callable[[Sample], int]
    now: int
    mark: int | None
    unit: Callable[[int], str]


def _queues(socket: Socket, observation: Observation) -> list[Drawn]:
    received, sent = socket.receive_queued or 0, socket.send_queued or 0
    if socket.is_listener:
        queue = accept_queue(socket)
        return [Drawn("accept", _receive_queued, received, queue.limit if queue is not None else None, count)]
    detail = observation.details.get(socket.key)
    peer = peer_of(observation.snapshot, socket) if socket.family == "unix" else None
    marks = (receive_queue(socket, peer, detail).mark_bytes, send_queue(socket, peer, detail).mark_bytes)
    return [Drawn("receive", _receive_queued, received, marks[0], byte_count),
            Drawn("send", _send_queued, sent, marks[1], byte_count)]


def _is_plotted(frame: Frame) -> bool:
    return frame.width >= WIDE and frame.height >= PLOT_FROM


def _queue_lines(drawn: Drawn, values: list[float], cells: int, frame: Frame) -> list[TextLine]:
    """Return one queue: a row of eighth blocks, or a plot with its mark where the screen is high."""
    now = f"  {drawn.unit(drawn.now)}"
    highest = int(max(values, default=0.0))
    most = f"  max {count(highest)}" if highest else ""
    word = "limit" if drawn.unit is count else "mark"
    if _is_plotted(frame):
        rows = plot_rows(values, drawn.mark, cells, PLOT_ROWS, word)
        lines = [labelled("" if number else drawn.name, *parts) for number, parts in enumerate(rows)]
        lines[-1] = line(*lines[-1].parts, now, (most, "dim"))
        return lines
    mark = f"  {word} {count(drawn.mark)}" if drawn.mark is not None and drawn.mark > 1 else ""
    shown = (most + mark, "dim") if frame.width >= WIDE else ("", "dim")
    return [labelled(drawn.name, (spark(values, cells).rjust(cells), "bar"), now, shown)]


def _receive_queued(sample: Sample) -> int:
    return sample.receive_queued


def _send_queued(sample: Sample) -> int:
    return sample.send_queued
