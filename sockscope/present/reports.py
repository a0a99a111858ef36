"""Findings and reasons as text: `--findings` and `--why`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sockscope.analysis.findings.rules import RULES
from sockscope.analysis.severity import severity
from sockscope.analysis.why import sentence
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present import format as words
from sockscope.present.address import local_and_remote
from sockscope.present.text import sanitise

_GLYPHS = {"severe": "▲", "warning": "!", "note": "·"}
_ORDER = ("severe", "warning", "note")


def finding_lines(observation: Observation, findings: Iterable[Finding], watched_s: float) -> Iterator[str]:
    """Yield each finding, the worst first, with its evidence and advice; then how many rules are quiet."""
    found = sorted(findings, key=lambda each: _ORDER.index(each.severity))
    for finding in found:
        name = finding.rule if finding.cause is None else f"{finding.rule}, {finding.cause}"
        age = "" if finding.for_s is None else f" for {words.duration(finding.for_s)}"
        yield f"{_GLYPHS[finding.severity]} {finding.severity}  {name}{age}: {sanitise(finding.summary, 500)}"
        for each in finding.evidence:
            yield f"    {each.what:<20} {sanitise(each.value, 200)}  ({sanitise(each.sampled, 100)})"
        for also in finding.also:
            yield f"    also {sanitise(also, 200)}"
        for advice in finding.advice:
            yield f"    > {sanitise(advice, 500)}"
    quiet = len(RULES) - len({finding.rule for finding in found})
    count = words.count(len(observation.snapshot.sockets))
    head = "nothing is wrong: " if not found else ""
    yield f"{head}{quiet} rules quiet, {count} sockets, watched for {watched_s:g} s"


def why_lines(observation: Observation, sockets: Iterable[Socket]) -> Iterator[str]:
    """Yield a line for each socket that somebody must act on: who, where, and the sentence."""
    for socket in sockets:
        grade = severity(socket, observation)
        if grade not in ("severe", "warning"):
            continue
        move = (observation.moves or {}).get(socket.key)
        since = "" if move is None else f"{words.party(move.row)} {words.age(move.row)}".strip()
        holders = observation.snapshot.holders_of(socket)
        who = ""
        if holders:
            who = f"{words.process_name(observation.snapshot.processes.get(holders[0].pid))} {holders[0].pid}"
        where = f"{words.state(socket)} {local_and_remote(socket, observation, None)}"
        parts = [_GLYPHS[grade], since, who, where]
        yield " ".join(part for part in parts if part) + f": {sanitise(sentence(socket, observation), 1000)}"
