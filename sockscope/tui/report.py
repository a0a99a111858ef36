"""What `c` copies and `w` writes. Pure but for the file."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

from sockscope.analysis.why import sentence
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Socket
from sockscope.present.csv import write_csv
from sockscope.present.details import anatomy
from sockscope.present.format import endpoint, five_tuple, process_name
from sockscope.present.json import write_json
from sockscope.present.text import sanitise


def report(socket: Socket, process: Process | None, observation: Observation) -> str:
    """Return the five-tuple, why nothing happens, the anatomy, and commands that show the same from elsewhere."""
    lines = [five_tuple(socket)]
    if said := sentence(socket, observation):
        lines.append(sanitise(said))
    for group in anatomy(socket, observation):
        lines += ["", group.title, *(f"  {line.label:<12} {line.value}" for line in group.lines)]
    lines += ["", *commands(socket, process)]
    return "\n".join(lines) + "\n"


def process_report(process: Process) -> str:
    """Who it is, and commands about it."""
    return f"{process_name(process)} {process.pid}\n\nlsof -p {process.pid}\nkill {process.pid}\n"


def commands(socket: Socket, process: Process | None) -> list[str]:
    """Ready `ss`, `lsof` and `kill` commands."""
    made = []
    if socket.is_inet and socket.local.port is not None:
        family = {"tcp": "-t", "udp": "-u"}.get(socket.protocol, "-A all")
        ends = f"src {endpoint(socket.local)}"
        if socket.remote is not None and socket.remote.port:
            ends += f" and dst {endpoint(socket.remote)}"
        made.append(f"ss {family}anpimo '{ends}'")
        made.append(f"lsof -nP -i {socket.protocol}:{socket.local.port}")
    elif socket.inode:
        made.append(f"ss -xanp | grep -w {socket.inode}")
    if process is not None:
        made.append(f"kill {process.pid}")
    return made


def write_sockets(path: Path, observation: Observation, sockets: Sequence[Socket]) -> None:
    """Write them as JSON, or as CSV by the name's end; readable by the owner alone. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        if path.suffix == ".csv":
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
            write_csv(text, observation, sockets)
            text.flush()
            text.detach()
        else:
            write_json(stream, observation, sockets)
