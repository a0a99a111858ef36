"""Chooses the source: netlink, /proc/net, or psutil where there is no procfs."""

from __future__ import annotations

import os

from sockscope.model.snapshot import Scope
from sockscope.model.source import Source, SourceLostError

KINDS = ("netlink", "proc", "psutil")


def open_source(kind: str | None, *, probe: bool = True, only: Scope | None = None) -> Source:
    """Open the source of this kind, or the best one here for None. Raises SourceLostError with one line that says why.

    `only` is what the only look will ask for, of a process that has no other threads and may fork: it begins at once.

    The kinds' modules are imported here and not above: the one-shot path must not pay for psutil.
    """
    if kind not in (None, *KINDS):
        raise SourceLostError(f"no such source: {kind!r}; there are {', '.join(KINDS)}")
    has_procfs = os.path.exists("/proc/self/fd")  # noqa: PTH110 (pathlib costs 4 ms)
    if kind == "psutil" or (kind is None and not has_procfs):
        from sockscope.collect.portable import PortableSource  # noqa: PLC0415

        return PortableSource()
    if not has_procfs:
        raise SourceLostError(f"source {kind!r} needs /proc, which is not mounted here")
    from sockscope.collect.live import make_live  # noqa: PLC0415

    return make_live(kind, probe=probe, only=only)
