"""The palette's "go to": ports that are listened on, processes that have sockets, sockets nobody needs to type."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from sockscope.present.format import process_name

if TYPE_CHECKING:
    from sockscope.tui.app import SockscopeApp

MOST_OFFERED = 12


class GoTo(Provider):
    """Searches ports and processes of the look on screen."""

    def _places(self) -> list[tuple[str, tuple[str, int]]]:
        app: SockscopeApp = self.app  # type: ignore[assignment]  # the only app there is
        observation = app.session.observation
        if observation is None:
            return []
        snapshot = observation.snapshot
        ports = sorted({one.local.port for one in snapshot.sockets.values() if one.is_listener and one.local.port})
        held = {holder.pid for holders in snapshot.holders.values() for holder in holders}
        return [(f"go to port {port}", ("port", port)) for port in ports] + [
            (f"go to process {pid} {process_name(snapshot.processes.get(pid))}", ("process", pid))
            for pid in sorted(held)
        ]

    async def discover(self) -> Hits:
        """Offer some before anything is typed."""
        app: SockscopeApp = self.app  # type: ignore[assignment]  # likewise
        for text, key in self._places()[:MOST_OFFERED]:
            yield DiscoveryHit(Content(text), partial(app.follow, key), text)

    async def search(self, query: str) -> Hits:
        """Offer what matches; a bare number is a port or pid even where nothing listens yet."""
        app: SockscopeApp = self.app  # type: ignore[assignment]  # likewise
        matcher = self.matcher(query)
        places = self._places()
        for text, key in places:
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, Content(text), partial(app.follow, key), text=text)
        number = query.strip().rpartition(" ")[2]
        known = {key for _, key in places}
        if number.isascii() and number.isdigit() and int(number) < 65_536 and ("port", int(number)) not in known:
            yield Hit(0.5, Content(f"go to port {number}"), partial(app.follow, ("port", int(number))))
