"""The live screens as one app: it owns the feed, hands its results to the screen on top, and knows the ways between."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES

from sockscope.analysis.sorting import SORT_KEYS
from sockscope.collect.sources import open_source
from sockscope.feed.feed import Feed
from sockscope.present.columns import column_names
from sockscope.settings import Settings, SettingsError, keep_theme, read_settings, read_theme
from sockscope.tui import actions
from sockscope.tui.adapter import FeedDelivered, Said, post_to
from sockscope.tui.bindings import names
from sockscope.tui.naming import Naming
from sockscope.tui.palette import GoTo
from sockscope.tui.screens.findings import FindingsRoom
from sockscope.tui.screens.help import HelpScreen
from sockscope.tui.screens.lab import LabScreen
from sockscope.tui.screens.port import PortRoom
from sockscope.tui.screens.process import ProcessRoom
from sockscope.tui.screens.room import Room
from sockscope.tui.screens.socket import SocketRoom
from sockscope.tui.screens.sockets import SocketsRoom
from sockscope.tui.session import Session
from sockscope.tui.widgets.keyed_lines import KeyedLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from sockscope.feed.result import FeedResult
    from sockscope.model.process import Process
    from sockscope.model.socket import Socket, SocketKey
    from sockscope.model.source import Actor, Source
    from sockscope.tui.options import TuiOptions


PATIENCE_S = 2.0  # between a signal and the end, come what may


class SockscopeApp(App[int]):
    """`source` is closed with the app. Without an actor nothing can be signalled or closed."""

    CSS_PATH = Path(__file__).with_name("sockscope.tcss")
    TITLE = "sockscope"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar = App.COMMANDS | {GoTo}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "quit_now", show=False, priority=True),
    ]

    def __init__(self, options: TuiOptions, source: Source, actor: Actor | None = None,
                 settings: Settings | None = None) -> None:
        super().__init__()
        self.options = options
        self.settings = settings or Settings()
        self.is_ascii = options.ascii
        self.animation_level = "none"
        self.naming = Naming(with_hosts=options.names)
        feed = Feed(source, options.scope, options.interval_s or 1.0, post_to(self), self.naming)
        self.session = Session(options, feed, None if options.readonly else actor)
        self._staged: list[Popen[bytes]] = []

    def get_default_screen(self) -> Screen[None]:
        """All sockets: the root of every way."""
        return SocketsRoom(self.session, self.options.query)

    def on_mount(self) -> None:
        """Begin to look; end in order when told to."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Textual leaves the terminal in its alternate screen on a signal's default action.
            loop.add_signal_handler(number, self._end_by_signal, number)
        if self.options.theme is not None and self.options.theme in self.available_themes:
            self.theme = self.options.theme
        self.theme_changed_signal.subscribe(self, lambda theme: keep_theme(theme.name))
        if self.settings.keys:
            self.set_keymap({name: ",".join(keys) for name, keys in self.settings.keys.items()})
        if self.options.subject is not None and self.options.opening in ("port", "process"):
            self.follow((self.options.opening, self.options.subject))
        self.start_feed()

    def start_feed(self) -> None:
        """Begin to look."""
        self.session.feed.start()

    def end_staged(self) -> None:
        """End what the lab started, and its children with it."""
        for process in self._staged:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(TimeoutExpired):
                process.wait(1.0)
        self._staged.clear()

    def _end_by_signal(self, number: int) -> None:
        """End in order; if the terminal is gone, without it.

        A hangup is SIGHUP and SIGCONT: on the latter Textual begins to write again, its writing thread dies of EIO,
        and the orderly end waits for that thread for ever (textual.drivers).
        """
        self.exit(128 + number, return_code=128 + number)
        last = threading.Timer(PATIENCE_S, self._end_at_once, [128 + number])
        last.daemon = True
        last.start()

    def _end_at_once(self, code: int) -> None:
        self.end_staged()
        os._exit(code)  # helper processes end when our end of their pipe closes

    def on_feed_delivered(self, event: FeedDelivered) -> None:
        """Show a result on the room on top; the others draw it when they come up."""
        self._show_result(event.result)

    def on_said(self, event: Said) -> None:
        """Tell what came of an action."""
        self.say(event.text, is_error=event.is_error)

    def post_said(self, text: str, *, is_error: bool) -> None:
        """Tell it from another thread."""
        self.post_message(Said(text, is_error=is_error))

    def _show_result(self, result: FeedResult) -> None:
        is_new = self.session.take(result)
        room = self.room
        if room is None:
            return
        if is_new and result.error is None:
            room.refresh_look()
        else:
            room.show_top()

    @property
    def room(self) -> Room | None:
        """The room on top, dialogs apart."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Room)), None)

    def action_quit_now(self) -> None:
        """Quit from wherever one is."""
        self.exit(0)

    # -- ways between screens

    def go_back(self) -> bool:
        """Close the room on top; False at the root."""
        if len(self.screen_stack) <= 1:
            return False
        self.pop_screen()
        return True

    def follow(self, key: object, *, anywhere: bool = False) -> None:
        """Open what a line's key names: ("socket", its key), ("process", pid) or ("port", number).

        `anywhere`: a view that is on the way back already is gone back to, instead of piling up.
        """
        if not isinstance(key, tuple) or len(key) < 2:
            return
        kind, subject = key[:2]
        if kind == "socket":
            self.open_socket(subject)
        elif kind == "process":
            come_from = self.screen.key if isinstance(self.screen, SocketRoom) else None
            room = ProcessRoom(self.session, int(subject), come_from)
            self._open(room, lambda one: getattr(one, "pid", None) == subject, anywhere=anywhere)
        elif kind == "port":
            self._open(PortRoom(self.session, int(subject)), lambda room: getattr(room, "port", None) == subject,
                       anywhere=anywhere)

    def _open(self, room: Room, is_same: Callable[[Room], bool], *, anywhere: bool = False) -> None:
        """Show a room, one step more on the way back; the one we came from (`anywhere`: or before) is gone back to."""
        for screen in self.screen_stack if anywhere else self.screen_stack[-2:]:
            if type(screen) is type(room) and is_same(screen):
                while self.screen is not screen:
                    self.pop_screen()
                return
        self.push_screen(room)

    def open_socket(self, key: SocketKey, siblings: tuple[SocketKey, ...] = ()) -> None:
        """Show a socket's anatomy; `siblings` are what `[` and `]` go through."""
        self._open(SocketRoom(self.session, key, siblings), lambda room: getattr(room, "key", None) == key)

    def open_help(self, room: Room) -> None:
        """Show the keys and what could not be read."""
        self.push_screen(HelpScreen(room))

    def go_view(self, number: int, room: Room) -> None:
        """Go to one of the four views; 2 and 3 take their subject from the room."""
        if number == 1:
            while len(self.screen_stack) > 1:
                self.pop_screen()
        elif number == 2:
            port = room.subject_port()
            if port is None:
                self.say("no port under the cursor: choose a row that has one, or Ctrl+P", is_error=True)
            else:
                self.follow(("port", port), anywhere=True)
        elif number == 3:
            process = room.subject_process()
            if process is None:
                self.say("no process under the cursor: nobody, or another user, has it open", is_error=True)
            else:
                self.follow(("process", process.pid), anywhere=True)
        else:
            self._open(FindingsRoom(self.session), lambda _: True, anywhere=True)

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Tell something in passing. `text` is sanitised by who made it."""
        self.notify(text, severity="error" if is_error else "information", markup=False, timeout=6)

    def ask_signal(self, process: Process | None) -> None:
        """Ask which signal to send."""
        actions.ask_signal(self, process)

    def ask_destroy(self, socket: Socket | None) -> None:
        """Ask whether to close a socket."""
        actions.ask_destroy(self, socket)

    def copy_report(self, socket: Socket | None, process: Process | None) -> None:
        """Copy what is known of the subject."""
        actions.copy_report(self, socket, process)

    def write_view(self, sockets: list[Socket]) -> None:
        """Write the sockets to a file."""
        actions.write_view(self, sockets)

    def toggle_names(self) -> None:
        """Look names up, or stop."""
        self.naming.with_hosts = not self.naming.with_hosts
        self.say("host and service names " + ("on: they come as they are found" if self.naming.with_hosts else "off"))
        self.session.feed.request_now()

    def open_lab(self) -> None:
        """Offer to stage trouble."""
        self.push_screen(LabScreen(), self._stage)

    def _stage(self, name: str | None) -> None:
        if not name:
            return
        self._staged.append(Popen([sys.executable, "-P", "-m", f"sockscope.lab.{name}"], stdin=DEVNULL, stdout=DEVNULL,
                                  stderr=DEVNULL, start_new_session=True,
                                  env={**os.environ, "SOCKSCOPE_LAB_PARENT": str(os.getpid())}))
        self.say(f"staged {name}: it ends with sockscope")


def run_app(options: TuiOptions) -> int:
    """Run the live screens until they are left; returns the exit code.

    Raises SourceLostError if nothing can be read, SettingsError if the configuration file is wrong.
    """
    settings = read_settings()
    options = structs.replace(
        options, interval_s=options.interval_s or settings.interval_s, sort=options.sort or settings.sort,
        theme=options.theme or settings.theme or read_theme(), columns=options.columns or settings.columns,
        ascii=options.ascii or settings.ascii, mouse=options.mouse and settings.mouse,
        names=options.names or settings.names,
    )
    check_options(options, settings)
    source = open_source(options.source, probe=options.probe)
    app = SockscopeApp(options, source, _actor(source), settings)
    try:
        code = app.run(mouse=options.mouse)
    finally:
        app.session.feed.close()
        app.naming.close()
        app.end_staged()
    return app.return_code or code or 0


def check_options(options: TuiOptions, settings: Settings) -> None:
    """Raise SettingsError for a theme, column, sort key or action that is not known, naming those that are."""
    columns = column_names()
    for column in options.columns or ():
        if column not in columns:
            raise SettingsError(f"columns: '{column}' is no column; allowed: {' '.join(columns)}")
    known = set().union(*(names(one.BINDINGS) for one in (Room, SocketsRoom, PortRoom, ProcessRoom, SocketRoom,
                                                          KeyedLines)))
    for action in settings.keys:
        if action not in known:
            raise SettingsError(f"keys: '{action}' is no action; allowed: {' '.join(sorted(known))}")
    if options.sort is not None and options.sort.removeprefix("-") not in SORT_KEYS:
        raise SettingsError(f"sort: '{options.sort}' does not sort; allowed: {' '.join(SORT_KEYS)}")
    if options.theme is not None and options.theme not in BUILTIN_THEMES:
        raise SettingsError(f"theme: '{options.theme}' is no theme; allowed: {' '.join(BUILTIN_THEMES)}")


def _actor(source: Source) -> Actor | None:
    """Who acts: only on this machine, never on a recording."""
    if source.about.kind != "live":
        return None
    from sockscope.collect.actor import LiveActor  # noqa: PLC0415  # a recording needs none

    return LiveActor()
