"""The table's columns: what there is, and where each stands at a width.

A pure function of the width, never of content: a table whose columns move while one looks at it cannot be read.

    layout(120)   glyph Move Process State Local⇄Remote Receive Send Why
    layout(80)    glyph Move Process State Local⇄Remote Queue
    layout(40)    glyph Move Process Local⇄Remote

The cell left of the glyph is the cursor's.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present.cells import CELLS, Cell
from sockscope.present.width import fit

__all__ = ["COLUMNS", "Cell", "Column", "Placed", "cell", "column_names", "layout"]


class Column(Struct, frozen=True):
    """One column. `sort` names its key in analysis.sorting.SORT_KEYS, None where it does not sort.

    `least` is the narrowest it can be read at, `share` how it grows where columns were chosen by hand.
    """

    name: str
    title: str
    meaning: str
    sort: str | None = None
    align: str = "left"
    least: int = 6
    share: int = 0


class Placed(Struct, frozen=True):
    """A column in its place: its first cell and how many it has. One cell at least stands between two columns."""

    column: Column
    x: int
    width: int


_ALL = (
    Column("glyph", "", "▲ severe, ! warning", None, least=1),
    Column("move", "Move", "whose move it is, and since when", "move", least=8),
    Column("process", "Process", "who has it open, pid, how many more", "process", least=10, share=2),
    Column("state", "State", "TCP's state, or the protocol", "state", least=10),
    Column("address", "Local ⇄ Remote", "← who came to us, → whom we called", "address", least=18, share=4),
    Column("queue", "Queue", "◂ received, ▸ to be sent: the fuller", "queue", least=7, share=1),
    Column("receive", "Receive", "received and unread; waiting/limit of a listener", "receive", least=9, share=1),
    Column("send", "Send", "sent and not acknowledged", "send", least=9, share=1),
    Column("why", "Why / waits", "what is wrong, or who waits and how", None, least=10, share=3),
    Column("user", "User", "owner of the socket", "user", least=8),
    Column("pid", "Pid", "first holder's pid", "pid", "right", 7),
    Column("fd", "Fd", "first holder's fd", "fd", "right", 4),
    Column("proto", "Proto", "protocol", "proto", least=5),
    Column("family", "Family", "address family", "family", least=6),
    Column("local", "Local", "the local end", "local", least=18, share=2),
    Column("remote", "Remote", "the remote end", "remote", least=18, share=2),
    Column("age", "Age", "how long it has been so", "age", "right", 4),
    Column("turn", "Turn", "whose turn it is to speak", None, least=4),
    Column("drops", "Drops", "packets dropped at this socket", "drops", "right", 6),
    Column("inode", "Inode", "the socket's inode", "inode", "right", 9),
    Column("netns", "Netns", "its network namespace", "netns", "right", 10),
    Column("cookie", "Cookie", "its cookie, in hex", "cookie", "right", 8),
    Column("interface", "Interface", "bound to this interface", None, least=9),
    Column("command", "Command", "command line of the first holder", None, least=12, share=3),
    Column("container", "Container", "container of the first holder", None, least=12),
)
COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}


def column_names() -> tuple[str, ...]:
    """Return what `--columns` takes."""
    return tuple(name for name in COLUMNS if name != "glyph")


@lru_cache(maxsize=64)
def layout(width: int, names: tuple[str, ...] | None = None) -> tuple[Placed, ...]:
    """Return the columns for a terminal of this width, or those named. Never wider than it; unknown names: KeyError."""
    first = 2 if width < 60 else 3
    sizes = _chosen(width - first, names) if names is not None else _standard(width)
    placed = [Placed(COLUMNS["glyph"], 1, 1)] if width > 1 else []
    x = first
    for name, size in sizes:
        size = min(size, width - x)  # noqa: PLW2901  # what does not fit is cut off
        if size <= 0:
            break
        placed.append(Placed(COLUMNS[name], x, size))
        x += size + 1
    return tuple(placed)


def _standard(width: int) -> list[tuple[str, int]]:
    if width < 60:
        sizes = [("move", 8), ("process", max(8, 10 + (width - 40) // 4)), ("address", 0)]
        if width >= 50:
            sizes.append(("queue", 8))
    elif width < 100:
        process, queue = 10 + (width - 60) // 4, min(11, 7 + (width - 60) // 5)
        sizes = [("move", 8), ("process", process), ("state", 10), ("address", 0), ("queue", queue)]
    else:
        more = max(0, width - 120)
        sizes = [
            ("move", 9), ("process", 15 + min(5, (width - 100) // 4) + more // 8), ("state", 10), ("address", 0),
            ("receive", min(11, 10 + (width - 100) // 10) + more // 10), ("send", 10 + more // 10),
            ("why", 10 + min(8, (width - 100) * 8 // 20) + more // 4),
        ]
        if width >= 160:
            sizes.insert(-1, ("user", 10))
    # The address takes what is left.
    used = (2 if width < 60 else 3) + sum(size for _, size in sizes) + len(sizes) - 1
    return [(name, size or width - used) for name, size in sizes]


def _chosen(room: int, names: tuple[str, ...]) -> list[tuple[str, int]]:
    """Each column gets its least; what is left is shared out by their shares."""
    columns = [COLUMNS[name] for name in names]
    spare = max(0, room - sum(column.least + 1 for column in columns) + 1)
    shares = sum(column.share for column in columns)
    return [(column.name, column.least + (spare * column.share // shares if shares else 0)) for column in columns]


def cell(column: Column, socket: Socket, observation: Observation, width: int) -> Cell:
    """Return a cell of exactly `width` terminal cells, sanitised, with the name of its role."""
    made = CELLS[column.name](socket, observation, width)
    return Cell(fit(made.text, width, column.align), made.role)


def whole_cell(column: Column, socket: Socket, observation: Observation) -> Cell:
    """Return a cell uncut and unpadded, as a pipe wants it."""
    return CELLS[column.name](socket, observation, None)
