"""The commands that are timed, ours and theirs, and how each is run."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
OURS = str(Path(sys.executable).with_name("sockscope"))
PSUTIL = "import psutil; list(psutil.net_connections('tcp'))"


class Tool(NamedTuple):
    """A command to time. `slow_above` sockets it is left out, said so, for it would take minutes."""

    name: str
    command: Sequence[str]
    version: Sequence[str] = ()
    slow_above: int = 1_000_000


TOOLS = (
    Tool("sockscope --once, /proc owners", (OURS, "--once", "-t", "--color", "never"), (OURS, "--version")),
    Tool("sockscope --json, BPF owners", (OURS, "--json", "-t")),
    Tool("ss -tanp", ("ss", "-tanp"), ("ss", "-V")),
    Tool("lsof -nP -i", ("lsof", "-nP", "-i"), ("lsof", "-v"), 100_000),
    Tool("netstat -tanp", ("netstat", "-tanp"), ("netstat", "-V")),
    Tool("psutil net_connections", (sys.executable, "-c", PSUTIL), (), 10_000),
)
# Switches the owner map to the /proc scan even where BPF is allowed; read by collect/owners.py.
NO_BPF = {"SOCKSCOPE_NO_BPF": "1"}


def environment(tool: Tool) -> dict[str, str]:
    """What the tool runs with: plain C locale, and no BPF for the line that promises the /proc scan."""
    plain = {**os.environ, "LC_ALL": "C"}
    return {**plain, **NO_BPF} if "/proc" in tool.name else plain


def time_once(tool: Tool) -> float:
    """Milliseconds of wall clock for one run, its output thrown away."""
    start = time.perf_counter()
    subprocess.run(
        tool.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(tool), check=False
    )
    return (time.perf_counter() - start) * 1e3


def time_in_turn(tools: Sequence[Tool], runs: int) -> dict[str, float]:
    """Medians by name. The tools take turns, so that a slow minute of the machine is everybody's."""
    taken: dict[str, list[float]] = {tool.name: [] for tool in tools}
    for tool in tools:
        time_once(tool)  # warm: page cache, byte code
    for _ in range(runs):
        for tool in tools:
            taken[tool.name].append(time_once(tool))
    return {name: statistics.median(values) for name, values in taken.items()}


def available(sockets: int) -> tuple[list[Tool], list[str]]:
    """The tools that can run at this size, and a sentence for each that cannot."""
    there, missing = [], []
    for tool in TOOLS:
        if not (shutil.which(tool.command[0]) or Path(tool.command[0]).exists()):
            missing.append(f"{tool.name}: not installed")
        elif sockets > tool.slow_above:
            missing.append(f"{tool.name}: not run above {tool.slow_above:,} sockets, it takes minutes")
        else:
            there.append(tool)
    return there, missing


def version_of(tool: Tool) -> str:
    """The first line that names a version."""
    if not tool.version or not shutil.which(tool.version[0]):
        return ""
    done = subprocess.run(tool.version, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if any(c.isdigit() for c in line)]
    return lines[0] if lines else ""


def time_bare_dump(runs: int) -> tuple[float, int] | None:
    """Median milliseconds and rows of the same TCP dump in C, compiled here; None without a compiler."""
    if not shutil.which("gcc"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "dump"
        subprocess.run(["gcc", "-O2", "-o", binary, HERE / "dump.c"], check=True)
        lines = subprocess.run([binary, str(runs)], capture_output=True, text=True, check=True).stdout.split()
    return statistics.median(map(float, lines[:-1])), int(lines[-1])
