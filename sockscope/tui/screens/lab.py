"""A list of the lab's scenarios: real servers that show one fault or one I/O model, started beside the screens."""

from __future__ import annotations

from importlib import import_module, util
from typing import Any

from sockscope.tui.screens.dialogs import ChoiceDialog


def scenarios() -> list[tuple[str, str]]:
    """Return (module, title) of each; empty where the lab is not installed."""
    if util.find_spec("sockscope.lab.catalogue") is None:
        return []
    listed: Any = import_module("sockscope.lab.catalogue").SCENARIOS
    values = listed.values() if isinstance(listed, dict) else listed
    return [(str(one.module), f"{one.name}: {one.title}") for one in values]


class LabScreen(ChoiceDialog):
    """Asks which to stage."""

    def __init__(self) -> None:
        super().__init__("Stage trouble", scenarios() or [("", "the lab is not installed")], "")
