"""What the feed delivers."""

from __future__ import annotations

from msgspec import Struct

from sockscope.analysis.memory import EMPTY, Memory
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Changes

NO_CHANGES = Changes(frozenset(), frozenset(), frozenset())


class FeedResult(Struct, frozen=True):
    """One look with everything concluded. `error` is one sentence; then `observation` is the last good one or None.

    `changes` compares with the look before; it is empty in a result that only brings further details of the same look.
    """

    observation: Observation | None
    memory: Memory = EMPTY
    changes: Changes = NO_CHANGES
    error: str | None = None
    lost: bool = False  # the source can give no further look
