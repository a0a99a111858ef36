"""`sockscope doctor`: what can be seen here, what cannot and why, and the one command that would show more."""

from __future__ import annotations

from collections.abc import Sequence

from sockscope.cli.errors import FOUND, UsageError
from sockscope.cli.output import speaks_unicode, text_output, writing
from sockscope.collect.capabilities import Capability, read_capabilities
from sockscope.present.text import sanitise, to_ascii

_TITLES = {
    "tables": "Socket tables", "families": "Kinds of sockets", "owners": "Who holds a socket",
    "details": "Marks, waiting threads, epoll sets", "rights": "Rights of this process",
    "namespaces": "Network namespaces",
}
_SIGNS = {True: "✓", False: "–", None: " "}


def run_doctor(words: Sequence[str]) -> int:
    """Print it. Raises UsageError for words: doctor takes none."""
    if words:
        raise UsageError(f"doctor: '{words[0]}' is too much; doctor takes no arguments")
    found = read_capabilities()
    lines: list[str] = []
    for area in dict.fromkeys(each.area for each in found):
        lines.append(_TITLES.get(area, area))
        lines += [_line(each) for each in found if each.area == area]
        lines.append("")
    lines += _more(found)
    finish = str if speaks_unicode() else to_ascii
    with writing():
        text_output().write("".join(finish(line).rstrip() + "\n" for line in lines))
    return FOUND


def _line(each: Capability) -> str:
    sign = _SIGNS[each.works]
    gives = f"; would show {each.gives}" if each.gives and each.works is False else ""
    return f"  {sign} {each.name:<30} {sanitise(each.detail, 200)}{gives}"


def _more(found: Sequence[Capability]) -> list[str]:
    """Return what would help, the one that helps most things first."""
    helped: dict[str, list[str]] = {}
    for each in found:
        if each.remedy and each.works is False:
            helped.setdefault(each.remedy.partition(" (")[0], []).append(each.name)
    if not helped:
        return ["Everything that this kernel shows can be seen."]
    lines = ["To see more"]
    for remedy, names in sorted(helped.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"  {sanitise(remedy, 200)}")
        lines.append(f"      {', '.join(names)}")
    return lines
