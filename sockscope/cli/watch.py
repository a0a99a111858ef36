"""Several looks of one run with what is remembered between them, and details of suspects read in between."""

from __future__ import annotations

from sockscope.analysis.memory import EMPTY, remember
from sockscope.analysis.suspects import suspects
from sockscope.model.detail import ProcessDetail, SocketDetail
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.source import DetailReader, Source, SourceLostError

_MOST_DETAILS = 256  # sockets a look; the rest stays unverified


class Watch:
    """The feed's steps without its threads: what prints has nobody to keep waiting. `close` it."""

    def __init__(self, source: Source, scope: Scope) -> None:
        self._source, self._scope = source, scope
        self._reader = _open_detail(source)
        self._details: list[SocketDetail | ProcessDetail] = []
        self.memory = EMPTY

    def look(self) -> Snapshot:
        """Look once and remember it, with the details read since the last look."""
        snapshot = self._source.snapshot(self._scope)
        self.memory = remember(self.memory, snapshot, self._details)
        self._details = []
        return snapshot

    def read_suspects(self, snapshot: Snapshot) -> None:
        """Read the details that prove or disprove a stall; they count from the next look on."""
        if self._reader is None:
            return
        wanted = suspects(self.memory, snapshot, _MOST_DETAILS)
        self._details = list(self._reader.read(wanted, snapshot, lambda: False))

    def close(self) -> None:
        """Give the reader back."""
        if self._reader is not None:
            self._reader.close()


def _open_detail(source: Source) -> DetailReader | None:
    """Return a reader, or None where this source has no details: then stalls stay unverified."""
    try:
        return source.open_detail()
    except SourceLostError:
        return None
