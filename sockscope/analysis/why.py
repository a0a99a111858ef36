"""The one sentence: why nothing happens on this socket, since when, and the mend."""

from __future__ import annotations

from sockscope.analysis.wait_chain import chain_text, wait_chain
from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.model.verdict import RowMove


def sentence(socket: Socket, observation: Observation) -> str:
    """Say it in one sentence, of a finding where there is one, else of the move; "" where nobody has to act.

    Names in it are outside text, decoded but not made safe: present.text does that.
    """
    finding = finding_of(socket, observation)
    move = observation.moves.get(socket.key) if observation.moves is not None else None
    if finding is not None:
        advice = f". {finding.advice[0]}" if finding.advice else ""
        alike = finding.sockets[0] != socket.key and move is not None and move.row.party != "none"
        return f"{move.row.reason if alike and move is not None else finding.summary}{advice}"
    if move is None:
        return ""
    chain = chain_text(wait_chain(socket, observation)) if move.row.party == "app" or move.turn == "app" else ""
    return "; ".join(part for part in (_of_move(move), chain) if part)


def finding_of(socket: Socket, observation: Observation) -> Finding | None:
    """Return the worst finding about this socket."""
    return next((one for one in observation.findings or () if socket.key in one.sockets), None)


def _of_move(move: RowMove) -> str:
    if move.row.party == "none":
        return move.turn_reason if move.turn == "app" else ""
    return f"{move.row.reason}; {move.turn_reason}" if move.turn_reason and move.turn == "app" else move.row.reason
