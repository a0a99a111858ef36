"""Hostile names in every output: JSON is ASCII, the same for msgspec and Python, and gives each name's bytes back;
no table or CSV line has a control byte in it.

The input is names, parted by 0xff 0x00, for all places that outside text can come from.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import msgspec
from builders import make_snapshot, make_socket
from msgspec.structs import replace

from sockscope.model.gap import Gap
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.process import Fd, Process, Thread
from sockscope.model.socket import Endpoint, Socket
from sockscope.present.csv import write_csv
from sockscope.present.json import write_json
from sockscope.present.ndjson import write_ndjson
from sockscope.present.table import gap_lines, table_lines

_SPLIT = b"\xff\x00"
LONGEST = 256
TOKENS = (_SPLIT, b"\x1b[31m", b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae", b"\xed\xa0\x80", b"\xff", b'"', b"\\", b"=", b"\r\n", b"@")
_INET = make_socket("192.0.2.1:80", "192.0.2.2:9", cookie=1, inode=11, interface=2)
_UNIX = make_socket(family="unix", protocol="unix", cookie=2, inode=12)


def check(data: bytes) -> None:
    """Write an observation full of these names in every format."""
    names = (data.split(_SPLIT) + [b""] * 6)[:6]
    observation, sockets = _observation(names)
    raw = io.BytesIO()
    write_json(raw, observation, sockets)
    _check_json(raw.getvalue(), names)
    lines = io.BytesIO()
    write_ndjson(lines, observation, sockets)
    for line in lines.getvalue().splitlines():
        assert _is_plain(line) and msgspec.json.decode(line) == json.loads(line)
    _check_texts(observation, sockets)


def _observation(names: list[bytes]) -> tuple[Observation, list[Socket]]:
    comm, command, path, cgroup, host, detail = names
    text = [name.decode("utf-8", "surrogateescape") for name in (host, detail)]
    bound = replace(_UNIX, local=Endpoint(path=path, abstract=len(path) % 2 == 0))
    snapshot = replace(
        make_snapshot(_INET, bound, holders={11: (7, 3), 12: (7, 4)}), gaps=(Gap("udp", "not_permitted", 1, text[1]),),
        processes={7: Process(7, 5, comm, command=command, cwd=path, cgroup=cgroup, container=text[0])},
        fds=(Fd(7, 3, "file", path, facts=(("lock", text[1]),)),), threads=(Thread(7, 7, comm, "S", "read"),),
        interfaces={2: text[0]},
    )
    hosts = {"192.0.2.2": text[0]}
    return Observation(snapshot, names=Names(users={0: text[1]}, hosts=hosts), findings=()), [_INET, bound]


def _check_json(raw: bytes, names: list[bytes]) -> None:
    assert raw.isascii() and all(byte >= 32 or byte == 10 for byte in raw) and b"\x7f" not in raw
    document = json.loads(raw)
    assert msgspec.json.decode(raw) == document
    assert _bytes(document["sockets"][0]["holders"][0], "process") == names[0]
    assert _bytes(document["sockets"][1]["local"], "path") == names[2]


def _bytes(record: dict[str, Any], name: str) -> bytes:
    coded = record.get(f"{name}_base64")
    return base64.b64decode(coded) if coded is not None else record[name].encode()


def _is_plain(line: bytes) -> bool:
    return line.isascii() and line.decode("ascii").isprintable()


def _check_texts(observation: Observation, sockets: list[Socket]) -> None:
    for width in (None, 100):
        for line in table_lines(observation, sockets, width=width):
            assert line.isprintable(), ascii(line)
    for line in gap_lines(observation.snapshot, is_root=True):
        assert line.isprintable(), ascii(line)
    stream = io.StringIO()
    write_csv(stream, observation, sockets)
    text = stream.getvalue()
    assert text.count("\n") == 3 and text.replace("\n", "").isprintable(), ascii(text)
    assert len(list(csv.reader(io.StringIO(text)))) == 3
