"""Help: every key, what the columns and signs mean, and what could not be read this time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from sockscope.present.columns import COLUMNS
from sockscope.present.width import fit
from sockscope.tui.key_names import Remapped, shown_key
from sockscope.tui.pictures.parts import TextLine, line, title, wrap
from sockscope.tui.pictures.summary import gap_text
from sockscope.tui.widgets.text_list import TextList

if TYPE_CHECKING:
    from sockscope.model.observation import Observation
    from sockscope.tui.screens.room import Room
    from sockscope.tui.widgets.keyed_lines import KeyedLines

KEYS: tuple[tuple[tuple[tuple[str, str], ...], str], ...] = (  # ((keys, action), ...), what they do
    ((("arrows j k", "move(1)"), ("g G Home End", "first"), ("PgUp PgDn", "page(1.0)")), "move"),
    ((("Enter", "follow"),), "follow: why is it stuck"),
    ((("Esc Backspace", "back"),), "back; at the root clear the filter"),
    ((("[", "sibling(-1)"), ("]", "sibling(1)")), "previous, next socket in the anatomy"),
    ((("/ F3 F4", "filter"),), "filter while typing; ↑ history, ↓ to the table, Tab completes"),
    ((("*", "narrow"),), "narrow to this row's process, remote, port or state"),
    ((("!", "trouble"),), "trouble only"), ((("f", "view(4)"),), "findings"),
    ((("l", "toggle_term('l')"), ("e", "toggle_term('e')"), ("o", "toggle_term('o')")),
     "listening, established, other states"),
    ((("t", "toggle_term('t')"), ("u", "toggle_term('u')"), ("x", "toggle_term('x')")), "tcp, udp, unix"),
    ((("a", "all"),), "all"),
    ((("s F6", "sort_menu"), ("<", "sort_step(-1)"), (">", "sort_step(1)"), ("S", "reverse")),
     "sort menu, previous, next column, reverse"),
    ((("v F5", "group_menu"),), "group"), ((("Space", "fold"),), "open or close a heading"),
    ((("p", "pause"),), "pause"), ((("r", "refresh_now"),), "look once"),
    ((("+", "interval(0.5)"), ("-", "interval(2.0)")), "look more, less often"),
    ((("c", "copy"),), "copy the report (OSC 52)"), ((("w", "write"),), "write to a file"),
    ((("m", "numbers"),), "numbers"), ((("n", "names"),), "names"), ((("L", "lab"),), "lab"),
    ((("K F9", "signal"),), "signal the process"), ((("D", "destroy"),), "close the socket"),
    ((("1", "view(1)"), ("2", "view(2)"), ("3", "view(3)"), ("4", "view(4)")), "sockets, port, process, findings"),
    ((("Tab Shift+Tab", "other_pane"),), "panes"), ((("? F1", "help"),), "help"), ((("Ctrl+P", ""),), "palette"),
    ((("Ctrl+L", "redraw"), ("Ctrl+Z", "suspend_process")), "redraw, suspend"),
    ((("q F10", "leave"),), "close what is on top, else quit"), ((("Ctrl+C Ctrl+Q", ""),), "quit"),
)
SIGNS = (
    ("app peer net", "whose move it is; app? means bytes wait and nothing proves who is due"),
    ("▲ !", "somebody must act: severe, warning"),
    ("│ on a bar", "the mark: readable beyond it; beyond it on the send side poll() says not writable"),
    ("blank – ?", "nothing there, not applicable, unknown"),
    ("129/128", "connections waiting to be accepted / the backlog"), ("← →", "came to us, called by us"),
)


NARROW = 60


class HelpScreen(ModalScreen[None]):
    """Over the room it was asked from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q,f10,question_mark,f1", "dismiss(None)", show=False),
    ]

    def __init__(self, room: Room) -> None:
        super().__init__()
        self._room = room
        self._list = TextList(id="choices")

    def compose(self) -> ComposeResult:
        """Return a box with the text."""
        with Vertical(id="dialog") as box:
            box.border_title = Content("Help")
            yield self._list

    def on_mount(self) -> None:
        """As large as the terminal allows."""
        box = self.query_one("#dialog")
        width = min(96, self.app.size.width)
        box.styles.width = width
        box.styles.height = self.app.size.height
        lines = help_lines(self._room.session.observation, width - 6, self._room.scope_app.settings.keys)
        self._list.show([TextLine(each.parts, number) for number, each in enumerate(lines)])
        self._list.focus()

    def on_keyed_lines_highlighted(self, event: KeyedLines.Highlighted) -> None:
        """Nobody else's business."""
        event.stop()


def help_lines(observation: Observation | None, width: int, remapped: Remapped) -> list[TextLine]:
    """Return the text of the help screen, with the keys that the configuration file gave."""
    lines = [title("KEYS")]
    for keys, what in KEYS:
        shown = " ".join(shown_key(usual, action, remapped, most=3) for usual, action in keys)
        lines += _told(shown, "key", what, 34, width)
    lines += [line(), title("SIGNS")]
    for sign, what in SIGNS:
        lines += _told(sign, "accent", what, 14, width)
    lines += [line(), title("COLUMNS")]
    for one in COLUMNS.values():
        lines += _told(one.title, "accent", one.meaning, 16, width) if one.title else []
    if observation is None:
        return lines
    snapshot = observation.snapshot
    lines += [line(), title("READ FROM"), *(line((fit(what, 10), "accent"), source)
                                            for what, source in sorted(snapshot.sources.items()))]
    lines += [line(), title("NOT READ", "" if snapshot.gaps else "nothing is missing")]
    for gap in snapshot.gaps:
        lines += wrap(gap_text(gap), width)
    return lines


def _told(name: str, role: str, what: str, room: int, width: int) -> list[TextLine]:
    """Return a name and what it means, which goes on below itself; on a narrow screen below the name. None is cut."""
    if width < NARROW:
        return [*wrap(name, width, role), *wrap(what, width, indent="  ")]
    first, *rest = wrap(what, width - room - 1)
    return [line((fit(name, room), role), " ", *first.parts),
            *(line(" " * (room + 1), *one.parts) for one in rest)]
