"""One fault, one finding: consequences and the other end fold into the finding that names the fault."""

from __future__ import annotations

from msgspec import structs

from sockscope.analysis.findings.connect_unanswered import ACCEPT_QUEUE_FULL
from sockscope.analysis.findings.scene import SEVERITIES, Scene
from sockscope.model.finding import Finding
from sockscope.model.socket import SocketKey

# What takes in what, and through what they are known to be one fault: "sockets" (the same socket, or its other end on
# this host), "process" (the same process), "namespace". In order: an earlier line folds first.
FOLDS: tuple[tuple[str, str, str], ...] = (
    ("accept-stalled", "accept-overflow", "sockets"),
    ("accept-stalled", "fd-limit", "process"),
    ("accept-stalled", "connect-unanswered", "sockets"),
    ("accept-stalled", "send-stalled", "waiting"),
    ("accept-stalled", "receive-stalled", "waiting"),
    ("accept-overflow", "connect-unanswered", "sockets"),
    ("accept-stalled", "syn-cookies", "namespace"),
    ("accept-overflow", "syn-cookies", "namespace"),
    ("loop-blocked", "receive-stalled", "process"),
    ("loop-blocked", "accept-stalled", "process"),
    ("loop-blocked", "accept-overflow", "process"),
    ("loop-blocked", "send-stalled", "sockets"),
    ("both-full", "both-full", "sockets"),
    ("both-full", "receive-stalled", "sockets"),
    ("both-full", "send-stalled", "sockets"),
    ("receive-stalled", "send-stalled", "sockets"),
    ("udp-drops", "receive-stalled", "sockets"),
    ("retransmitting", "peer-vanished", "sockets"),
    ("close-wait-leak", "fd-limit", "process"),
    ("close-wait-leak", "fd-leak", "process"),
    ("fd-limit", "fd-leak", "process"),
    ("close-wait-leak", "receive-stalled", "sockets"),
)


def fold(scene: Scene, found: list[Finding]) -> list[Finding]:
    """Fold what belongs together; the worst severity of a fault is kept.

    A client before a full accept queue of this host is no fault of its own: what is not folded waits for the
    listener's finding.
    """
    for parent_rule, child_rule, by in FOLDS:
        kept: list[Finding] = [one for one in found if one.rule != child_rule or parent_rule == child_rule]
        if len(kept) == len(found) and parent_rule != child_rule:
            continue
        for child in [one for one in found if one.rule == child_rule]:
            parent = next((
                one for one in kept
                if one.rule == parent_rule and one is not child and _belongs(scene, one, child, by)
            ), None)
            if parent is None:
                if child not in kept:
                    kept.append(child)
            elif child is not parent:
                kept = [one for one in kept if one is not child and one is not parent]
                kept.append(_taken_in(parent, child))
        found = kept
    return [one for one in found if one.cause != ACCEPT_QUEUE_FULL]


def _taken_in(parent: Finding, child: Finding) -> Finding:
    """Take a consequence in: one that is worse than its cause makes the whole as bad."""
    also = parent.also if child.rule == parent.rule else tuple(dict.fromkeys((*parent.also, child.rule, *child.also)))
    return structs.replace(
        parent, severity=min(parent.severity, child.severity, key=SEVERITIES.index), also=also,
        for_s=max(parent.for_s or 0.0, child.for_s or 0.0) or None,
        sockets=tuple(dict.fromkeys((*parent.sockets, *child.sockets))),
        about=tuple(dict.fromkeys((*parent.about, *child.about))),
        evidence=tuple(dict.fromkeys((*parent.evidence, *child.evidence))),
    )


def _belongs(scene: Scene, parent: Finding, child: Finding, by: str) -> bool:
    if by == "process":
        return bool(_named(parent, "process") & _named(child, "process"))
    if by == "namespace":
        return _namespaces(parent) == {int(name) for name in _named(child, "netns")}
    if by == "waiting":  # the child's socket, or its other end, is one that waits at the parent's port
        ports = _named(parent, "port")
        return any(
            (socket := scene.snapshot.sockets.get(key)) is not None and not socket.inode
            and str(socket.local.port) in ports
            for key in _both_ends(scene, child)
        )
    return bool(set(parent.sockets) & set(_both_ends(scene, child)))


def _both_ends(scene: Scene, finding: Finding) -> list[SocketKey]:
    ends = list(finding.sockets)
    for key in finding.sockets:
        socket = scene.snapshot.sockets.get(key)
        peer = scene.sight(socket).peer if socket is not None else None
        if peer is not None:
            ends.append(peer.key)
    return ends


def _named(finding: Finding, kind: str) -> set[str]:
    return {name for one, name in finding.about if one == kind}


def _namespaces(finding: Finding) -> set[int]:
    return {int(key[0]) for key in finding.sockets if isinstance(key[0], int)}
