"""`--ndjson --interval`: one snapshot after the other until Ctrl+C or a closed pipe."""

from __future__ import annotations

import argparse

from msgspec import structs

from sockscope.analysis.changes import compare
from sockscope.analysis.findings.rules import find
from sockscope.cli.choices import Choices
from sockscope.cli.naming import RunningNames
from sockscope.cli.oneshot import arranged, deepened, pause
from sockscope.cli.output import binary_output, writing
from sockscope.cli.selection import Selection
from sockscope.cli.watch import Watch
from sockscope.feed.conclude import conclude
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Scope
from sockscope.model.socket import SocketKey
from sockscope.model.source import Source
from sockscope.present.ndjson import write_ndjson, write_ndjson_changes


def follow(source: Source, scope: Scope, options: argparse.Namespace, choices: Choices, selection: Selection) -> None:
    """Write a snapshot every interval, counted from the end of the last, for ever: the memory makes moves certain.

    Ends by KeyboardInterrupt, BrokenPipeError or SourceLostError.
    """
    watch, names = Watch(source, scope), RunningNames(with_hosts=options.names)
    previous: Observation | None = None
    shown: frozenset[SocketKey] = frozenset()
    out = binary_output()
    try:
        while True:
            snapshot = watch.look()
            observation = conclude(watch.memory, snapshot, names.of(snapshot))
            if options.deep:
                observation = deepened(observation, watch.memory, options, selection)
            if choices.findings:
                observation = structs.replace(observation, findings=find(watch.memory, observation))
            sockets = arranged(observation, choices, selection)
            with writing():
                if options.changes:
                    changes = compare(previous.snapshot if previous is not None else None, snapshot)
                    shown = write_ndjson_changes(
                        out, observation, sockets, previous=previous, shown=shown, changes=changes
                    )
                else:
                    write_ndjson(out, observation, sockets)
                out.flush()
            previous = observation
            watch.read_suspects(snapshot)
            pause(choices.interval_s or 1.0)
    finally:
        watch.close()
        names.close()
