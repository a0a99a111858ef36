"""`sockscope lab`: the lab stages a scenario, and in a terminal the live screens open on its processes and ports."""

from __future__ import annotations

from collections.abc import Sequence

from sockscope.cli.output import is_terminal, text_output, writing
from sockscope.lab.run import Staged
from sockscope.lab.run import main as run_lab


def run_staged(words: Sequence[str]) -> int:
    """Stage it, show it, end it; return the exit code. Without a terminal it is held and told as JSON.

    Raises CannotReadError where there is nowhere to print to.
    """
    return run_lab(words, _open_view if is_terminal() else None, _write)


def _write(text: str) -> None:
    with writing():
        text_output().write(text)
        text_output().flush()


def _open_view(staged: Staged) -> int:
    from sockscope.tui.app import run_app  # noqa: PLC0415  # 145 ms that no other branch pays
    from sockscope.tui.options import TuiOptions  # noqa: PLC0415  # likewise

    scenario = staged.scenario
    return run_app(TuiOptions(query=query_of(staged), note=f"{scenario.name}: {scenario.title}. {scenario.look}"))


def query_of(staged: Staged) -> str:
    """Return what selects a scenario's sockets: its ports at either end, and what its processes hold."""
    parts = ["port:" + ",".join(map(str, staged.ports))] if staged.ports else []
    parts += ["pid:" + ",".join(str(pid) for pid in staged.pids.values())] if staged.pids else []
    return " or ".join(parts)
