"""`--ndjson --interval`: one snapshot after the other until Ctrl+C or a closed pipe."""

from __future__ import annotations

import argparse

from sockscope.analysis.changes import compare
from sockscope.analysis.memory import EMPTY
from sockscope.cli.choices import Choices
from sockscope.cli.errors import FOUND
from sockscope.cli.oneshot import arranged, look, pause
from sockscope.cli.output import binary_output, writing
from sockscope.cli.selection import Selection
from sockscope.model.observation import Observation
from sockscope.model.socket import SocketKey
from sockscope.model.source import Source
from sockscope.present.ndjson import write_ndjson, write_ndjson_changes


def follow(source: Source, options: argparse.Namespace, choices: Choices, selection: Selection) -> int:
    """Write a snapshot every interval, counted from the end of the last; memory makes `since_s` known."""
    memory, previous = EMPTY, None
    shown: frozenset[SocketKey] = frozenset()
    out = binary_output()
    while True:
        observation, memory = look(source, options, selection, memory)
        sockets = arranged(observation, choices, selection)
        with writing():
            if options.changes:
                earlier: Observation | None = previous
                changes = compare(earlier.snapshot if earlier is not None else None, observation.snapshot)
                shown = write_ndjson_changes(
                    out, observation, sockets, previous=earlier, shown=shown, changes=changes
                )
            else:
                write_ndjson(out, observation, sockets)
            out.flush()
        previous = observation
        if choices.interval_s is None:
            return FOUND
        pause(choices.interval_s)
