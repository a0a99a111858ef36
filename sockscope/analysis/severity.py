"""How much a row matters: what sections, sorting and colours share. Only stalls count, never a party alone."""

from __future__ import annotations

from msgspec import Struct

from sockscope.model.observation import Observation
from sockscope.model.socket import Socket, SocketKey

_ACT_AFTER_S = 5.0  # a stall younger than this is no reason yet to call somebody
_WEIGHTS = {"severe": 3, "warning": 2, "note": 1}
_AGE_STEPS_S = (5, 30, 300, 3600, 86_400)  # coarse, so that rows do not change places every second
RANKS = 4 * (len(_AGE_STEPS_S) + 2)
CALM = RANKS - 1  # the rank of a row of which nothing is to be said


class _Memo(Struct, frozen=True):
    observation: Observation
    severities: dict[SocketKey, str]


_newest: _Memo | None = None
_newest_acting: tuple[Observation, frozenset[SocketKey]] | None = None


def severity(socket: Socket, observation: Observation) -> str | None:
    """Return severe, warning or note: the worst finding it is part of, else warning for a stall of 5 s; None: quiet."""
    found = _severities(observation).get(socket.key)
    if found is not None:
        return found
    move = (observation.moves or {}).get(socket.key)
    if move is None or move.row.condition != "stalled" or move.row.party == "none":
        return None
    return "warning" if move.row.since_s is None or move.row.since_s >= _ACT_AFTER_S else None


def acting(observation: Observation) -> frozenset[SocketKey]:
    """Return the keys of all sockets that are severe or warning: few, found without a look at the healthy ones."""
    global _newest_acting  # noqa: PLW0603  # as _newest
    memo = _newest_acting
    if memo is not None and memo[0] is observation:
        return memo[1]
    sockets = observation.snapshot.sockets
    stalled = (key for key, move in (observation.moves or {}).items() if move.row.condition == "stalled")
    found = frozenset(
        key
        for key in (*_severities(observation), *stalled)
        if key in sockets and severity(sockets[key], observation) in ("severe", "warning")
    )
    _newest_acting = (observation, found)
    return found


def ranked(observation: Observation) -> frozenset[SocketKey]:
    """Return the keys of all sockets whose rank can be other than CALM."""
    return frozenset((*_severities(observation), *(observation.moves or {})))


def rank(socket: Socket, observation: Observation) -> int:
    """Return an order of urgency as one small number, the most urgent first: severity, then coarse age."""
    weight = _WEIGHTS.get(severity(socket, observation) or "", 0)
    move = (observation.moves or {}).get(socket.key)
    if move is None or move.row.party == "none":
        age = 0
    elif move.row.condition != "stalled":
        age = 1 if not weight else 2
    else:
        age = 2 + sum((move.row.since_s or 0) >= step for step in _AGE_STEPS_S[:-1])
    return CALM - weight * (len(_AGE_STEPS_S) + 2) - age


def _severities(observation: Observation) -> dict[SocketKey, str]:
    """Return each socket's worst finding; kept for the newest observation only."""
    global _newest  # noqa: PLW0603  # a memo of one entry; replacing it is atomic
    memo = _newest
    if memo is None or memo.observation is not observation:
        worst: dict[SocketKey, str] = {}
        for finding in observation.findings or ():
            for key in finding.sockets:
                if _WEIGHTS.get(finding.severity, 0) > _WEIGHTS.get(worst.get(key, ""), 0):
                    worst[key] = finding.severity
        memo = _newest = _Memo(observation, worst)
    return memo.severities
