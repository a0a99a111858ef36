"""The live screens as one app: it owns the feed, hands its results to the screen on top, and knows the ways between."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from sockscope.collect.sources import open_source
from sockscope.feed.feed import Feed
from sockscope.tui.adapter import FeedDelivered, post_to
from sockscope.tui.screens.help import HelpScreen
from sockscope.tui.screens.room import Room
from sockscope.tui.screens.socket import SocketRoom
from sockscope.tui.screens.sockets import SocketsRoom
from sockscope.tui.session import Session

if TYPE_CHECKING:
    from sockscope.model.process import Process
    from sockscope.model.socket import Socket, SocketKey
    from sockscope.model.source import Actor, Source
    from sockscope.tui.options import TuiOptions


class SockscopeApp(App[int]):
    """`source` is closed with the app. Without an actor nothing can be signalled or closed."""

    CSS_PATH = "sockscope.tcss"
    TITLE = "sockscope"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "quit_now", show=False, priority=True),
    ]

    def __init__(self, options: TuiOptions, source: Source, actor: Actor | None = None) -> None:
        super().__init__()
        self.options = options
        self.is_ascii = options.ascii
        self.animation_level = "none"
        feed = Feed(source, options.scope, options.interval_s or 1.0, post_to(self))
        self.session = Session(options, feed, None if options.readonly else actor)

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
        self.session.feed.start()

    def _end_by_signal(self, number: int) -> None:
        self.exit(128 + number, return_code=128 + number)

    def on_feed_delivered(self, event: FeedDelivered) -> None:
        """Show a result on the room on top; the others draw it when they come up."""
        is_new = self.session.take(event.result)
        room = self.room
        if room is None:
            return
        if is_new and event.result.error is None:
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

    def open_socket(self, key: SocketKey, siblings: tuple[SocketKey, ...] = ()) -> None:
        """Show a socket's anatomy; `siblings` are what `[` and `]` go through."""
        self.push_screen(SocketRoom(self.session, key, siblings))

    def follow(self, key: object) -> None:
        """Open what a line's key names: ("socket", its key), ("process", pid) or ("port", number)."""
        if not isinstance(key, tuple) or len(key) != 2:
            return
        kind, subject = key
        if kind == "socket":
            self.open_socket(subject)

    def open_help(self, room: Room) -> None:
        """Show the keys and what could not be read."""
        self.push_screen(HelpScreen(room))

    def go_view(self, number: int, room: Room) -> None:
        """Go to one of the four views; 2 and 3 take their subject from the room."""
        if number == 1:
            while len(self.screen_stack) > 1:
                self.pop_screen()

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Tell something in passing. `text` is sanitised by who made it."""
        self.notify(text, severity="error" if is_error else "information", markup=False, timeout=6)

    def ask_signal(self, process: Process | None) -> None:
        """Ask which signal to send."""

    def ask_destroy(self, socket: Socket | None) -> None:
        """Ask whether to close a socket."""

    def copy_report(self, socket: Socket | None, process: Process | None) -> None:
        """Copy what is known of the subject."""

    def write_view(self, sockets: list[Socket]) -> None:
        """Write the sockets to a file."""

    def toggle_names(self) -> None:
        """Look names up, or stop."""

    def open_lab(self) -> None:
        """Offer to stage trouble."""


def run_app(options: TuiOptions) -> int:
    """Run the live screens until they are left; returns the exit code. Raises SourceLostError if nothing can be read."""
    source = open_source(options.source, probe=options.probe)
    app = SockscopeApp(options, source)
    try:
        code = app.run(mouse=options.mouse)
    finally:
        app.session.feed.close()
    return app.return_code or code or 0
