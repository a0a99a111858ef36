"""One socket as the text of its JSON object: what SocketRecord encodes to, joined from parts encoded before.

Idle connections differ in their ends, inode, cookie and holder alone. All else is encoded once for each shape of row:
1.7 us for a row of 900 bytes, against 6 for a record made and encoded. Rows with more to tell (a move, a detail, a
path) are made as records; the shapes are such records with holes cut out, so both give the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

import msgspec
from msgspec import Raw, structs

from sockscope.analysis.ownership import ownership
from sockscope.analysis.peers import finder
from sockscope.model.observation import Observation
from sockscope.model.socket import Endpoint, Holder, Socket, Timer
from sockscope.present.document import SocketRecords
from sockscope.present.lossless import ascii_json
from sockscope.present.records import PeerRecord

_HOLE = Raw(b"\0")  # which no JSON has in it
_QUOTED = Raw(b'"\0"')

_ANYWHERE = Endpoint("::", 0)
_NUMERIC = re.compile(r"[0-9a-f.:]+").fullmatch  # nothing in it to be escaped
_LEAST_S, _MOST_S = 0.001, 1e9  # between them msgspec and repr() write a float alike

Parts: TypeAlias = tuple[str, ...]  # what stands between the holes


class SocketTexts:
    """Writes the sockets of one observation, each from `start` on. `pids` are the holders of those written so far."""

    def __init__(self, observation: Observation, start: str = "{") -> None:
        self.pids: set[int] = set()
        self.made_whole = 0  # rows made as records of their own: tests count them
        self._snapshot = observation.snapshot
        self._loud = {*observation.details, *(observation.moves or ())}
        self._observation = observation
        self._start = start
        self._peer_of = finder(observation.snapshot)
        self._records = SocketRecords(observation)
        self._encoder = msgspec.json.Encoder()
        self._shapes: dict[tuple[object, ...], Parts] = {}
        self._places: dict[str, Parts] = {}  # an end's text around its port, by address
        self._holders: dict[int, Parts] = {}
        self._peer = self._parts(structs.replace(PeerRecord(0, None), inode=_HOLE, cookie=_QUOTED))
        self._somewhere = self._parts(structs.replace(self._records.end(_ANYWHERE), address=_QUOTED, port=_HOLE))
        self._running: dict[tuple[str, int], Parts] = {}  # timers, by kind and retransmits
        self._hosts = observation.names.hosts

    def of(self, sockets: Iterable[Socket]) -> list[str]:
        """Return one text a socket, in their order."""
        shapes, places, known, loud = self._shapes, self._places, self._holders, self._loud
        holders_of, peer_of = self._snapshot.holders.get, self._peer_of
        p0, p1, p2 = self._peer
        texts: list[str] = []
        for row in sockets:
            cookie, local, remote, inode, timer = row.cookie, row.local, row.remote, row.inode, row.timer
            port = local.port
            if cookie is None or port is None or (row.netns, cookie) in loud:
                texts.append(self._whole(row))
                continue
            # The memory by identity, as rows share it: comparing its nine numbers costs more than all the rest.
            shape = (row.netns, row.family, row.type, row.protocol, row.state, row.receive_queued, row.send_queued,
                     id(row.memory), row.shutdown, row.drops, row.uid, row.interface, not inode, remote is None)
            a, b, c, d, e, f, g, h, i = shapes.get(shape) or self._shape(shape, row)
            near, n = places.get(local.address) or self._place(local)
            if remote is None:
                far = ""
            else:
                before, after = places.get(remote.address) or self._place(remote)
                far = f"{before}{'null' if remote.port is None else remote.port}{after}"
            held = holders_of(inode) if inode else None
            if held is not None and len(held) == 1:
                first = held[0]
                m, o = known.get(first.pid) or self._holder(first)
                holders, whose = f"[{m}{first.fd}{o}]", "held"
            else:
                holders, whose = self._held(row, held)
            peer = peer_of(row)
            if peer is None:
                other = "null"
            elif peer.cookie is not None:
                other = f"{p0}{peer.inode}{p1}{peer.cookie:x}{p2}"
            else:  # of a namespace that was read as text
                other = self._text(PeerRecord(peer.inode, None))
            texts.append(
                f"{a}{near}{port}{n}{b}{far}{c}{inode}{d}{cookie:x}{e}"
                f"{'null' if timer is None else self._timer(timer)}{f}{holders}{g}{other}{h}{whose}{i}"
            )
        return texts

    def _whole(self, socket: Socket) -> str:
        self.made_whole += 1
        self.pids.update([holder.pid for holder in self._snapshot.holders_of(socket)])
        return self._start + self._text(self._records.of(socket))[1:]

    def _held(self, socket: Socket, held: tuple[Holder, ...] | None) -> tuple[str, str]:
        """Return the list of its holders, and the word for whose it is."""
        if not held:
            return self._text(self._records.holders(socket, None)), ownership(self._snapshot, socket)
        texts = []
        for holder in held:
            before, after = self._holders.get(holder.pid) or self._holder(holder)
            texts.append(f"{before}{holder.fd}{after}")
        return f"[{','.join(texts)}]", "held"

    # -- made once for many rows ------------------------------------------------------------------------------------

    def _shape(self, shape: tuple[object, ...], socket: Socket) -> Parts:
        record = structs.replace(
            self._records.of(socket), local=_HOLE, inode=_HOLE, cookie=_QUOTED, timer=_HOLE, holders=_HOLE, peer=_HOLE,
            ownership=_QUOTED,
        )
        begin, *others = self._parts(record if socket.remote is None else structs.replace(record, remote=_HOLE))
        if socket.remote is None:
            others.insert(1, "")  # `null` stands in it already: nothing is put after it
        parts = self._shapes[shape] = self._start + begin[1:], *others
        return parts

    def _holder(self, holder: Holder) -> Parts:
        self.pids.add(holder.pid)
        parts = self._holders[holder.pid] = self._parts(structs.replace(self._records.holder(holder), fd=_HOLE))
        return parts

    def _place(self, end: Endpoint) -> Parts:
        """Return its text around its port, kept for all ends at its address."""
        address = end.address
        if not address or not _NUMERIC(address) or address in self._hosts:
            parts = self._parts(structs.replace(self._records.end(end), port=_HOLE))
        else:
            before, between, after = self._somewhere
            parts = f"{before}{address}{between}", after
        if address:  # else it has something else to tell, a path
            self._places[address] = parts
        return parts

    def _timer(self, timer: Timer) -> str:
        left_s = timer.expires_s
        if left_s is None or not _LEAST_S <= left_s <= _MOST_S:
            return self._text(self._records.timer(timer, None))
        parts = self._running.get((timer.kind, timer.retransmits))
        if parts is None:
            record = structs.replace(self._records.timer(timer, None), expires_s=_HOLE)
            parts = self._running[timer.kind, timer.retransmits] = self._parts(record)
        return f"{parts[0]}{left_s!r}{parts[1]}"

    def _parts(self, record: object) -> Parts:
        return tuple(self._text(record).split("\0"))

    def _text(self, record: object) -> str:
        return ascii_json(self._encoder.encode(record)).decode("ascii")
