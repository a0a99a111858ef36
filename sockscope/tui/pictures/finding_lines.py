"""The findings view: what is wrong at the top, and below it why, with what evidence, and what to do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.present.format import count, duration, process_name
from sockscope.present.text import sanitise
from sockscope.present.width import elide, fit
from sockscope.tui.pictures.parts import EMPTY_LINE, Part, TextLine, line, title, wrap

SURE_AFTER_S = 10.0
GLYPHS = {"severe": "▲", "warning": "!", "note": "·"}
Cleared = tuple[float, Finding]  # when it was last seen, and what it was


def finding_key(finding: Finding) -> tuple[object, ...]:
    """Return what a finding is over several looks."""
    # What folds into it later adds to the end of `about`, and the other end's process with it.
    about = (first_of(finding, "process"), first_of(finding, "port"))
    rest = finding.about[:1] or finding.sockets[:1]
    return ("finding", finding.rule, *(about if any(about) else rest))


def first_of(finding: Finding, kind: str) -> str | None:
    """Return the first thing of a kind it is about: the one at fault."""
    return next((name for one, name in finding.about if one == kind), None)


def name_of(finding: Finding) -> str:
    """Return the cause where one is known, else the rule."""
    return (finding.cause or finding.rule).replace("-", " ")


def who_of(finding: Finding, observation: Observation) -> str:
    """Return the process it concerns, else what it is about."""
    if (pid := first_of(finding, "process")) is not None and pid.isdigit():
        return f"{process_name(observation.snapshot.processes.get(int(pid)))} {pid}"
    for key in finding.sockets[:1]:
        socket = observation.snapshot.sockets.get(key)
        holders = observation.snapshot.holders_of(socket) if socket is not None else ()
        if holders:
            return f"{process_name(observation.snapshot.processes.get(holders[0].pid))} {holders[0].pid}"
    return " ".join(f"{kind} {name}" for kind, name in finding.about[:1])


def head_parts(observation: Observation, cleared: Sequence[Cleared], rules: int, watched_s: float,
               width: int) -> tuple[Part, ...]:
    """`4 findings  2 severe   16 rules, 10,412 sockets, 60 s of history`."""
    findings = observation.findings or ()
    graded = Counter(one.severity for one in findings)
    words = [f"{graded[name]} {name}" for name in ("severe", "warning", "note") if graded[name]]
    if cleared:
        words.append(f"{len(cleared)} cleared")
    left = f" {count(len(findings))} finding{'' if len(findings) == 1 else 's'}"
    right = f"{rules} rules, {count(len(observation.snapshot.sockets))} sockets, watched {duration(watched_s)}"
    gap = width - len(left) - len("  ".join(words)) - len(right) - 4
    return ((left, "title"), ("  " + "  ".join(words), "plain"), (" " * max(2, gap), "plain"),
            (right if gap >= 0 else "", "dim"))


def list_lines(observation: Observation, cleared: Sequence[Cleared], now_s: float, watched_s: float,
               width: int) -> list[TextLine]:
    """One line each, worst first, then what cleared lately. "Nobody has to act" only once the rules could tell."""
    lines = []
    roomy = width >= 60
    for finding in observation.findings or ():
        age = duration(finding.for_s) if finding.for_s is not None else ""
        role = finding.severity if finding.severity in ("severe", "warning") else "dim"
        who = fit(elide(who_of(finding, observation), 22), 22) if roomy else elide(who_of(finding, observation), 10)
        lines.append(line((f"{GLYPHS.get(finding.severity, '·')} {age:>5} ", role), who, " ",
                          (fit(name_of(finding), 22) if roomy else name_of(finding), "title"),
                          (" " + sanitise(finding.summary) if roomy else "", "plain"), key=finding_key(finding)))
    for at_s, finding in cleared:
        ago = duration(max(0.0, now_s - at_s))
        said = f"cleared {ago} ago  {name_of(finding)}  {sanitise(finding.summary)}"
        lines.append(line(("✓ ", "good"), (said, "dim")))
    if lines or watched_s >= SURE_AFTER_S:
        return lines or [line(("✓ nobody has to act", "good"))]
    return [line((f"Nothing found yet. Watching for {duration(watched_s)}: a stall is told after 5 to 10 s", "dim"))]


def story_lines(finding: Finding, width: int) -> list[TextLine]:
    """Why, the evidence with how it was sampled, and what to do."""
    lines = [title(" WHY"), *wrap(sanitise(finding.summary), width - 2, indent="  ")]
    lines.append(title(" EVIDENCE"))
    for item in finding.evidence:
        age = "" if item.age_s is None else f"  {item.age_s:.0f} s old"
        text = f"{sanitise(item.value)}"
        lines.append(line("  ", (fit(elide(sanitise(item.what), 20), 20), "dim"), " ", text,
                          (f"   {sanitise(item.sampled)}{age}" if width >= 60 else "", "dim")))
    if finding.advice:
        lines.append(title(" WHAT TO DO"))
        for number, advice in enumerate(finding.advice, 1):
            lines += wrap(f"{number}. {sanitise(advice)}", width - 2, indent="  ")
    if finding.also:
        lines += wrap("also: " + ", ".join(sanitise(also) for also in finding.also), width - 2, "dim", indent="  ")
    return lines


def quiet_lines(observation: Observation, rules: Sequence[str], width: int) -> list[TextLine]:
    """Which rules found nothing."""
    loud = {finding.rule for finding in observation.findings or ()}
    quiet = [name for name in rules if name not in loud]
    text = f"{len(quiet)} rules found nothing: " + "  ".join(quiet)
    return [EMPTY_LINE, title(" QUIET"), *wrap(text, width - 2, "dim", indent="  "),
            *wrap("See trouble staged: sockscope lab   (L picks one)", width - 2, "dim", indent="  ")]
