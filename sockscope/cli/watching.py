"""`--findings` and `--why`: watch for some seconds, since nobody's move can be told from one look, then say it."""

from __future__ import annotations

import argparse
import time

from msgspec import structs

from sockscope.analysis.findings.rules import find
from sockscope.analysis.query import select
from sockscope.cli.choices import Choices
from sockscope.cli.errors import FOUND, NOTHING, SEVERE, say
from sockscope.cli.naming import names_of
from sockscope.cli.oneshot import arranged, deepened, pause, verdict, write
from sockscope.cli.output import speaks_unicode, text_output, writing
from sockscope.cli.selection import Selection, whole_scope
from sockscope.cli.watch import Watch
from sockscope.feed.conclude import conclude
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.snapshot import Snapshot
from sockscope.model.source import Source
from sockscope.present.reports import finding_lines, why_lines
from sockscope.present.text import to_ascii

_INTERVAL_S = 1.0  # what the rules of findings.md are written for
_FIRST_PAUSE_S = 0.1
_SLACK_S = 0.1


def run_watch(source: Source, options: argparse.Namespace, choices: Choices, selection: Selection) -> int:
    """Watch, then print findings, or a sentence for each socket somebody must act on."""
    # Rules need both ends and all holders: narrowing is done after the watch.
    scope = whole_scope(selection.scope)
    watch = Watch(source, scope)
    try:
        snapshot = _watched(watch, choices.interval_s or _INTERVAL_S, choices.watch_s)
    finally:
        watch.close()
    observation = conclude(watch.memory, snapshot, names_of(snapshot, with_hosts=options.names))
    if options.deep:
        observation = deepened(observation, watch.memory, options, selection)
    observation = structs.replace(observation, findings=find(watch.memory, observation))
    sockets = select(observation, selection.query)
    if choices.mode in ("json", "ndjson"):
        found = _about(observation, selection)
        write(structs.replace(observation, findings=found), arranged(observation, choices, selection), options, choices)
        return _code(found) or verdict(snapshot, sockets, selection)
    if choices.mode == "why":
        return _say_why(observation, options, choices, selection)
    if selection.about and not sockets:
        return verdict(snapshot, sockets, selection)
    found = _about(observation, selection)
    _print(list(finding_lines(observation, found, choices.watch_s)), options)
    return _code(found)


def _watched(watch: Watch, interval_s: float, watch_s: float) -> Snapshot:
    """Watch for `watch_s` seconds and return the last look.

    A suspect is known at the second look: that follows the first at once, and time counts from its details on, since
    a stall of 5 s must be proved within a watch of 5 s.
    """
    snapshot = watch.look()
    if watch_s <= 0:
        return snapshot
    pause(_FIRST_PAUSE_S)
    snapshot = watch.look()
    watch.read_suspects(snapshot)
    end_s = time.monotonic() + watch_s + _SLACK_S
    while (left_s := end_s - time.monotonic()) > 0:
        pause(min(left_s, interval_s))
        snapshot = watch.look()
        if time.monotonic() < end_s:
            watch.read_suspects(snapshot)
    return snapshot


def _about(observation: Observation, selection: Selection) -> tuple[Finding, ...]:
    """Return the findings about sockets asked for; all of them where nothing was asked for."""
    found = observation.findings or ()
    if selection.query.is_empty:
        return found
    keys = {socket.key for socket in select(observation, selection.query)}
    return tuple(finding for finding in found if not keys.isdisjoint(finding.sockets))


def _code(found: tuple[Finding, ...]) -> int:
    return SEVERE if any(finding.severity == "severe" for finding in found) else FOUND


def _say_why(observation: Observation, options: argparse.Namespace, choices: Choices, selection: Selection) -> int:
    table = structs.replace(choices, mode="table")
    sockets = arranged(observation, table, selection)
    lines = list(why_lines(observation, sockets))
    if lines:
        _print(lines, options)
        return FOUND
    if not sockets:
        return verdict(observation.snapshot, sockets, selection)
    say(f"nobody has to act on these {len(sockets)} sockets (watched for {choices.watch_s:g} s)")
    return NOTHING


def _print(lines: list[str], options: argparse.Namespace) -> None:
    out = text_output()
    finish = to_ascii if options.ascii or not speaks_unicode() else str
    with writing():
        out.write("".join(finish(line) + "\n" for line in lines))
        out.flush()
