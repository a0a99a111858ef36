"""Keys with names, so that the configuration file can give an action other keys."""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual.binding import Binding


def bind(keys: str, action: str, *, at_once: bool = False) -> Binding:
    """Bind keys to an action; its name in `[keys]` is the action's, its argument joined by a dash (view-2).

    `at_once`: done before the next key is handed out, so that what is typed right after it meets the new focus.
    """
    return Binding(keys, action, show=False, id=name_of(action), priority=at_once)


def name_of(action: str) -> str:
    """Return `view-2` for `view(2)`, `toggle-term-l` for `toggle_term('l')`, `move-back-1` for `move(-1)`."""
    told = action.removeprefix("app.").replace("(-", "-back-").lower()
    return re.sub(r"[^a-z0-9]+", "-", told).strip("-")


def names(bindings: Iterable[object]) -> set[str]:
    """Return the names in a class's BINDINGS."""
    return {one.id for one in bindings if isinstance(one, Binding) and one.id is not None}
