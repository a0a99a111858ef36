"""The JSON document: one snapshot, complete, ASCII only, never cut to a width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from sockscope.model.observation import Observation
from sockscope.model.socket import Socket
from sockscope.present.document import head, tail
from sockscope.present.lossless import ascii_json
from sockscope.present.socket_json import SocketTexts

_SLICE = 100  # sockets written at once: pieces of a few hundred KB would be mapped and faulted in anew each time
_LINE = 500  # sockets a line


def write_json(stream: BinaryIO, observation: Observation, sockets: Sequence[Socket]) -> None:
    """Write the document of these sockets, in their order. Raises only what the stream raises."""
    encoder, texts = msgspec.json.Encoder(), SocketTexts(observation)
    stream.write(ascii_json(encoder.encode(head(observation)))[:-1])
    stream.write(b',\n"sockets":[')
    for start in range(0, len(sockets), _SLICE):
        if start:
            stream.write(b",")
        if start % _LINE == 0:
            stream.write(b"\n")
        stream.write(",".join(texts.of(sockets[start : start + _SLICE])).encode("ascii"))
    stream.write(b"],\n")
    stream.write(ascii_json(encoder.encode(tail(observation, texts.pids)))[1:])
    stream.write(b"\n")
