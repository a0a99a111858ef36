"""What every screen has: the line on top, the keys at the bottom, and the ways between screens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from sockscope.model.detail import Wanted
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Socket
from sockscope.present.format import process_name
from sockscope.present.width import cell_len
from sockscope.tui.bindings import bind
from sockscope.tui.key_names import shown_key
from sockscope.tui.pictures.parts import Part
from sockscope.tui.pictures.summary import Clock, status, tabs, top_line
from sockscope.tui.session import Session
from sockscope.tui.widgets.parts_line import PartsLine

if TYPE_CHECKING:
    from sockscope.tui.app import SockscopeApp

NARROW, SHORT = 60, 16
TICK_S = 1.0  # the age on top is told anew so often
WITH_PORTS = frozenset({"tcp", "mptcp", "udp", "udplite"})  # a raw socket's "port" is its protocol
FACETS = frozenset({"tcp", "marks", "waiters", "watches", "nonblocking"})


class Room(Screen[None]):
    """A screen over the session. Subclasses compose between top and keys, and redraw in `show_look`."""

    VIEW: ClassVar[str] = ""
    KEYS: ClassVar[tuple[tuple[str, str, str], ...]] = ()  # (key shown, what it does, action), most wanted first
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("escape,backspace", "back"), bind("q,f10", "leave"),
        bind("question_mark,f1", "help"), bind("p", "pause"),
        bind("r", "refresh_now"), bind("plus,equals_sign", "interval(0.5)"),
        bind("minus", "interval(2.0)"), bind("1", "view(1)"),
        bind("2", "view(2)"), bind("3", "view(3)"), bind("4", "view(4)"),
        bind("f", "view(4)"), bind("K,f9", "signal"),
        bind("D", "destroy"), bind("c", "copy"), bind("w", "write"),
        bind("n", "names"), bind("ctrl+l", "redraw"),
        bind("ctrl+z", "app.suspend_process"), bind("L", "lab"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._last_wanted: tuple[object, ...] = ()

    @property
    def scope_app(self) -> SockscopeApp:
        """The app, by its own type."""
        from sockscope.tui.app import SockscopeApp  # noqa: PLC0415  # app imports the screens

        app = self.app
        assert isinstance(app, SockscopeApp)  # noqa: S101  # tells mypy
        return app

    def compose(self) -> ComposeResult:
        """Top, the room, keys."""
        yield PartsLine(id="top")
        yield from self.compose_room()
        yield PartsLine(id="keys")

    def compose_room(self) -> ComposeResult:
        """Return what is between."""
        yield from ()

    def on_mount(self) -> None:
        """Draw what is known, and tell the age every second."""
        self.set_interval(TICK_S, self.show_top)
        self.refresh_look()

    def on_screen_resume(self) -> None:
        """Another screen was closed: draw the newest look."""
        self._last_wanted = ()
        self.refresh_look()

    def on_resize(self) -> None:
        """Choose the layout by the size."""
        self.set_class(self.size.width < NARROW, "-narrow")
        self.set_class(self.size.height < SHORT, "-short")
        self.refresh_look()

    def refresh_look(self) -> None:
        """Draw everything anew from the session."""
        if not self.is_mounted or not self.size.width:
            return
        with self.app.batch_update():
            self.show_top()
            self.show_keys()
            if self.session.observation is not None:
                self.show_look(self.session.observation)
        self.want_details()

    def show_look(self, observation: Observation) -> None:
        """Draw the room from this look."""

    # -- top and keys

    def show_top(self) -> None:
        """Draw views, counts, age."""
        width = self.size.width
        if not width or not self.is_mounted:
            return
        observation = self.session.observation
        findings = observation.findings if observation is not None else None
        loud = None if findings is None else sum(one.severity in ("severe", "warning") for one in findings)
        left = tabs(self.VIEW, self.port_subject(), self.process_subject(), loud, width)
        used = sum(cell_len(part[0]) for part, _ in left)
        right = status(observation, self.clock(), max(0, width - used - 3))
        self.query_one("#top", PartsLine).show(
            top_line(left, right, width), actions=[action or None for _, action in left],
        )

    def clock(self) -> Clock:
        """How the look stands in time."""
        session = self.session
        now_s = session.clock()
        paused_s = now_s - session.paused_at_s if session.paused_at_s is not None else None
        return Clock(now_s, session.interval_s, paused_s, session.came, session.went, session.error)

    def port_subject(self) -> str:
        """Return what view 2 would show."""
        port = self.subject_port()
        return "–" if port is None else str(port)

    def process_subject(self) -> str:
        """Return what view 3 would show."""
        process = self.subject_process()
        return "–" if process is None else f"{process_name(process)} {process.pid}"

    def subject_socket(self) -> Socket | None:
        """Return the socket that keys act on: under the cursor, or the one this room is about."""
        return None

    def subject_port(self) -> int | None:
        """Return the port view 2 shows: the service's of the subject."""
        socket, observation = self.subject_socket(), self.session.observation
        if socket is None or observation is None or socket.protocol not in WITH_PORTS:
            return None
        from sockscope.analysis.direction import serves  # noqa: PLC0415  # only inet rows ask

        end = socket.remote if serves(observation.snapshot, socket) is False and socket.remote else socket.local
        return end.port or None

    def subject_process(self) -> Process | None:
        """Return the process view 3 shows: the subject's first holder."""
        socket, observation = self.subject_socket(), self.session.observation
        holders = observation.snapshot.holders_of(socket) if socket is not None and observation is not None else ()
        if not holders or observation is None:
            return None
        return observation.snapshot.processes.get(holders[0].pid) or Process(holders[0].pid)

    def keys(self) -> tuple[tuple[str, str, str], ...]:
        """Return the keys that work here now, most wanted first."""
        return self.KEYS

    def can(self, action: str) -> bool:
        """Whether a key in `keys()` does something here, for the subject under the cursor."""
        action = action.partition("(")[0]
        socket, process = self.subject_socket(), self.subject_process()
        if action == "signal":
            return self.session.actor is not None and process is not None
        if action == "destroy":
            return self.session.actor is not None and socket is not None and socket.is_inet
        return action != "copy" or socket is not None or process is not None

    def show_keys(self) -> None:
        """As many keys as fit, each clickable."""
        parts: list[Part] = [(" ", "plain")]
        actions: list[str | None] = [None]
        used, remapped = 1, self.scope_app.settings.keys
        for key, label, action in self.keys():
            key = shown_key(key, action, remapped)  # noqa: PLW2901  # the configuration file's, if it gave another
            if not key or not self.can(action):
                continue
            length = cell_len(key) + cell_len(label) + 3
            if used + length > self.size.width:
                continue
            parts += [(key, "key"), (f" {label}  ", "dim")]
            actions += [action, action]
            used += length
        self.query_one("#keys", PartsLine).show(tuple(parts), actions=actions)

    # -- details

    def wanted(self) -> Wanted:
        """Whose details this room shows."""
        return Wanted(0)

    def want_details(self) -> None:
        """Tell the feed, if it changed."""
        if self.app.screen is not self:
            return
        wanted = self.wanted()
        said = (wanted.sockets, wanted.processes, wanted.facets)
        if said != self._last_wanted:
            self._last_wanted = said
            self.session.feed.set_wanted(wanted)

    # -- actions

    def action_back(self) -> None:
        """Go back to where this was opened from."""
        self.scope_app.go_back()

    def action_leave(self) -> None:
        """Quit."""
        self.app.exit(0)

    def action_help(self) -> None:
        """Show the keys and what could not be read."""
        self.scope_app.open_help(self)

    def action_pause(self) -> None:
        """Freeze the screen, or go on."""
        if self.session.paused_at_s is None:
            self.session.pause()
        else:
            self.session.resume()
        self.refresh_look()

    def action_refresh_now(self) -> None:
        """Look once more now, and show it even while paused."""
        self.session.refresh_once()

    def action_interval(self, factor: float) -> None:
        """Look more or less often."""
        self.session.change_interval(factor)
        self.show_top()

    def action_view(self, number: int) -> None:
        """Go to one of the views."""
        self.scope_app.go_view(number, self)

    def action_redraw(self) -> None:
        """Draw the terminal anew."""
        self.app.refresh(repaint=True, layout=True)

    def action_signal(self) -> None:
        """Ask which signal to send to the subject's process."""
        self.scope_app.ask_signal(self.subject_process())

    def action_destroy(self) -> None:
        """Ask whether to close the subject's socket."""
        self.scope_app.ask_destroy(self.subject_socket())

    def action_copy(self) -> None:
        """Copy a report of the subject."""
        self.scope_app.copy_report(self.subject_socket(), self.subject_process())

    def action_write(self) -> None:
        """Write what is shown to a file."""
        self.scope_app.write_view(self.shown_sockets())

    def action_names(self) -> None:
        """Look host and service names up, or stop doing so."""
        self.scope_app.toggle_names()

    def action_lab(self) -> None:
        """Offer to stage some trouble."""
        self.scope_app.open_lab()

    def shown_sockets(self) -> list[Socket]:
        """Return what `w` writes."""
        socket = self.subject_socket()
        return [] if socket is None else [socket]
