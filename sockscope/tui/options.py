"""What the command line tells the live screens."""

from __future__ import annotations

from msgspec import Struct

from sockscope.model.snapshot import Scope


class TuiOptions(Struct, frozen=True):
    """`opening` is sockets, port or process; `subject` the port or pid then. None leaves it to the configuration file.

    `query` is what the filter line holds at first. `source` None takes the best there is. `theme` None: as kept from
    the last run. `columns` are column names; `sort` one of them, with `-` before it for the other way round.
    `note` is a paragraph that stays above the first table: what to look at (the lab).
    """

    query: str = ""
    scope: Scope = Scope()
    opening: str = "sockets"
    subject: int | None = None
    interval_s: float | None = None
    source: str | None = None
    readonly: bool = False
    probe: bool = True
    theme: str | None = None
    mouse: bool = True
    ascii: bool = False
    names: bool = False
    sort: str | None = None
    columns: tuple[str, ...] | None = None
    note: str = ""


def theme_names() -> tuple[str, ...]:
    """List the themes that can be asked for."""
    from textual.theme import BUILTIN_THEMES  # noqa: PLC0415  # the options alone need no textual

    return tuple(BUILTIN_THEMES)
