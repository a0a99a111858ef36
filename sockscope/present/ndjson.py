"""NDJSON: one record a line, for following: the snapshot's head, its sockets (or only what changed), and an end.

{"record":"snapshot", ...}, {"record":"socket", ...} each, {"record":"end","sequence":1,"took_s":0.01}.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec
from msgspec import Struct

from sockscope.model.observation import Observation
from sockscope.model.snapshot import Changes, Snapshot
from sockscope.model.socket import Socket, SocketKey
from sockscope.present.document import SocketRecords, document
from sockscope.present.lossless import ascii_json
from sockscope.present.socket_json import SocketTexts
from sockscope.present.two_halves import write_rows

_SLICE = 100  # sockets made at once, as in JSON


class _End(Struct, frozen=True):
    record: str
    sequence: int
    took_s: float


def write_ndjson(stream: BinaryIO, observation: Observation, sockets: Sequence[Socket], *, cores: int = 1) -> None:
    """Write one snapshot of these sockets. `cores` as in `write_json`."""
    encoder = msgspec.json.Encoder()
    texts = SocketTexts(observation, '{"record":"socket",')

    def pieces(begin: int, end: int) -> Iterator[bytes]:
        for start in range(begin, end, _SLICE):
            yield "\n".join([*texts.of(sockets[start : min(start + _SLICE, end)]), ""]).encode("ascii")

    _write_head(stream, encoder, observation, sockets)
    write_rows(stream, len(sockets), pieces, cores=cores)
    _write_end(stream, encoder, observation)


def write_ndjson_changes(
    stream: BinaryIO, observation: Observation, sockets: Sequence[Socket], *, previous: Observation | None,
    shown: frozenset[SocketKey], changes: Changes,
) -> frozenset[SocketKey]:
    """Write what changed among these sockets, each with `"change"`: new, changed, gone; return the keys now shown.

    `shown` is what this returned last time: a socket that enters the selection is new, one that leaves it is gone.
    """
    encoder = msgspec.json.Encoder()
    _write_head(stream, encoder, observation, sockets)
    record_of = SocketRecords(observation).of
    now = frozenset(socket.key for socket in sockets)
    for socket in sockets:
        if socket.key not in shown or socket.key in changes.changed:
            change = b"changed" if socket.key in shown else b"new"
            line = encoder.encode(record_of(socket))
            _write(stream, b'{"record":"socket","change":"' + change + b'",', line)
    before: Snapshot | None = previous.snapshot if previous is not None else None
    for key in shown - now:
        socket_before = before.sockets.get(key) if before is not None else None
        if socket_before is not None and previous is not None:
            line = encoder.encode(SocketRecords(previous).of(socket_before))
            _write(stream, b'{"record":"socket","change":"gone",', line)
    _write_end(stream, encoder, observation)
    return now


def _write_head(
    stream: BinaryIO, encoder: msgspec.json.Encoder, observation: Observation, sockets: Sequence[Socket]
) -> None:
    parts = document(observation, sockets)
    head, tail = encoder.encode(parts.head), encoder.encode(parts.tail)
    _write(stream, b'{"record":"snapshot",', head[:-1] + b"," + tail[1:])


def _write_end(stream: BinaryIO, encoder: msgspec.json.Encoder, observation: Observation) -> None:
    end = _End("end", observation.snapshot.sequence, observation.snapshot.took_s)
    stream.write(encoder.encode(end) + b"\n")


def _write(stream: BinaryIO, start: bytes, encoded: bytes) -> None:
    stream.write(start + bytes(ascii_json(encoded))[1:] + b"\n")
