"""What keys are called on the screen, as the configuration file leaves them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.keys import format_key

from sockscope.tui.bindings import name_of

Remapped = Mapping[str, Sequence[str]]  # an action's name -> the keys that do it instead of the usual ones
# The footer's action is the room's, which hands it to the list that has the keys: the file names the list's own.
_OF_THE_LIST = {"follow-cursor": "follow", "fold-cursor": "fold"}
_WORDS = {"ctrl": "Ctrl", "shift": "Shift", "alt": "Alt", "escape": "Esc", "enter": "Enter", "space": "Space",
          "tab": "Tab", "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End", "backspace": "Backspace",
          "delete": "Del", "insert": "Ins", "up": "↑", "down": "↓", "left": "←", "right": "→"}


def key_text(key: str) -> str:
    """`ctrl+s` as `Ctrl+S`, `question_mark` as `?`."""
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    shown = _WORDS.get(last) or (last.upper() if last[:1] == "f" and last[1:].isdigit() else format_key(last))
    if modifiers and len(shown) == 1:
        shown = shown.upper()
    return "+".join([*(_WORDS.get(one, one) for one in modifiers), shown])


def shown_key(usual: str, action: str, remapped: Remapped, most: int = 1) -> str:
    """Return how the keys of an action are shown: `usual`, unless the file gave it others ("" for none at all)."""
    name = name_of(action)
    keys = remapped.get(_OF_THE_LIST.get(name, name))
    return usual if keys is None else " ".join(key_text(key) for key in keys[:most])
