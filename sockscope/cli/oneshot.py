"""Print and exit: one look (or a watch of some seconds), and the writer that was asked for."""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Sequence

from msgspec import structs

from sockscope.analysis.memory import EMPTY, Memory, remember
from sockscope.analysis.query import select
from sockscope.analysis.sorting import sort_sockets
from sockscope.cli.choices import Choices
from sockscope.cli.errors import FOUND, NOTHING, say
from sockscope.cli.naming import names_of
from sockscope.cli.opening import follows, watches
from sockscope.cli.output import binary_output, speaks_unicode, terminal_width, text_output, wants_colour, writing
from sockscope.cli.selection import Selection, whole_scope
from sockscope.feed.conclude import conclude, with_details
from sockscope.kernel.forked import idle_cores
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket
from sockscope.model.source import Source
from sockscope.present.text import to_ascii

_kept: list[object] = []  # the last look: the process ends by _exit, and taking 10,000 sockets apart first takes 3 ms


def run_oneshot(source: Source, options: argparse.Namespace, choices: Choices, selection: Selection) -> int:
    """Look, print, and return the exit code. Raises CannotReadError and SourceLostError."""
    if follows(choices):
        gc.enable()
        from sockscope.cli.following import follow  # noqa: PLC0415  # rules and details that one look needs not

        follow(source, whole_scope(selection.scope, pids=True), options, choices, selection)
    if watches(choices):
        gc.enable()
        from sockscope.cli.watching import run_watch  # noqa: PLC0415  # likewise

        return run_watch(source, options, choices, selection)
    gc.disable()  # one look and out: nothing made here is garbage before the end
    if choices.mode == "json":  # imported while the kernel still gives its tables
        import sockscope.present.json  # noqa: PLC0415
    elif choices.mode == "table":
        import sockscope.present.table  # noqa: F401, PLC0415
    observation = look(source, options, selection)
    sockets = arranged(observation, choices, selection)
    _kept[:] = observation, sockets
    write(observation, sockets, options, choices)
    return verdict(observation.snapshot, sockets, selection)


def look(source: Source, options: argparse.Namespace, selection: Selection) -> Observation:
    """Look once and conclude what one look can tell."""
    snapshot = source.snapshot(selection.scope)
    memory = remember(EMPTY, snapshot)
    observation = conclude(memory, snapshot, names_of(snapshot, with_hosts=options.names))
    if options.deep:
        return deepened(observation, memory, options, selection)
    return with_facts(observation, selection) if snapshot.fds is not None else observation  # --pid, on this Linux


def with_facts(observation: Observation, selection: Selection) -> Observation:
    """Add what --pid promises of the processes asked for: their facts and threads."""
    from sockscope.collect.deep import read_facts  # noqa: PLC0415  # only --pid reads it

    snapshot, gaps = read_facts(observation.snapshot, (), selection.pids)
    return structs.replace(observation, snapshot=structs.replace(snapshot, gaps=(*snapshot.gaps, *gaps)))


def deepened(
    observation: Observation, memory: Memory, options: argparse.Namespace, selection: Selection
) -> Observation:
    """Add what a drill-down would show of the sockets asked for, and how each listener is served."""
    from sockscope.analysis.io_model import servers  # noqa: PLC0415  # only --deep reads what it needs
    from sockscope.collect.deep import read_deep, read_facts  # noqa: PLC0415  # likewise

    snapshot = observation.snapshot
    details, gaps = read_deep(snapshot, select(observation, selection.query), not options.no_probe)
    holders = (holder.pid for key in details for holder in snapshot.holders_of(snapshot.sockets[key]))
    snapshot, unread = read_facts(snapshot, holders, selection.pids)
    gaps = (*gaps, *unread)
    observation = conclude(remember(memory, snapshot, details.values()), snapshot, observation.names, gaps)
    observation = with_details(observation, details.values())  # memory keeps those of 1,024 sockets only
    return structs.replace(observation, servers=servers(observation))


def arranged(observation: Observation, choices: Choices, selection: Selection) -> list[Socket]:
    """Return the sockets asked for in the order asked for; by default who must act first."""
    sockets = select(observation, selection.query)
    if choices.sort is not None:
        return sort_sockets(sockets, observation, choices.sort, choices.reverse)
    return sort_sockets(sockets, observation, "move") if choices.mode == "table" else sockets


def write(observation: Observation, sockets: Sequence[Socket], options: argparse.Namespace, choices: Choices) -> None:
    """Write them in the mode chosen. Raises CannotReadError if that fails, BrokenPipeError if nobody reads."""
    with writing():
        if choices.mode == "json":
            from sockscope.present.json import write_json  # noqa: PLC0415  # one writer of five is needed

            write_json(binary_output(), observation, sockets, cores=idle_cores())
        elif choices.mode == "ndjson":
            from sockscope.present.ndjson import write_ndjson  # noqa: PLC0415  # likewise

            write_ndjson(binary_output(), observation, sockets, cores=idle_cores())
        elif choices.mode == "csv":
            from sockscope.present.csv import write_csv  # noqa: PLC0415  # likewise

            write_csv(text_output(), observation, sockets, choices.columns, header=not options.no_header)
        elif choices.mode == "pids":
            pids = sorted({holder.pid for socket in sockets for holder in observation.snapshot.holders_of(socket)})
            text_output().write("".join(f"{pid}\n" for pid in pids))
        else:
            _write_table(observation, sockets, options, choices)
        text_output().flush()


def _write_table(
    observation: Observation, sockets: Sequence[Socket], options: argparse.Namespace, choices: Choices
) -> None:
    from sockscope.present.table import gap_lines, table_lines  # noqa: PLC0415  # one writer of five is needed

    out, plain = text_output(), options.ascii or not speaks_unicode()
    if sockets:
        lines = table_lines(
            observation, sockets, width=terminal_width(), columns=choices.columns, header=not options.no_header,
            colour=wants_colour(choices.colour), ascii=plain,
        )
        for line in lines:
            out.write(line + "\n")
    if observation.snapshot.fds is not None and choices.columns is None:
        from sockscope.present.fd_table import fd_lines  # noqa: PLC0415  # --pid only

        for line in fd_lines(observation, header=not options.no_header):
            out.write((to_ascii(line) if plain else line) + "\n")
    out.flush()
    if observation.snapshot.fds == () and not sockets:
        return  # --pid, and nothing: verdict() says the one thing that matters
    for line in gap_lines(observation.snapshot, is_root=os.geteuid() == 0):
        say(line)


def verdict(snapshot: Snapshot, sockets: Sequence[Socket], selection: Selection) -> int:
    """Return 0 if anything was found, else say what was not and return 1."""
    if sockets or snapshot.fds:
        return FOUND
    unread = [gap.detail for gap in snapshot.gaps if gap.what == "fds" and gap.reason != "vanished"]
    if unread:
        say(f"{', '.join(unread)}; see sockscope doctor")
        return NOTHING
    missing = [pid for pid in selection.pids if pid not in snapshot.processes]
    if selection.pids and len(missing) == len(selection.pids):
        say(f"no process {', '.join(map(str, missing))}")
    elif selection.about:
        say(f"nothing here has {selection.about}")
    else:
        say("nothing matches: no socket at all was seen")
    if snapshot.hidden_processes:
        hidden = snapshot.hidden_processes
        whose = "1 process could" if hidden == 1 else f"{hidden} processes could"
        say(f"{whose} not be looked into; see sockscope doctor")
    return NOTHING


def pause(seconds: float) -> None:
    """Wait between two looks; Ctrl+C ends it."""
    time.sleep(max(0.0, seconds))
