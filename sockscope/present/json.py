"""The JSON document: one snapshot, complete, ASCII only, never cut to a width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present.document import head, tail
from sockscope.present.lossless import ascii_json
from sockscope.present.socket_json import SocketTexts
from sockscope.present.two_halves import write_rows

_SLICE = 100  # sockets written at once: pieces of a few hundred KB would be mapped and faulted in anew each time
_LINE = 500  # sockets a line
_BREAK = "\n"


def write_json(stream: BinaryIO, observation: Observation, sockets: Sequence[Socket], *, cores: int = 1) -> None:
    """Write the document of these sockets, in their order. Raises only what the stream raises.

    With two `cores` of many sockets a part is written by a forked child: only where no other threads are about.
    """
    encoder, texts = msgspec.json.Encoder(), SocketTexts(observation)

    def pieces(begin: int, end: int) -> Iterator[bytes]:
        for start in range(begin, end, _SLICE):
            made = texts.of(sockets[start : min(start + _SLICE, end)])
            made[0] = f"{',' if start else ''}{'' if start % _LINE else _BREAK}{made[0]}"
            yield ",".join(made).encode("ascii")

    stream.write(ascii_json(encoder.encode(head(observation)))[:-1])
    stream.write(b',\n"sockets":[')
    pids = write_rows(
        stream, len(sockets), pieces, cores=cores, step=_LINE, learnt=lambda: b" ".join(b"%d" % p for p in texts.pids),
    )
    texts.pids.update(map(int, pids.split()))
    stream.write(b"],\n")
    stream.write(ascii_json(encoder.encode(tail(observation, texts.pids)))[1:])
    stream.write(b"\n")
