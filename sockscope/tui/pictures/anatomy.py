"""The whole picture of one socket: who is due, both directions, the last minute, the numbers. Pure."""

from __future__ import annotations

from sockscope.analysis.direction import serves
from sockscope.analysis.memory import Memory
from sockscope.analysis.severity import severity
from sockscope.analysis.wait_chain import link_texts, wait_chain
from sockscope.analysis.why import finding_of, sentence
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present import format as words
from sockscope.present.text import sanitise
from sockscope.present.width import elide_middle
from sockscope.tui.pictures.frame import Frame
from sockscope.tui.pictures.listener import listener_lines, server_lines, waiting_lines
from sockscope.tui.pictures.numbers import number_lines
from sockscope.tui.pictures.parts import EMPTY_LINE, TextLine, beside, line, parts_width, title, unique_keys, wrap
from sockscope.tui.pictures.past import MovesSeen, past_lines
from sockscope.tui.pictures.pipeline import in_lines, out_lines

WIDE, BRIEF_HEIGHT = 110, 16
PARTIES = {"app": "APP'S MOVE", "peer": "PEER'S MOVE", "network": "NETWORK'S MOVE", "none": "NOBODY'S MOVE",
           "unknown": "NOT KNOWN"}


def anatomy_lines(socket: Socket, observation: Observation, memory: Memory, seen: MovesSeen,
                  frame: Frame) -> list[TextLine]:
    """Everything about it, most important first. Lines with a key can be followed."""
    width, brief = frame.width, frame.height < BRIEF_HEIGHT
    lines = [] if brief else [EMPTY_LINE]
    lines += headline(socket, observation, width, brief=brief)
    if not brief:
        lines.append(EMPTY_LINE)
    lines += _directions(socket, observation, width, brief=brief)
    lines += _chain_lines(socket, observation, width)
    if not brief:
        lines.append(EMPTY_LINE)
    lines += past_lines(socket, observation, memory, seen, frame)
    if socket.is_listener:
        lines += [EMPTY_LINE, *waiting_lines(socket, observation, memory)]
    if frame.with_numbers:
        lines += [EMPTY_LINE, *number_lines(
            socket, observation, frame.now_s, width, rates=frame.rates, focus=frame.focus,
        )]
    return unique_keys(lines)


def _directions(socket: Socket, observation: Observation, width: int, *, brief: bool) -> list[TextLine]:
    if socket.is_listener:
        left = listener_lines(socket, observation, width if width < WIDE else width // 2)
        right = server_lines(socket, observation, width // 2 if width >= WIDE else width)
    else:
        half = width // 2 if width >= WIDE else width
        left = in_lines(socket, observation, half, brief=brief)
        right = out_lines(socket, observation, half, brief=brief)
    if width >= WIDE:
        return beside(left, right, width // 2)
    return [*left, *([] if brief or not right else [EMPTY_LINE]), *right]


def _chain_lines(socket: Socket, observation: Observation, width: int) -> list[TextLine]:
    """Who waits for whom, a line each: Enter goes to the socket a link waits on, else to its process."""
    links = wait_chain(socket, observation)
    lines = [EMPTY_LINE, title(" WAIT CHAIN")] if links else []
    for link, text in zip(links, link_texts(links), strict=True):
        key = ("process", link.pid, "link") if link.socket is None else ("socket", link.socket, "link")
        then = "" if link is links[0] else "then "
        first, *rest = wrap(then + sanitise(text), width - 4, indent="  ")
        lines += [TextLine(first.parts, key), *rest]
    return lines


def headline(socket: Socket, observation: Observation, width: int, *, brief: bool) -> list[TextLine]:
    """Whose move, since when, what is wrong, and the mend."""
    move = (observation.moves or {}).get(socket.key)
    finding = finding_of(socket, observation)
    grade = severity(socket, observation)
    role = grade if grade in ("severe", "warning") else "title"
    glyph = {"severe": "▲", "warning": "!"}.get(role, "·")
    party = PARTIES.get(move.row.party, "NOBODY'S MOVE") if move is not None else "NOBODY'S MOVE"
    age = f"  {words.age(move.row)}" if move is not None and move.row.since_s is not None else ""
    unproved = "  not proved" if move is not None and move.row.condition == "unverified" else ""
    name = f"   {(finding.cause or finding.rule).replace('-', ' ')}" if finding is not None else ""
    lines = [line((f" {glyph} {party}{age}", role), (unproved, "dim"), (name, "title"))]
    if brief:
        return lines
    said = finding.summary if finding is not None else sentence(socket, observation)
    if said:
        lines += wrap(sanitise(said), width - 4, indent="   ")
    for number, advice in enumerate(finding.advice if finding is not None else ()):
        lines += wrap(("    " if number else "Fix ") + sanitise(advice), width - 4, "good", indent="   ")
    if not said and move is not None and move.turn_reason:
        lines += wrap(sanitise(move.turn_reason), width - 4, indent="   ")
    return lines


def crumbs(socket: Socket, observation: Observation, place: str, width: int, *, is_there: bool) -> TextLine:
    """Say where we are: kind, state, both ends, and the place in the table it was opened from."""
    arrow = {True: "←", False: "→", None: "⇄"}[serves(observation.snapshot, socket)]
    kind = f"{socket.protocol} {words.state(socket)}" if socket.is_inet else f"{socket.family} {socket.type}"
    ends = words.endpoint(socket.local, socket.protocol, observation.names) or f"inode {socket.inode}"
    if socket.remote is not None:
        ends += f" {arrow} {words.endpoint(socket.remote, socket.protocol, observation.names)}"
    elif socket.peer_inode and not words.endpoint(socket.local):
        ends = f"inode {socket.inode} ⇄ {socket.peer_inode}"
    elif socket.peer_inode:
        ends += f"   inode {socket.inode} ⇄ {socket.peer_inode}"
    text = f" Sockets \u203a {kind}  " if width >= 60 else f" {kind} "
    right = place if is_there else f"GONE  {place}"
    room = max(4, width - len(text) - len(right) - 3)
    shown = elide_middle(ends, room)
    used = parts_width([(text, ""), (shown, "")])
    gap = max(1, width - used - len(right) - 2)
    return line((text, "dim"), (shown, "title"), " " * gap, (right, "severe" if not is_there else "dim"))
